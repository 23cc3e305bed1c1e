"""The embedded API called without sockets and without a disk, for tests that make very many requests.

Must not be used by the product.
"""

from collections.abc import Mapping, Sequence
from urllib.parse import unquote

from starlette.types import Message

from lateen.kube.records import Change, Saved
from lateen.serve.http_kube.app import build_app
from lateen.serve.http_kube.live import LiveStore

__all__ = ["Door", "Nowhere"]


class Nowhere:
    """A persistence that forgets."""

    def load(self) -> Saved:
        """Nothing."""
        return Saved(0, (), (), {})

    def write(self, changes: Sequence[Change], revision: int, floors: Mapping[str, int]) -> None:
        """Nothing is kept."""


class Door:
    """The application, called without sockets."""

    def __init__(self) -> None:
        self.live = LiveStore(Nowhere())
        self._app = build_app(self.live)

    async def call(self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """The status and the body of an answer."""
        raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        scope = {"type": "http", "method": method, "path": unquote(path), "query_string": query.encode(), "headers": raw, "asgi": {}}
        status, content = 0, b""

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            nonlocal status, content
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                content += message.get("body", b"")

        await self._app(scope, receive, send)
        return status, content
