"""Accepting streams: connections end with their server, whatever they are doing."""

import asyncio
import errno
import socket
import warnings

import pytest

from lateen.runtime import streams
from lateen.runtime.streams import StreamServer


async def _until_closed(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(5):
        return await reader.read()


def test_stopping_ends_conversations_that_wait_and_those_that_never_began() -> None:
    """The client sees the end of both; no connection is left to the collector."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        await reader.read()

    async def main() -> list[bytes]:
        listener = socket.create_server(("127.0.0.1", 0))
        server = StreamServer(listener, converse, name="test")
        server.start()
        waiting, first = await asyncio.open_connection(*listener.getsockname())
        greeting = await waiting.readexactly(5)
        late = socket.create_connection(listener.getsockname())
        late.setblocking(False)
        other, second = await asyncio.open_connection(sock=late)
        await server.stop()
        said = [greeting, await _until_closed(waiting), await _until_closed(other)]
        first.close()
        second.close()
        return [*said, str(server.connections).encode()]

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        greeting, first, second, left = asyncio.run(main())
    assert (greeting, first, left) == (b"hello", b"", b"0")
    assert second in {b"", b"hello"}


def test_what_was_said_last_is_sent_whole() -> None:
    """More than the kernel takes at once, by a conversation that ends right after."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"x" * 8_000_000)

    async def main() -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        server = StreamServer(listener, converse, name="test")
        server.start()
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        size = len(await _until_closed(reader))
        writer.close()
        await server.stop()
        return size

    assert asyncio.run(main()) == 8_000_000


def test_without_files_left_it_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection waits in the kernel's queue meanwhile."""
    monkeypatch.setattr(streams, "_PAUSE_SECONDS", 0.01)

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")

    class Listener(socket.socket):
        failures = 3

        def accept(self) -> tuple[socket.socket, object]:
            if self.failures:
                self.failures -= 1
                raise OSError(errno.EMFILE, "Too many open files")
            return super().accept()

    async def main() -> bytes:
        listener = Listener()
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        server = StreamServer(listener, converse, name="test")
        server.start()
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        said = await _until_closed(reader)
        writer.close()
        await server.stop()
        return said

    assert asyncio.run(main()) == b"hello"


def test_over_the_limit_connections_are_closed_at_once() -> None:
    """The one that is open goes on."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(2))

    async def main() -> tuple[bytes, bytes]:
        listener = socket.create_server(("127.0.0.1", 0))
        server = StreamServer(listener, converse, name="test", most=1)
        server.start()
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(b"a")
        refused, closing = await asyncio.open_connection(*listener.getsockname())
        nothing = await _until_closed(refused)
        writer.write(b"b")
        said = await _until_closed(reader)
        writer.close()
        closing.close()
        await server.stop()
        return nothing, said

    assert asyncio.run(main()) == (b"", b"ab")
