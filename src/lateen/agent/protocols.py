"""What an agent needs from the place where its pod runs: sockets and processes inside the pod, and somebody who signs.

Why protocols: on the local node the agents are tasks of one process, outside their pods' namespaces; elsewhere an agent runs inside.
"""

import socket
from collections.abc import Mapping, Sequence
from typing import Protocol

__all__ = ["CertificateSource", "Launcher", "PodNetwork", "Process"]


class PodNetwork(Protocol):
    """Sockets in the pod's network, non-blocking."""

    async def listen_tcp(self, host: str, port: int) -> socket.socket: ...
    async def listen_udp(self, host: str, port: int) -> socket.socket: ...
    async def connect(self, host: str, port: int) -> socket.socket:
        """A connected TCP socket; OSError when there is nobody."""
        ...


class Process(Protocol):
    """A started program."""

    @property
    def pid(self) -> int: ...
    async def wait(self) -> int:
        """Its return code when it has ended, minus the number of the signal that ended it."""
        ...

    async def send_signal(self, number: int) -> None:
        """Nothing happens when it has ended."""
        ...


class Launcher(Protocol):
    """Starts programs inside the pod, with its standard output and error where the pod's logs go."""

    async def launch(self, argv: Sequence[str], env: Mapping[str, str], uid: int, gid: int) -> Process:
        """An exception with a sentence when it cannot be started."""
        ...


class CertificateSource(Protocol):
    """An authority that knows from the caller, not from the request, whose certificate it signs."""

    async def sign(self, csr_pem: bytes, ttl: float) -> Sequence[bytes]:
        """The chain in PEM, leaf first, root last; OSError or ValueError with a sentence when it is not given."""
        ...

    @property
    def revoked(self) -> bytes:
        """Lists of revoked certificates that peers must respect, in PEM."""
        ...

    async def changed(self) -> None:
        """Returns when what it signed last is not what it would sign now: the authority was replaced."""
        ...
