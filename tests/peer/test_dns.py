"""Istio's DNS client cases: the name table, the answers, and what goes to the upstream resolver, on real sockets."""

import asyncio
import json
import socket
import struct
from pathlib import Path
from typing import Any, cast

import pytest
from dnslib import EDNS0, QTYPE, RCODE, RR, A, DNSRecord

from lateen.dns.table import Client, NameEntry, NameTable, alternate_names
from lateen.serve.udp_dns import DnsServer

pytestmark = pytest.mark.copied_from("istio/istio", "pkg/dns/client/dns_test.go", "see shared/cases/dns/SOURCE.md")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per query and transport."""
    file = Path(metafunc.config.getoption("--cases")) / "dns" / "expected.json"
    cases: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {"queries": [], "alternateHosts": []}
    if "query" in metafunc.fixturenames:
        pairs = [(cases, query, transport) for query in cases["queries"] for transport in query["transports"]]
        metafunc.parametrize(("cases", "query", "transport"), pairs, ids=[f"{query['name']} ({how})" for _, query, how in pairs])
    elif "alternate" in metafunc.fixturenames:
        metafunc.parametrize(("cases", "alternate"), [(cases, each) for each in cases["alternateHosts"]])


def entries(cases: dict[str, Any]) -> list[NameEntry]:
    """The recorded name table."""
    return [
        NameEntry(
            host=host,
            ips=tuple(info["ips"]),
            registry=info["registry"],
            namespace=info.get("namespace", ""),
            shortname=info.get("shortname", ""),
            alt_hosts=tuple(info.get("altHosts", ())),
        )
        for host, info in cases["nameTable"].items()
    ]


def upstream_answer(query: bytes, upstream: dict[str, Any]) -> bytes:
    """The case's resolver."""
    asked = DNSRecord.parse(query)
    reply = asked.reply()
    name = str(asked.q.qname)
    if name == "giant.":
        for n in range(64):
            reply.add_answer(RR("aaaaaaaaaaaa.aaaaaa", QTYPE.A, ttl=0, rdata=A(f"240.0.0.{n}")))
    elif name in upstream["A"]:
        reply.add_answer(RR(name, QTYPE.A, ttl=0, rdata=A(upstream["A"][name])))
    else:
        reply.header.rcode = RCODE.NXDOMAIN
    return bytes(reply.pack())


class Upstream(asyncio.DatagramProtocol):
    """The resolver on UDP."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        assert self.transport is not None
        self.transport.sendto(upstream_answer(data, self.answers), addr)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The resolver on TCP."""
        (length,) = struct.unpack("!H", await reader.readexactly(2))
        response = upstream_answer(await reader.readexactly(length), self.answers)
        writer.write(struct.pack("!H", len(response)) + response)
        writer.close()


def bound(kind: socket.SocketKind, port: int = 0) -> socket.socket:
    made = socket.socket(socket.AF_INET, kind)
    made.bind(("127.0.0.1", port))
    made.setblocking(False)
    if kind == socket.SOCK_STREAM:
        made.listen()
    return made


async def over_udp(port: int, query: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setblocking(False)
        await loop.sock_connect(client, ("127.0.0.1", port))
        await loop.sock_sendall(client, query)
        return await loop.sock_recv(client, 65_535)


async def over_tcp(port: int, query: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(struct.pack("!H", len(query)) + query)
    (length,) = struct.unpack("!H", await reader.readexactly(2))
    response = await reader.readexactly(length)
    writer.close()
    return response


async def exchange(cases: dict[str, Any], query: bytes, transport: str) -> bytes:
    """Ask our server, with the case's resolver behind it."""
    upstream = Upstream(cases["server"]["upstream"])
    upstream_tcp = bound(socket.SOCK_STREAM)
    port = upstream_tcp.getsockname()[1]
    datagrams, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: upstream, sock=bound(socket.SOCK_DGRAM, port))
    streams = await asyncio.start_server(upstream.connected, sock=upstream_tcp)
    udp, tcp = bound(socket.SOCK_DGRAM), bound(socket.SOCK_STREAM)
    client = Client(cases["server"]["proxyNamespace"], cases["server"]["searchNamespaces"][0])
    server = DnsServer(udp, tcp, client, [("127.0.0.1", port)])
    server.table = NameTable.build(entries(cases))
    await server.start()
    try:
        async with asyncio.timeout(5):
            if transport == "udp":
                return await over_udp(udp.getsockname()[1], query)
            return await over_tcp(tcp.getsockname()[1], query)
    finally:
        await server.stop()
        streams.close()
        datagrams.close()


def test_query(cases: dict[str, Any], query: dict[str, Any], transport: str) -> None:
    """The answer of the case: its code where given, and its records in any order of addresses."""
    asked = DNSRecord.question(query["query"]["name"], query["query"]["type"])
    if "edns0UdpSize" in query["query"]:
        asked.add_ar(EDNS0(udp_len=query["query"]["edns0UdpSize"]))
    said = DNSRecord.parse(asyncio.run(exchange(cases, bytes(asked.pack()), transport)))
    assert said.header.id == asked.header.id
    if "rcode" in query["expect"]:
        assert RCODE[said.header.rcode] == query["expect"]["rcode"]
    if isinstance(query["expect"]["answers"], list):
        expected = sorted((each["name"], each["type"], each["data"]) for each in query["expect"]["answers"])
        assert sorted((str(rr.rname), QTYPE[rr.rtype], str(rr.rdata)) for rr in said.rr) == expected
    else:
        assert said.rr, "it was to be forwarded and answered"


def test_alternate_hosts(cases: dict[str, Any], alternate: dict[str, Any]) -> None:
    """The set of names under which a host is known; Istio's also has each host as written, without its last dot."""
    names: set[str] = set()
    for entry in entries(cases):
        names |= {entry.host, *alternate_names(entry, cases["server"]["proxyNamespace"])}
    assert {name for name in names if name.startswith(alternate["startsWith"])} == set(alternate["expected"])
