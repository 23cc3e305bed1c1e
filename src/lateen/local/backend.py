"""The node as the API sees it before there is one: the API starts first, since the node reads from it.

Must not do anything itself.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence

from lateen.kube.errors import bad_request
from lateen.kube.options import LogOptions
from lateen.local.node import Node
from lateen.serve.http_kube.node import ExecSession, TokenHolder

__all__ = ["Backend"]


class Backend:
    """A `NodeBackend`; set `node` when it runs."""

    def __init__(self) -> None:
        self.node: Node | None = None

    def logs(self, namespace: str, pod: str, container: str, options: LogOptions) -> AsyncIterator[bytes]:
        """A container's output."""
        return self._there().logs(namespace, pod, container, options)

    async def exec(self, namespace: str, pod: str, container: str, command: Sequence[str], *, tty: bool, stdin: bool) -> ExecSession:
        """Start a command in a container."""
        return await self._there().exec(namespace, pod, container, command, tty=tty, stdin=stdin)

    async def connect(self, namespace: str, pod: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to a port of a pod."""
        return await self._there().connect(namespace, pod, port)

    async def token(self, namespace: str, account: str, audiences: Sequence[str], seconds: int) -> tuple[str, int]:
        """A token of a service account, and when it expires."""
        return await self._there().token(namespace, account, audiences, seconds)

    async def holder(self, token: str) -> TokenHolder:
        """Whose token it is; ValueError where it is no good."""
        return await self._there().holder(token)

    def _there(self) -> Node:
        if self.node is None:
            raise bad_request("the node does not run yet: try again in a moment")
        return self.node
