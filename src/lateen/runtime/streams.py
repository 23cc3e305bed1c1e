"""Accepting streams on a listening socket, a task for each connection.

Why: asyncio's own stream server loses connections that come while it is closed, and logs a traceback for a handler that is
cancelled. Here each accepted socket belongs to a task from its first moment. Must not know what is said on a connection.
"""

import asyncio
import socket
from collections.abc import Callable, Coroutine

from lateen.runtime import log, tasks

__all__ = ["StreamServer"]

_PAUSE_SECONDS = 1.0

Converse = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]]


class StreamServer:
    """Runs `converse` for each connection and closes it after; over `most` at a time they are closed at once. `limit` in bytes.

    A connection that cannot be accepted (no files left) is logged, and tried again after a second. `stop` closes the listener.
    """

    def __init__(self, listener: socket.socket, converse: Converse, *, name: str, most: int | None = None, limit: int = 2**16) -> None:
        self._listener = listener
        self._converse = converse
        self._name = name
        self._most = most
        self._limit = limit
        self._paused: asyncio.TimerHandle | None = None
        self._open: set[asyncio.Task[None]] = set()
        self._fresh: set[socket.socket] = set()

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._open)

    def start(self) -> None:
        """Begin to accept."""
        self._listener.setblocking(False)
        asyncio.get_running_loop().add_reader(self._listener, self._accept)

    async def stop(self) -> None:
        """Accept no more and end what is open."""
        self._pause()
        if self._paused is not None:
            self._paused.cancel()
        self._listener.close()
        await tasks.cancel_all(*self._open)

    def _pause(self) -> None:
        if self._listener.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._listener)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            log.get("streams").error("cannot accept a connection, trying again", name=self._name, error=str(error), seconds=_PAUSE_SECONDS)
            self._pause()
            self._paused = asyncio.get_running_loop().call_later(_PAUSE_SECONDS, self.start)
            return
        if self._most is not None and len(self._open) >= self._most:
            connection.close()
            return
        connection.setblocking(False)
        self._fresh.add(connection)
        task = tasks.spawn(self._serve(connection), name=self._name)
        self._open.add(task)
        task.add_done_callback(lambda task: self._ended(task, connection))

    def _ended(self, task: asyncio.Task[None], connection: socket.socket) -> None:
        self._open.discard(task)
        if connection in self._fresh:
            self._fresh.remove(connection)
            connection.close()

    async def _serve(self, connection: socket.socket) -> None:
        self._fresh.remove(connection)
        reader, writer = await asyncio.open_connection(sock=connection, limit=self._limit)
        try:
            await self._converse(reader, writer)
        finally:
            writer.close()
