"""What the API needs of the node that runs the pods: logs, commands inside containers, connections to ports, tokens of accounts.

Must not know how pods are run. An implementation refuses with `kube.errors` (`bad_request("container x in pod y is waiting to start")`).
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from msgspec import Struct

from lateen.kube.options import LogOptions

__all__ = ["STDERR", "STDOUT", "ExecSession", "NodeBackend", "TokenHolder"]

STDOUT, STDERR = 1, 2


class ExecSession(Protocol):
    """One command that runs in a container."""

    def output(self) -> AsyncIterator[tuple[int, bytes]]:
        """Chunks of STDOUT and STDERR until both are closed."""
        ...

    async def write(self, data: bytes) -> None:
        """Bytes for the command's standard input."""

    async def close_input(self) -> None:
        """The end of its standard input."""

    async def resize(self, columns: int, rows: int) -> None:
        """The client's terminal changed its size."""

    async def wait(self) -> int:
        """The exit code, after `output` has ended; 128 + signal where one ended it."""
        ...

    async def kill(self) -> None:
        """The client left: end the command. Also called, harmlessly, after it has ended."""


class TokenHolder(Struct, frozen=True, kw_only=True):
    """The service account whose token it is, for whom it is meant, and the pod (with its uid) that it is bound to, if to one."""

    namespace: str
    account: str
    audiences: tuple[str, ...]
    pod: str = ""
    uid: str = ""


class NodeBackend(Protocol):
    """The node as the API sees it."""

    def logs(self, namespace: str, pod: str, container: str, options: LogOptions) -> AsyncIterator[bytes]:
        """A container's output; with `follow` until the container ends."""
        ...

    async def exec(self, namespace: str, pod: str, container: str, command: Sequence[str], *, tty: bool, stdin: bool) -> ExecSession:
        """Start a command in a container."""
        ...

    async def connect(self, namespace: str, pod: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to a port of the pod, from within; OSError where nobody listens."""
        ...

    async def token(self, namespace: str, account: str, audiences: Sequence[str], seconds: int) -> tuple[str, int]:
        """A token of a service account, and the time (seconds since 1970) at which it expires."""
        ...

    async def holder(self, token: str) -> TokenHolder:
        """Whose token of this node it is; ValueError with a sentence where it is no good (any more)."""
        ...
