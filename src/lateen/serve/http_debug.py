"""The monitoring door (15014), as istiod's: `/metrics`, `/version`, `/ready`, and the `/debug` pages.

Debug pages are for loopback, for the owner's Unix socket, and for who holds a token of the mesh's root namespace, made for the control
plane; whoever else asks gets 401. Everything is read only: no request may have a body. Must not know how a page is made.
"""

import html
import json
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Protocol

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from lateen import __version__
from lateen.runtime import log
from lateen.runtime.metrics import CONTENT_TYPE
from lateen.serve.callers import Review, bearer
from lateen.util.redact import redacted

__all__ = ["Backend", "PageError", "monitoring_app"]

_READ_ONLY = frozenset({"GET", "HEAD"})
_LONGEST_QUERY = 4096  # characters
_log = log.get("monitoring")


class PageError(Exception):
    """The page cannot be made of this question: status and a sentence."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Backend(Protocol):
    """Whoever knows the answers."""

    @property
    def pages(self) -> Mapping[str, str]:
        """The pages' names, with what each shows."""

    def metrics(self) -> str: ...
    def ready(self) -> bool: ...
    def page(self, name: str, query: Mapping[str, str]) -> object:
        """What a page shows, as JSON; PageError."""


def monitoring_app(backend: Backend, review: Review | None, root_namespace: str) -> ASGIApp:
    """The application; without `review` no token is any good."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope)
        await (await _answer(request, backend, review, root_namespace))(scope, receive, send)

    return app


async def _answer(request: Request, backend: Backend, review: Review | None, root_namespace: str) -> Response:
    path = request.url.path
    if request.method not in _READ_ONLY:
        return PlainTextResponse("Method Not Allowed\n", 405, {"Allow": "GET, HEAD"})
    if _has_body(request) or len(request.url.query) > _LONGEST_QUERY:
        return PlainTextResponse("A question here has no body, and a query of at most 4096 characters\n", 413, {"Connection": "close"})
    if path == "/metrics":
        return Response(backend.metrics(), media_type=CONTENT_TYPE)
    if path == "/version":
        return PlainTextResponse(__version__)
    if path == "/ready":
        return PlainTextResponse("", 200 if backend.ready() else 503)
    if path == "/debug" or path.startswith("/debug/"):
        if not await _admitted(request, review, root_namespace):
            _log.warning("debug page refused", path=path, peer=request.client.host if request.client else "")
            return Response(status_code=401)
        return _page(path.removeprefix("/debug").strip("/"), dict(request.query_params), backend)
    return PlainTextResponse("404 page not found\n", 404)


def _has_body(request: Request) -> bool:
    return request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers


async def _admitted(request: Request, review: Review | None, root_namespace: str) -> bool:
    if request.client is None or _is_loopback(request.client.host):  # none: the owner's Unix socket
        return True
    token = bearer(request.headers.getlist("authorization"))
    if review is None or token is None:
        return False
    caller = await review(token)
    return caller is not None and caller.identity.namespace == root_namespace


def _is_loopback(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return not host  # a Unix socket
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _page(name: str, query: Mapping[str, str], backend: Backend) -> Response:
    if not name:
        return HTMLResponse(_index(backend.pages))
    if name == "list":
        return _json(sorted(backend.pages), query)
    if name not in backend.pages:
        return PlainTextResponse("404 page not found\n", 404)
    try:
        return _json(redacted(backend.page(name, query)), query)
    except PageError as error:
        return PlainTextResponse(f"{error}\n", error.status)


def _json(value: object, query: Mapping[str, str]) -> Response:
    text = json.dumps(value, indent=2 if "pretty" in query else None)
    return Response(text, media_type="application/json")


def _index(pages: Mapping[str, str]) -> str:
    rows = "".join(
        f"<tr><td><a href='/debug/{html.escape(name)}'>/debug/{html.escape(name)}</a></td><td>{html.escape(text)}</td></tr>\n"
        for name, text in sorted({**pages, "list": "Names of these pages, as JSON"}.items())
    )
    return f"<html><head><title>Pilot Debug Console</title></head><body><table>\n{rows}</table></body></html>\n"
