"""A sidecar's name server on its sockets, UDP and TCP: answers from the mesh's names, forwards the rest to resolvers in order.

Why ours: Envoy's own DNS filter answers NXDOMAIN where a name lacks a record, and has no TCP (decision D8). Each forwarded query has
a socket and so a port of its own, and only an answer to that very query is passed on. Must not decide what a name means.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable, Sequence

from dnslib import DNSError

from lateen.dns.answer import Forward, answer, fit, is_answer_to
from lateen.dns.table import Client, NameTable
from lateen.runtime import tasks
from lateen.runtime.streams import StreamServer

__all__ = ["DnsCounters", "DnsServer", "Resolver"]

Resolver = tuple[str, int]  # address, port

_MOST_FORWARDED = 512  # at the same time; what comes on top is dropped, and asked again by its client
_MOST_CONNECTIONS = 128
_IDLE_SECONDS = 10.0


class DnsCounters:
    """What was asked and how the resolvers did, since the start."""

    def __init__(self) -> None:
        self.requests = 0
        self.upstream_requests = 0
        self.upstream_failures = 0


class DnsServer:
    """Serves one client (a pod) on a bound UDP and a listening TCP socket. Until `table` is set everything is answered SERVFAIL."""

    def __init__(
        self, udp: socket.socket, tcp: socket.socket, client: Client, resolvers: Sequence[Resolver], *, resolver_seconds: float = 2.0
    ) -> None:
        self.table: NameTable | None = None
        self.counters = DnsCounters()
        self._socket = udp
        self._client = client
        self._resolvers = tuple(resolvers)
        self._resolver_seconds = resolver_seconds
        self._forwarded: set[asyncio.Task[None]] = set()
        self._streams = StreamServer(tcp, self._connected, name="dns over tcp", most=_MOST_CONNECTIONS)
        self._datagrams: asyncio.DatagramTransport | None = None
        self._datagrams_closed = asyncio.Event()

    async def start(self) -> None:
        """Begin to answer."""
        loop = asyncio.get_running_loop()
        self._datagrams, _ = await loop.create_datagram_endpoint(
            lambda: _Datagrams(self._on_datagram, self._datagrams_closed), sock=self._socket
        )
        self._streams.start()

    async def stop(self) -> None:
        """Close the sockets and give up what is under way."""
        if self._datagrams is not None:
            self._datagrams.close()
            await self._datagrams_closed.wait()
        await self._streams.stop()
        await tasks.cancel_all(*self._forwarded)

    def _on_datagram(self, query: bytes, sender: object) -> None:
        """A UDP query: answered at once, or forwarded meanwhile."""
        self.counters.requests += 1
        result = answer(query, self.table, self._client, udp=True)
        if isinstance(result, bytes):
            self._send(result, sender)
        elif result is not None and len(self._forwarded) < _MOST_FORWARDED:
            task = tasks.spawn(self._forward_datagram(query, result, sender), name="dns forward")
            self._forwarded.add(task)
            task.add_done_callback(self._forwarded.discard)

    def _send(self, response: bytes, receiver: object) -> None:
        if self._datagrams is not None and not self._datagrams.is_closing():
            self._datagrams.sendto(response, receiver)  # type: ignore[arg-type]  # an address as it came from the socket

    async def _forward_datagram(self, query: bytes, forward: Forward, sender: object) -> None:
        self._send(await self._forward(query, forward, over_tcp=False), sender)

    async def _forward(self, query: bytes, forward: Forward, *, over_tcp: bool) -> bytes:
        if not self._resolvers:
            return forward.nobody
        for resolver in self._resolvers:
            self.counters.upstream_requests += 1
            try:
                async with asyncio.timeout(self._resolver_seconds):
                    response = await (_ask_tcp(resolver, query) if over_tcp else _ask_udp(resolver, query))
                return fit(response, forward.limit)
            except (OSError, TimeoutError, EOFError, DNSError):
                self.counters.upstream_failures += 1
        return forward.failed

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError):  # a timeout is an OSError
            while True:
                async with asyncio.timeout(_IDLE_SECONDS):
                    query = await _read(reader)
                response = await self._respond(query)
                if response is None:
                    return
                writer.write(_framed(response))
                async with asyncio.timeout(_IDLE_SECONDS):
                    await writer.drain()

    async def _respond(self, query: bytes) -> bytes | None:
        self.counters.requests += 1
        result = answer(query, self.table, self._client, udp=False)
        return await self._forward(query, result, over_tcp=True) if isinstance(result, Forward) else result


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, received: Callable[[bytes, object], None], closed: asyncio.Event) -> None:
        self._received = received
        self._closed = closed

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._received(data, addr)

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed.set()


class _Exchange(asyncio.DatagramProtocol):
    """One query to one resolver; anything that is not its answer is ignored."""

    def __init__(self, query: bytes) -> None:
        self._query = query
        self.response: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: object) -> None:
        if not self.response.done() and is_answer_to(self._query, data):
            self.response.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self.response.done():
            self.response.set_exception(exc)


async def _ask_udp(resolver: Resolver, query: bytes) -> bytes:
    transport, exchange = await asyncio.get_running_loop().create_datagram_endpoint(lambda: _Exchange(query), remote_addr=resolver)
    try:
        transport.sendto(query)
        return await exchange.response
    finally:
        transport.close()


async def _ask_tcp(resolver: Resolver, query: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*resolver)
    try:
        writer.write(_framed(query))
        response = await _read(reader)
        if not is_answer_to(query, response):
            raise EOFError("the resolver answered something else")
        return response
    finally:
        writer.close()


async def _read(reader: asyncio.StreamReader) -> bytes:
    (length,) = struct.unpack("!H", await reader.readexactly(2))
    return await reader.readexactly(length)


def _framed(message: bytes) -> bytes:
    return struct.pack("!H", len(message)) + message
