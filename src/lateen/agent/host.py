"""The place of an agent that runs inside its pod, or on a machine: its own network and processes."""

import asyncio
import os
import socket
from collections.abc import Mapping, Sequence

from lateen.agent.protocols import Process

__all__ = ["Host", "connected"]


async def connected(made: socket.socket, host: str, port: int) -> socket.socket:
    """The non-blocking socket, connected; it is closed where that fails."""
    try:
        await asyncio.get_running_loop().sock_connect(made, (host, port))
    except BaseException:
        made.close()
        raise
    return made


class Host:
    """A `PodNetwork` and a `Launcher`."""

    async def listen_tcp(self, host: str, port: int) -> socket.socket:
        """A listening socket; OSError when the port is taken."""
        return _bound(socket.SOCK_STREAM, host, port)

    async def listen_udp(self, host: str, port: int) -> socket.socket:
        """A bound socket; OSError when the port is taken."""
        return _bound(socket.SOCK_DGRAM, host, port)

    async def connect(self, host: str, port: int) -> socket.socket:
        """A connected TCP socket."""
        made = socket.socket()
        made.setblocking(False)
        return await connected(made, host, port)

    async def launch(self, argv: Sequence[str], env: Mapping[str, str], uid: int, gid: int) -> Process:
        """As that user where the agent is root; else the agent's own is the only one that it can be."""
        become = {"user": uid, "group": gid, "extra_groups": []} if os.geteuid() == 0 else {}
        return _Running(await asyncio.create_subprocess_exec(*argv, env=dict(env), stdin=asyncio.subprocess.DEVNULL, **become))  # type: ignore[arg-type]


class _Running:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = process.pid

    async def wait(self) -> int:
        return await self._process.wait()

    async def send_signal(self, number: int) -> None:
        if self._process.returncode is None:
            self._process.send_signal(number)


def _bound(kind: socket.SocketKind, host: str, port: int) -> socket.socket:
    made = socket.socket(type=kind)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        if kind is socket.SOCK_STREAM:
            made.listen()
    except BaseException:
        made.close()
        raise
    made.setblocking(False)
    return made
