"""Runs ASGI applications on listening sockets that are made elsewhere, and on Unix sockets that only their owner can open.

Must not install signal handlers: the process has its own. Must not know what is served.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from lateen.runtime import tasks

__all__ = ["HttpDoors", "unix_socket"]

_GRACE_SECONDS = 2


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class HttpDoors:
    """Any number of doors; `start` returns when they answer. `most` connections at once on each, 0: as many as come."""

    def __init__(self, *, most: int = 0) -> None:
        self._most = most
        self._servers: list[_Server] = []
        self._listeners: list[list[socket.socket]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._paths: list[Path] = []

    def add(self, app: ASGIApp, listeners: Sequence[socket.socket], tls: ssl.SSLContext | None = None) -> None:
        """Serve `app` on these."""
        config = uvicorn.Config(
            app,
            http="httptools",
            ws="wsproto",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=_GRACE_SECONDS,
            limit_concurrency=self._most or None,
            ssl_context_factory=(lambda _config, _default: tls) if tls is not None else None,
        )
        self._servers.append(_Server(config))
        self._listeners.append(list(listeners))

    def add_owned(self, app: ASGIApp, path: Path) -> None:
        """Serve `app` on a Unix socket that only the owner can open."""
        self.add(app, [unix_socket(path)])
        self._paths.append(path)

    async def start(self) -> None:
        """Begin to serve."""
        for server, listeners in zip(self._servers, self._listeners, strict=True):
            self._tasks.append(tasks.spawn(server.serve(sockets=listeners), name="http"))
        async with asyncio.timeout(10):
            for server in self._servers:
                await server.ready.wait()

    async def stop(self) -> None:
        """End open requests and close the doors."""
        for server in self._servers:
            server.should_exit = True
        await asyncio.gather(*self._tasks)
        for path in self._paths:
            with suppress(FileNotFoundError):
                path.unlink()


def unix_socket(path: Path) -> socket.socket:
    """A listening Unix socket of mode 0600; a file left by a dead process is replaced."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with suppress(FileNotFoundError):
        path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    listener.listen(512)
    listener.setblocking(False)
    return listener
