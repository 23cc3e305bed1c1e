"""An agent's status door (15020): readiness, merged metrics, the application's probes, drain and quit.

Why so small a server: one per pod, a handful of requests a minute, on a socket made in the pod's network. Whatever changes the proxy
is for callers on the pod's loopback alone. Must not know how the answers are made.
"""

import asyncio
import contextlib
import socket
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Protocol

import h11

from lateen.runtime import log
from lateen.runtime.streams import StreamServer

__all__ = ["StatusBackend", "StatusServer"]

_IDLE_SECONDS = 75.0
_MOST_CONNECTIONS = 128
_READ = 16 * 1024
_TEXT = "text/plain; charset=utf-8"
_log = log.get("status")

Headers = Sequence[tuple[str, str]]
Answer = tuple[int, str, bytes]  # status, content type, body


class StatusBackend(Protocol):
    """Whoever knows the answers."""

    async def obstacle(self) -> str: ...
    async def metrics(self, headers: Headers) -> tuple[str, bytes]: ...
    async def probe(self, path: str, headers: Headers) -> tuple[int, bytes]: ...
    async def drain(self) -> None: ...
    def quit(self) -> None: ...
    def names(self) -> bytes: ...


class StatusServer:
    """Serves one agent on a listening socket."""

    def __init__(self, listener: socket.socket, backend: StatusBackend) -> None:
        self._backend = backend
        self._server = StreamServer(listener, self._connected, name="status", most=_MOST_CONNECTIONS)

    async def start(self) -> None:
        """Begin to answer."""
        self._server.start()

    async def stop(self) -> None:
        """Close the door and what is open."""
        await self._server.stop()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError, h11.RemoteProtocolError):  # a timeout is an OSError
            await self._converse(reader, writer)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER)
        local = _is_loopback(writer.get_extra_info("peername"))
        while True:
            request = await _request(connection, reader)
            if request is None:
                return
            path = request.target.decode("latin-1").partition("?")[0]
            headers = [(name.decode(), value.decode("latin-1")) for name, value in request.headers]
            status, kind, body = await self._answer(request.method.decode(), path, headers, local=local)
            fields = [("Content-Type", kind), ("Content-Length", str(len(body)))]
            for event in (h11.Response(status_code=status, headers=fields), h11.Data(data=b"" if request.method == b"HEAD" else body)):
                writer.write(connection.send(event) or b"")
            writer.write(connection.send(h11.EndOfMessage()) or b"")
            await writer.drain()
            if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                return
            connection.start_next_cycle()

    async def _answer(self, method: str, path: str, headers: Headers, *, local: bool) -> Answer:
        if path in {"/quitquitquit", "/drain", "/debug/ndsz"}:
            return await self._restricted(method, path, local=local)
        if method not in {"GET", "HEAD"}:
            return 405, _TEXT, b"Method Not Allowed\n"
        if path == "/healthz/ready":
            obstacle = await self._backend.obstacle()
            return (503, _TEXT, f"{obstacle}\n".encode()) if obstacle else (200, _TEXT, b"")
        if path in {"/stats/prometheus", "/metrics"}:
            kind, body = await self._backend.metrics(headers)
            return 200, kind, body
        if path.startswith(("/app-health/", "/app-lifecycle/")):
            status, body = await self._backend.probe(path, headers)
            return status, _TEXT, body
        return 404, _TEXT, b"404 page not found\n"

    async def _restricted(self, method: str, path: str, *, local: bool) -> Answer:
        if not local:
            return 403, _TEXT, b"Only requests from localhost are allowed\n"
        if path == "/debug/ndsz":
            return 200, "application/json", self._backend.names()
        if method != "POST":
            return 405, _TEXT, b"Method Not Allowed\n"
        _log.info("asked over HTTP", path=path)
        if path == "/drain":
            await self._backend.drain()
        else:
            self._backend.quit()
        return 200, _TEXT, b"OK\n"


async def _request(connection: h11.Connection, reader: asyncio.StreamReader) -> h11.Request | None:
    """The next request, its body thrown away; None at the connection's end."""
    request: h11.Request | None = None
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.EndOfMessage):
            return request
        elif isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
            return None
        elif event is h11.NEED_DATA:
            async with asyncio.timeout(_IDLE_SECONDS):
                connection.receive_data(await reader.read(_READ))


def _is_loopback(peer: object) -> bool:
    return isinstance(peer, tuple) and ip_address(str(peer[0])).is_loopback
