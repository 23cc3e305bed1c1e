"""Who calls: the owner over the Unix socket, or the bearer of a token.

Must not decide what a caller may do: whoever is let in may do everything, as the owner of the data folder can.
"""

import hashlib
from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from lateen.kube.errors import error
from lateen.serve.http_kube.answers import failure
from lateen.util.redact import Secret

__all__ = ["OWNER", "as_owner", "caller", "require_token"]

OWNER = "lateen:owner"
_KEY = "lateen.user"
_OPEN = ("/healthz", "/livez", "/readyz", "/version")


def caller(scope: Scope) -> str:
    """The name of the user that the request was let in as."""
    return str(scope.get(_KEY, "system:anonymous"))


def as_owner(app: ASGIApp) -> ASGIApp:
    """For the owner's Unix socket, which the file's mode protects."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        scope[_KEY] = OWNER
        await app(scope, receive, send)

    return wrapped


def require_token(app: ASGIApp, tokens: Mapping[str, Secret]) -> ASGIApp:
    """Let in only requests with one of the tokens (user name → token); all others get 401."""
    users = {_digest(token.reveal()): user for user, token in tokens.items()}

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            scheme, _, token = Headers(scope=scope).get("authorization", "").partition(" ")
            user = users.get(_digest(token.strip().encode())) if scheme.lower() == "bearer" else None
            if user is None and scope["path"] not in _OPEN:
                await _refuse(scope, receive, send)
                return
            scope[_KEY] = user or "system:anonymous"
        await app(scope, receive, send)

    return wrapped


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()  # compared instead of the token, so that no timing tells its characters


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    answer = failure(error(401, "Unauthorized", "Unauthorized"))
    if scope["type"] == "websocket":
        await WebSocket(scope, receive, send).send_denial_response(answer)
    else:
        await answer(scope, receive, send)
