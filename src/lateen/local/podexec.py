"""A command inside a running container, with its streams, for `exec`.

Why beside the container's program: it sees the same files, as the same user. With a terminal, its streams are one pseudo-terminal.
Must not know HTTP.
"""

import asyncio
import contextlib
import fcntl
import os
import pty
import struct
import termios
from collections.abc import AsyncIterator, Sequence

from lateen.kube.errors import bad_request
from lateen.local.sandbox import Launch, Sandbox
from lateen.local.spawner import Process, SpawnError
from lateen.runtime import tasks
from lateen.serve.http_kube.node import STDERR, STDOUT

__all__ = ["Command", "start_command"]

_CHUNK = 65536
_MOST_WAITING = 64
_LAST_WORDS_SECONDS = 0.5


class Command:
    """An `ExecSession`: see `serve.http_kube.node`."""

    def __init__(self, process: Process, inputs: int, outputs: Sequence[tuple[int, int]]) -> None:
        self._process = process
        self._input = inputs
        self._outputs = outputs
        self._queue: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue(_MOST_WAITING)
        self._reading = [tasks.spawn(self._read(channel, file), name="exec output") for channel, file in outputs]

    async def output(self) -> AsyncIterator[tuple[int, bytes]]:
        """Chunks of standard output and error until both are closed, or the command has ended and said its last."""
        ended = tasks.spawn(self._process.wait(), name="exec end")
        reading = tasks.spawn(self._read_all(), name="exec outputs")
        try:
            while True:
                getting = tasks.spawn(self._queue.get(), name="exec chunk")
                waits: set[asyncio.Task[object]] = {getting, reading} if ended.done() else {getting, reading, ended}
                timeout = _LAST_WORDS_SECONDS if ended.done() else None
                await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
                if getting.done():
                    yield getting.result()
                    continue
                await tasks.cancel_all(getting)
                if reading.done() or (ended.done() and timeout is not None):
                    break
            while not self._queue.empty():
                yield self._queue.get_nowait()
        finally:
            await tasks.cancel_all(ended, reading, *self._reading)  # nobody may wait for a descriptor that is closed
            self._close()

    async def write(self, data: bytes) -> None:
        """Bytes for its standard input."""
        while data and self._input >= 0:
            try:
                data = data[os.write(self._input, data) :]
            except BlockingIOError:
                await _ready(self._input, writing=True)
            except OSError:
                return  # it reads no more

    async def close_input(self) -> None:
        """The end of its standard input."""
        if self._input >= 0 and all(self._input != file for _, file in self._outputs):
            os.close(self._input)
        elif self._input >= 0:
            await self.write(b"\x04")  # a terminal's end of file
        self._input = -1

    async def resize(self, columns: int, rows: int) -> None:
        """The client's terminal changed its size."""
        for _, file in self._outputs:
            with contextlib.suppress(OSError):
                fcntl.ioctl(file, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    async def wait(self) -> int:
        """Its exit code; 128 + signal where one ended it."""
        code = await self._process.wait()
        return code if code >= 0 else 128 - code

    async def kill(self) -> None:
        """End it."""
        await self._process.kill()
        await tasks.cancel_all(*self._reading)
        self._close()

    def _close(self) -> None:
        for file in {self._input, *(file for _, file in self._outputs)} - {-1}:
            os.close(file)
        self._input, self._outputs = -1, ()

    async def _read_all(self) -> None:
        await asyncio.gather(*self._reading, return_exceptions=True)

    async def _read(self, channel: int, file: int) -> None:
        while True:
            try:
                data = os.read(file, _CHUNK)
            except BlockingIOError:
                await _ready(file, writing=False)
                continue
            except OSError:
                return  # a terminal whose other end is closed
            if not data:
                return
            await self._queue.put((channel, data))


async def _ready(file: int, *, writing: bool) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    add, remove = (loop.add_writer, loop.remove_writer) if writing else (loop.add_reader, loop.remove_reader)
    add(file, lambda: None if ready.done() else ready.set_result(None))
    try:
        await ready
    finally:
        remove(file)


async def start_command(sandbox: Sandbox, process: Process, launch: Launch, command: Sequence[str], *, tty: bool, stdin: bool) -> Command:
    """Start it beside `process`; ApiError with a sentence when that is not possible."""
    ends: tuple[int, tuple[tuple[int, int], ...]]
    if tty:
        master, slave = pty.openpty()
        ours, theirs = [master], [slave]
        streams = (slave, slave, slave)
        ends = (os.dup(master), ((STDOUT, master),))
        ours.append(ends[0])
    else:
        (in_read, in_write), (out_read, out_write), (err_read, err_write) = (os.pipe2(os.O_CLOEXEC) for _ in range(3))
        ours, theirs = [in_write, out_read, err_read], [in_read, out_write, err_write]
        streams = (in_read, out_write, err_write)
        ends = (in_write, ((STDOUT, out_read), (STDERR, err_read)))
    try:
        for file in ours:
            os.set_blocking(file, False)
        env = {**launch.env, **({"TERM": "xterm"} if tty else {})}
        started = await sandbox.popen(
            command, env=env, user=launch.user, cwd=launch.cwd, stdin=streams[0], stdout=streams[1], stderr=streams[2], terminal=tty,
            beside=process,
        )  # fmt: skip
    except SpawnError as error:
        for file in ours:
            os.close(file)
        raise bad_request(f"the command cannot be started: {error}") from None
    finally:
        for file in theirs:
            os.close(file)
    session = Command(started, *ends)
    if not stdin:
        await session.close_input()
    return session
