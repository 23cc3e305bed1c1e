"""This process's standard input for a command elsewhere: what is typed, as it is typed, and the size of the terminal.

Why a thread: a file, a pipe and a terminal can all be standard input, and only a blocking read serves them all; as a daemon it holds
nobody up whose command has ended. Must not print.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import termios
import threading
import tty
from collections.abc import AsyncIterator, Iterator

from lateen.runtime import tasks
from lateen.sources.kubeexec import ExecStream

__all__ = ["feed", "raw_terminal"]

_CHUNK = 1 << 14


async def feed(stream: ExecStream) -> None:
    """Hand standard input on to its end."""
    async for chunk in _chunks(sys.stdin.fileno()):
        await stream.write(chunk)
    await stream.close_input()


async def _chunks(descriptor: int) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[bytes] = asyncio.Queue()

    def read() -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the command has ended
            while chunk := os.read(descriptor, _CHUNK):
                asyncio.run_coroutine_threadsafe(queue.put(chunk), loop).result()
            loop.call_soon_threadsafe(queue.put_nowait, b"")

    threading.Thread(target=read, name="standard input", daemon=True).start()
    while chunk := await queue.get():
        yield chunk


@contextlib.contextmanager
def raw_terminal(stream: ExecStream) -> Iterator[None]:
    """The terminal hands on every key and tells its size inside the block; nothing happens where there is none."""
    descriptor = sys.stdin.fileno()
    if not os.isatty(descriptor):
        yield
        return
    loop = asyncio.get_running_loop()
    telling: list[asyncio.Task[None]] = []

    def resized() -> None:
        size = shutil.get_terminal_size()
        telling.append(tasks.spawn(stream.resize(size.columns, size.lines), name="size of the terminal"))

    before = termios.tcgetattr(descriptor)
    loop.add_signal_handler(signal.SIGWINCH, resized)
    try:
        tty.setraw(descriptor)
        resized()
        yield
    finally:
        loop.remove_signal_handler(signal.SIGWINCH)
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
