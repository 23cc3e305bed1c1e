"""The node's side of the first process: starts programs in pods, makes and clears pods' namespaces, and hears of exits.

Why: see `spawnwire`. All methods belong to the event loop in which `start` was called. Must not know what a pod is for.
"""

import asyncio
import contextlib
import itertools
import os
import signal
import socket
from collections.abc import Mapping, Sequence
from typing import TypeVar

from lateen.local.mounts import View
from lateen.local.spawnwire import (
    Answer,
    Clear,
    Kill,
    MakePod,
    MakeView,
    Mount,
    Request,
    Run,
    User,
    pair,
    receive,
    receive_answer,
    receive_exit,
    send,
)

__all__ = ["Mount", "Process", "SpawnError", "Spawner", "User"]

_ANSWER_SECONDS = 30.0
T = TypeVar("T")


class SpawnError(Exception):
    """A sentence saying why a program or a pod's namespaces could not be started."""


class Process:
    """A program running in a pod."""

    def __init__(self, spawner: "Spawner", number: int, exited: asyncio.Future[int]) -> None:
        self._spawner = spawner
        self._number = number
        self._exited = exited
        self.pid = 0  # as the node sees it

    @property
    def returncode(self) -> int | None:
        """None while it runs, then its exit code, or minus the number of the signal that ended it."""
        return self._exited.result() if self._exited.done() else None

    async def wait(self) -> int:
        """The return code, when it has ended."""
        return await asyncio.shield(self._exited)

    async def send_signal(self, number: int) -> None:
        """Send a signal to the process; nothing happens when it has ended. SIGKILL reaches its whole process group."""
        if self.returncode is None:
            await self._spawner.tell(Kill(id=self._number, signal=number))

    async def terminate(self) -> None:
        """Ask it to end."""
        await self.send_signal(signal.SIGTERM)

    async def kill(self) -> None:
        """End it and what it started in its process group."""
        await self.send_signal(signal.SIGKILL)

    def end_rest(self) -> None:
        """End what it left behind in its process group, when it has ended itself."""
        if self.returncode is not None and self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)


class Spawner:
    """The door to the first process; one per node."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._numbers = itertools.count(1)
        self._exits: dict[int, asyncio.Future[int]] = {}
        self._sending = asyncio.Lock()

    def start(self) -> None:
        """Begin to hear of exits, in the running loop."""
        self._channel.setblocking(False)
        asyncio.get_running_loop().add_reader(self._channel.fileno(), self._hear)

    def stop(self) -> None:
        """Hear no more; processes that still run end with the node."""
        asyncio.get_running_loop().remove_reader(self._channel.fileno())

    async def run(
        self,
        argv: Sequence[str],
        namespaces: Sequence[int],
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
        """Start a program in the namespaces (network, mounts, host name); see `namespaces.NetNS.popen`."""
        number = next(self._numbers)
        request = Run(
            id=number, argv=tuple(argv), env=dict(env), cwd=cwd, user=user, mounts=tuple(mounts), terminal=terminal,
            beside=beside.pid if beside else 0,
        )  # fmt: skip
        exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._exits[number] = exited
        process = Process(self, number, exited)
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        try:
            stdio = [null if each is None else each for each in (stdin, stdout, stderr)]
            answer, _ = await self._ask(request, [*stdio, *namespaces], until_closed=True)
        except BaseException:
            self._exits.pop(number, None)
            await self.tell(Kill(id=number, signal=signal.SIGKILL))
            raise
        finally:
            os.close(null)
        process.pid = answer.pid
        return process

    async def make_view(self, view: View, stage: str) -> int:
        """Build the root that pods copy; a descriptor for `make_pod`. `stage` is an empty folder."""
        _, descriptors = await self._ask(MakeView(view=view, stage=stage), [])
        return descriptors[0]

    async def make_pod(self, pod: MakePod, view: int) -> tuple[int, ...]:
        """Make a pod's namespaces; descriptors of network, mounts and host name."""
        return (await self._ask(pod, [view]))[1]

    async def clear(self, link: str, kept_at: str, network: int | None) -> None:
        """Kill all that runs in a pod's network namespace, if there is one, and remove its link."""
        await self._ask(Clear(link=link, kept_at=kept_at), [] if network is None else [network])

    async def tell(self, request: Request, descriptors: Sequence[int] = ()) -> None:
        """Send a request that has no answer."""
        async with self._sending:
            while True:
                try:
                    send(self._channel, request, descriptors)
                    return
                except ValueError as error:
                    raise SpawnError(str(error)) from None
                except BlockingIOError:
                    await self._writable()

    async def _ask(self, request: Request, descriptors: Sequence[int], *, until_closed: bool = False) -> tuple[Answer, tuple[int, ...]]:
        ours, theirs = pair()
        ours.setblocking(False)
        with ours:
            with theirs:
                await self.tell(request, [theirs.fileno(), *descriptors])
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    data, received = await _packet(ours)
                    answer = receive_answer(data)
                    if until_closed and not answer.error:
                        last, _ = await _packet(ours)  # closed by the exec, unless that fails
                        answer = receive_answer(last) if last else answer
            except TimeoutError:
                raise SpawnError(f"The node's first process did not answer within {_ANSWER_SECONDS:.0f} s.") from None
        if answer.error:
            raise SpawnError(answer.error)
        return answer, received

    async def _writable(self) -> None:
        loop, ready = asyncio.get_running_loop(), asyncio.get_running_loop().create_future()
        loop.add_writer(self._channel.fileno(), lambda: None if ready.done() else ready.set_result(None))
        try:
            await ready
        finally:
            loop.remove_writer(self._channel.fileno())

    def _hear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while data := receive(self._channel)[0]:
                notice = receive_exit(data)
                exited = self._exits.pop(notice.id, None)
                if exited and not exited.done():
                    exited.set_result(notice.code)
            self.stop()  # closed: the first process is gone, and this one with it in a moment


async def _packet(channel: socket.socket) -> tuple[bytes, tuple[int, ...]]:
    loop, ready = asyncio.get_running_loop(), asyncio.get_running_loop().create_future()
    loop.add_reader(channel.fileno(), lambda: None if ready.done() else ready.set_result(None))
    try:
        await ready
        return receive(channel)
    finally:
        loop.remove_reader(channel.fileno())
