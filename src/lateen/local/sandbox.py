"""What containers need of the pod that they run in, and of the world beyond it.

Why protocols: containers, probes and sidecars are tested without namespaces. `namespaces.NetNS` and `spawner.Process` are the real
ones. Must not hold behaviour.
"""

import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from lateen.local.spawner import Mount, Process, User

__all__ = ["CannotStartError", "Launch", "Recorder", "Sandbox"]


class Launch(Struct, frozen=True, kw_only=True):
    """A program to start: what, as whom, where."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    user: User
    cwd: str = "/"
    mounts: tuple[Mount, ...] = ()


class CannotStartError(Exception):
    """A container cannot be started yet: `reason` as Kubernetes names it, and a sentence."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Sandbox(Protocol):
    """A pod's namespaces."""

    @property
    def address(self) -> str:
        """The pod's address."""
        ...

    def socket(self, family: int = ..., kind: int = ..., *, bind: tuple[str, int] | None = None, listen: int = 0) -> socket.socket:
        """A socket in the pod's network."""
        ...

    async def popen(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        user: User,
        cwd: str = "/",
        mounts: Sequence[Mount] = (),
        stdin: int | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
        terminal: bool = False,
        beside: Process | None = None,
    ) -> Process:
        """Start a program in the pod."""
        ...


# Tells an event: whether it is Normal or Warning, its reason, its message.
Recorder = Callable[[str, str, str], None]
