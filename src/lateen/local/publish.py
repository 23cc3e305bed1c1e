"""Ports of pods on the host: what is published, the listening sockets, and the relay from a socket to a pod.

Why: the sockets are opened on the host before the node leaves its network; the node accepts on them and connects to the pod
inside (docs/decisions/001). Must not know which pod serves: `target` is asked for each connection.
"""

import asyncio
import contextlib
import errno
import socket
import struct
from collections.abc import Callable, Iterable
from pathlib import Path

from msgspec import Struct

from lateen.runtime import log, tasks
from lateen.runtime.streams import StreamServer

__all__ = ["Publication", "PublishError", "Relay", "open_listeners", "parse_publication", "who_listens"]

_CHUNK = 65536
_CONNECT_SECONDS = 5.0


class PublishError(Exception):
    """A sentence saying why a port cannot be published, and what to do."""


class Publication(Struct, frozen=True, kw_only=True):
    """A port of a service, or of the pods behind it, on an address of the host."""

    service: str
    port: int
    host_port: int
    namespace: str = ""  # empty: the one the mesh's user works in
    address: str = "127.0.0.1"
    http: bool = False  # a client that cannot be served is told so in HTTP

    def __str__(self) -> str:
        return f"{self.service}{'.' + self.namespace if self.namespace else ''}:{self.port}"


def parse_publication(text: str) -> Publication:
    """`8081:reviews:9080` or `0.0.0.0:8081:reviews.default:9080`; PublishError says what is wrong."""
    words = text.rsplit(":", 2)
    address, _, host_port = words[0].rpartition(":")
    if len(words) != 3 or not words[1]:
        raise PublishError(f"--publish {text} is not HOST:SERVICE:PORT, such as 8081:reviews:9080 or 0.0.0.0:8081:reviews.default:9080.")
    name, _, namespace = words[1].partition(".")
    return Publication(
        service=name,
        namespace=namespace,
        port=_port(words[2], text),
        host_port=_port(host_port, text),
        address=address.strip("[]") or "127.0.0.1",
    )


def _port(text: str, whole: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise PublishError(f"--publish {whole}: {text!r} is not a port from 1 to 65535.")
    return int(text)


def open_listeners(publications: Iterable[Publication]) -> list[socket.socket]:
    """A listening socket on the host for each; all or none. PublishError names the port, who has it, and the way out."""
    with contextlib.ExitStack() as opened:
        listeners = [opened.enter_context(_listen(each)) for each in publications]
        opened.pop_all()
    return listeners


def _listen(each: Publication) -> socket.socket:
    family = socket.AF_INET6 if ":" in each.address else socket.AF_INET
    try:
        return socket.create_server((each.address, each.host_port), family=family, backlog=1024)
    except OSError as error:
        where = f"{each.address}:{each.host_port}"
        if error.errno == errno.EADDRINUSE:
            owner = who_listens(each.host_port) or "another process"
            raise PublishError(
                f"Port {where} is taken by {owner}: end that, or publish {each} elsewhere with --publish {_other(each.host_port)}:{each}."
            ) from None
        if error.errno == errno.EACCES:
            raise PublishError(
                f"Port {where} is for root only: publish {each} above 1023, with --publish {_other(each.host_port)}:{each}."
            ) from None
        raise PublishError(f"Port {where} cannot be published: {error.strerror}. Use an address of this machine.") from None


def _other(port: int) -> int:
    return port + 1 if 1023 <= port < 65535 else 8000 + port % 1000


def who_listens(port: int) -> str:
    """Who listens on that TCP port of this network, as far as this user may see: `nginx (process 123)`."""
    inodes = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        rows = table.read_text().splitlines()[1:] if table.exists() else []
        fields = [row.split() for row in rows]
        inodes |= {row[9] for row in fields if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            for descriptor in (process / "fd").iterdir():
                if str(descriptor.readlink()).removeprefix("socket:[").rstrip("]") in inodes:
                    return f"{(process / 'comm').read_text().strip()} (process {process.name})"
    return ""


class Relay:
    """Accepts on one published socket and joins each connection with one to `target()`, in both directions.

    `target` gives the pod's address and port, or None while there is none.
    """

    def __init__(self, listener: socket.socket, publication: Publication, target: Callable[[], tuple[str, int] | None]) -> None:
        self._publication = publication
        self._target = target
        self._server = StreamServer(listener, self._join, name=f"published {publication}", limit=_CHUNK)

    @property
    def connections(self) -> int:
        """How many are joined now."""
        return self._server.connections

    async def start(self) -> None:
        """Begin to accept."""
        self._server.start()

    async def stop(self) -> None:
        """Accept no more and cut what is joined."""
        await self._server.stop()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Both directions until each has ended; when one breaks off, so does the other."""
        there = await self._connect()
        if isinstance(there, str):
            await self._apologize(there, writer)
            return
        pod_reader, pod_writer = there
        inwards = tasks.spawn(_copy(reader, pod_writer), name="relay to a pod")
        outwards = tasks.spawn(_copy(pod_reader, writer), name="relay from a pod")
        whole = False
        try:
            first, second = await _in_order_of_ending(inwards, outwards)
            whole = await first and await second
        finally:
            await tasks.cancel_all(inwards, outwards)
            for each in (writer, pod_writer):
                each.close() if whole else _reset(each)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | str:
        """The connection to the pod, or a sentence saying why there is none."""
        target = self._target()
        if target is None:
            return f"No pod of {self._publication} is ready."
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                return await asyncio.open_connection(*target, limit=_CHUNK)
        except OSError as error:  # a timeout is one, too
            return f"The pod of {self._publication} at {target[0]}:{target[1]} cannot be reached: {error.strerror or 'no answer'}."

    async def _apologize(self, sentence: str, writer: asyncio.StreamWriter) -> None:
        log.get("publish").warning(sentence, port=self._publication.host_port)
        if self._publication.http:
            body = f"lateen: {sentence} See `lateen status`.\n".encode()
            head = (
                f"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
            )
            writer.write(head.encode() + body)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close so that the other end sees a break, not an end: what it has may not be all."""
    connection = writer.get_extra_info("socket")  # none when it is closed already
    if connection and connection.fileno() >= 0:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("=ii", 1, 0))
    writer.transport.abort()


async def _in_order_of_ending(*running: asyncio.Task[bool]) -> list[asyncio.Task[bool]]:
    done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    return sorted(running, key=lambda each: each not in done)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Hand bytes on as fast as the other side takes them, then their end; False when a side broke off."""
    try:
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        return False
    return True
