"""The name server on loopback sockets: who is asked when the mesh does not know, and what happens when nobody answers."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable

from dnslib import QTYPE, RCODE, RR, A, DNSRecord

from lateen.dns.table import Client, NameEntry, NameTable
from lateen.serve.udp_dns import DnsServer, Resolver

TABLE = NameTable.build([NameEntry(host="reviews.default.svc.cluster.local", ips=("10.96.0.1",), namespace="default", shortname="reviews")])


def bound(kind: socket.SocketKind) -> socket.socket:
    made = socket.socket(socket.AF_INET, kind)
    made.bind(("127.0.0.1", 0))
    made.setblocking(False)
    if kind == socket.SOCK_STREAM:
        made.listen()
    return made


def address(of: socket.socket) -> Resolver:
    host, port = of.getsockname()
    return str(host), int(port)


class Resolving(asyncio.DatagramProtocol):
    """A resolver that knows every name; first it sends an answer to another query, as a forger would."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: object) -> None:
        query = DNSRecord.parse(data)
        forged = query.reply()
        forged.header.id ^= 1
        forged.add_answer(RR(query.q.qname, QTYPE.A, rdata=A("6.6.6.6")))
        right = query.reply()
        right.add_answer(RR(query.q.qname, QTYPE.A, rdata=A("1.1.1.1")))
        for reply in (forged, right):
            self.transport.sendto(bytes(reply.pack()), addr)  # type: ignore[attr-defined]


def serve(resolvers: list[Resolver], act: Callable[[DnsServer, Resolver, Resolver], Awaitable[None]]) -> None:
    """Run `act` with a server that has TABLE, and its UDP and TCP addresses."""

    async def run() -> None:
        udp, tcp = bound(socket.SOCK_DGRAM), bound(socket.SOCK_STREAM)
        server = DnsServer(udp, tcp, Client("default"), resolvers, resolver_seconds=0.1)
        server.table = TABLE
        await server.start()
        try:
            async with asyncio.timeout(10):
                await act(server, address(udp), address(tcp))
        finally:
            await server.stop()

    asyncio.run(run())


async def ask(server: Resolver, name: str) -> DNSRecord:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, server)
        await loop.sock_sendall(client, bytes(DNSRecord.question(name).pack()))
        return DNSRecord.parse(await loop.sock_recv(client, 65_535))


def test_next_resolver_is_asked_when_one_is_silent() -> None:
    """The first resolver is a socket that nobody reads; the second answers, and a forged answer before its own is ignored."""

    async def act(server: DnsServer, udp: Resolver, _tcp: Resolver) -> None:
        live = bound(socket.SOCK_DGRAM)
        server._resolvers = (address(silent), address(live))
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Resolving, sock=live)
        try:
            assert [str(rr.rdata) for rr in (await ask(udp, "www.example.com")).rr] == ["1.1.1.1"]
        finally:
            transport.close()
        assert (server.counters.requests, server.counters.upstream_requests, server.counters.upstream_failures) == (1, 2, 1)

    with bound(socket.SOCK_DGRAM) as silent:
        serve([], act)


def test_all_resolvers_silent_is_a_failure_and_mesh_names_go_on() -> None:
    """SERVFAIL for the world's names; a mesh name asked meanwhile is answered at once."""

    async def act(_server: DnsServer, udp: Resolver, _tcp: Resolver) -> None:
        world = asyncio.get_running_loop().create_task(ask(udp, "www.example.com"))
        assert [str(rr.rdata) for rr in (await ask(udp, "reviews")).rr] == ["10.96.0.1"]
        assert not world.done()
        assert (await world).header.rcode == RCODE.SERVFAIL

    with bound(socket.SOCK_DGRAM) as silent:
        serve([address(silent)], act)


def test_without_resolvers_an_unknown_name_does_not_exist() -> None:
    """NXDOMAIN at once: an application's mistake shows as one."""

    async def act(_server: DnsServer, udp: Resolver, _tcp: Resolver) -> None:
        assert (await ask(udp, "www.example.com")).header.rcode == RCODE.NXDOMAIN

    serve([], act)


def test_one_tcp_connection_carries_many_queries() -> None:
    """RFC 7766: clients may send one query after the other on one connection."""

    async def act(_server: DnsServer, _udp: Resolver, tcp: Resolver) -> None:
        reader, writer = await asyncio.open_connection(*tcp)
        for _ in range(3):
            query = bytes(DNSRecord.question("reviews").pack())
            writer.write(struct.pack("!H", len(query)) + query)
            (length,) = struct.unpack("!H", await reader.readexactly(2))
            assert DNSRecord.parse(await reader.readexactly(length)).rr
        writer.close()

    serve([], act)


def test_stop_ends_connections_and_forwarded_queries() -> None:
    """A pod that goes leaves no task behind."""

    async def act(server: DnsServer, udp: Resolver, tcp: Resolver) -> None:
        reader, writer = await asyncio.open_connection(*tcp)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.connect(udp)
            client.send(bytes(DNSRecord.question("www.example.com").pack()))
            await asyncio.get_running_loop().sock_recv(silent, 512)
            await server.stop()
        assert not server._forwarded
        assert await reader.read() == b""
        writer.close()

    with bound(socket.SOCK_DGRAM) as silent:
        serve([address(silent)], act)
