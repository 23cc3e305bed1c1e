"""Runs the application on a ready listening socket (TLS, tokens) and on the owner's Unix socket.

Why: the node process inherits its listening socket from another network namespace, so sockets come in ready-made. Must not install
signal handlers: the host process has its own.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from lateen.runtime import tasks
from lateen.serve.http_kube.auth import as_owner, require_token
from lateen.util.redact import Secret

__all__ = ["KubeServer", "unix_socket"]

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


class KubeServer:
    """Any number of doors to one application; `start` returns when they answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._servers: list[_Server] = []
        self._listeners: list[list[socket.socket]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._paths: list[Path] = []

    def add_tls(self, listeners: Sequence[socket.socket], tls: ssl.SSLContext, tokens: Mapping[str, Secret]) -> None:
        """Serve strangers that hold a token, on listening sockets made elsewhere."""
        self._add(require_token(self._app, tokens), listeners, tls)

    def add_unix(self, path: Path) -> None:
        """Serve the owner on a Unix socket that only they can open."""
        self._add(as_owner(self._app), [unix_socket(path)], None)
        self._paths.append(path)

    def _add(self, app: ASGIApp, listeners: Sequence[socket.socket], tls: ssl.SSLContext | None) -> None:
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
            ssl_context_factory=(lambda _config, _default: tls) if tls is not None else None,
        )
        server = _Server(config)
        self._servers.append(server)
        self._listeners.append(list(listeners))

    async def start(self) -> None:
        """Begin to serve."""
        for server, listeners in zip(self._servers, self._listeners, strict=True):
            self._tasks.append(tasks.spawn(server.serve(sockets=listeners), name="kube-api"))
        async with asyncio.timeout(10):
            for server in self._servers:
                await server.ready.wait()

    async def stop(self) -> None:
        """End open requests and close the doors. Close the LiveStore first, so that watches end by themselves."""
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
