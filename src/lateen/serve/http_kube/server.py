"""Runs the application on a ready listening socket (TLS, tokens) and on the owner's Unix socket.

Why: the node process inherits its listening socket from another network namespace, so sockets come in ready-made.
"""

import socket
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path

from starlette.types import ASGIApp

from lateen.serve.http_doors import HttpDoors
from lateen.serve.http_kube.auth import as_owner, require_token
from lateen.util.redact import Secret

__all__ = ["KubeServer"]


class KubeServer:
    """Any number of doors to one application; `start` returns when they answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._doors = HttpDoors()

    def add_tls(self, listeners: Sequence[socket.socket], tls: ssl.SSLContext, tokens: Mapping[str, Secret]) -> None:
        """Serve strangers that hold a token, on listening sockets made elsewhere."""
        self._doors.add(require_token(self._app, tokens), listeners, tls)

    def add_unix(self, path: Path) -> None:
        """Serve the owner on a Unix socket that only they can open."""
        self._doors.add_owned(as_owner(self._app), path)

    async def start(self) -> None:
        """Begin to serve."""
        await self._doors.start()

    async def stop(self) -> None:
        """End open requests and close the doors. Close the LiveStore first, so that watches end by themselves."""
        await self._doors.stop()
