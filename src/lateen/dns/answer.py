"""From a DNS query's bytes to an answer's, out of the mesh's names; what they do not cover is handed on.

Rules, as Istio's DNS proxy has them: TTL 30 s; a name that the mesh knows but that has no address of the wanted family is answered
empty, never with NXDOMAIN; a name found by the client's search domain is answered with a CNAME and the addresses behind it; the
addresses' order turns with the query's id; an answer too long for UDP is cut and marked. Must not open sockets or wait.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address

from dnslib import AAAA, CLASS, CNAME, EDNS0, QR, QTYPE, RCODE, RR, A, DNSError, DNSHeader, DNSLabel, DNSRecord
from msgspec import Struct

from lateen.dns.table import Client, Found, NameTable

__all__ = ["Forward", "answer", "fit", "is_answer_to"]

_TTL = 30
_PLAIN_LIMIT = 512  # bytes over UDP without EDNS
_OUR_LIMIT = 1232  # what we say that we take over UDP
_TCP_LIMIT = 65_535
_OPT = 41


class Forward(Struct, frozen=True):
    """The mesh does not answer this: ask a resolver. `nobody` is the answer when there is none to ask, `failed` when all failed,
    `limit` the length that the client takes.
    """

    nobody: bytes
    failed: bytes
    limit: int


def answer(query: bytes, table: NameTable | None, client: Client, *, udp: bool) -> bytes | Forward | None:
    """The answer to `query`, or what to do instead; None for what is no query at all. `table` is None before it is first known."""
    try:
        asked = DNSRecord.parse(query)
    except DNSError:
        return _format_error(query)
    if asked.header.qr == QR.RESPONSE:
        return None
    limit = _limit(asked) if udp else _TCP_LIMIT
    if asked.header.opcode != 0:
        return _empty(asked, RCODE.NOTIMP)
    if len(asked.questions) != 1:
        return _empty(asked, RCODE.FORMERR)
    if table is None:
        return _empty(asked, RCODE.SERVFAIL)
    found = table.look_up(_name(asked.q.qname), client) if asked.q.qclass == CLASS.IN else None
    if found is None or asked.q.qtype not in {QTYPE.A, QTYPE.AAAA}:
        nobody = RCODE.NXDOMAIN if found is None else RCODE.NOERROR
        return Forward(nobody=_empty(asked, nobody), failed=_empty(asked, RCODE.SERVFAIL), limit=limit)
    return _cut(_found(asked, found), limit)


def fit(response: bytes, limit: int) -> bytes:
    """A resolver's response no longer than `limit`, marked as cut where it was longer."""
    return response if len(response) <= limit else _cut(DNSRecord.parse(response), limit)


def is_answer_to(query: bytes, response: bytes) -> bool:
    """Whether `response` answers this very query: the same id and the same question."""
    try:
        asked, said = DNSRecord.parse(query), DNSRecord.parse(response)
    except DNSError:
        return False
    return bool(said.header.qr == QR.RESPONSE and said.header.id == asked.header.id and _same_question(asked, said))


def _same_question(asked: DNSRecord, said: DNSRecord) -> bool:
    """Servers that fail may leave the question out."""
    if not said.questions:
        return bool(said.header.rcode != RCODE.NOERROR)
    return bool(said.q.qname == asked.q.qname and said.q.qtype == asked.q.qtype)


def _name(label: DNSLabel) -> str:
    """Lower case with a last dot; "" for a name with a dot inside a label, which no host has."""
    if any(b"." in part for part in label.label):
        return ""
    return b".".join((*label.label, b"")).decode("latin-1").lower()


def _found(asked: DNSRecord, found: Found) -> DNSRecord:
    reply = _reply(asked)
    if found.alias_of and (found.addresses.v4 if asked.q.qtype == QTYPE.A else found.addresses.v6):
        reply.add_answer(RR(asked.q.qname, QTYPE.CNAME, ttl=_TTL, rdata=CNAME(found.owner)))
    owner = found.owner if found.alias_of else asked.q.qname
    addresses: Sequence[IPv4Address | IPv6Address] = found.addresses.v4 if asked.q.qtype == QTYPE.A else found.addresses.v6
    make = A if asked.q.qtype == QTYPE.A else AAAA
    turn = asked.header.id % len(addresses) if addresses else 0
    for address in (*addresses[turn:], *addresses[:turn]):
        reply.add_answer(RR(owner, asked.q.qtype, ttl=_TTL, rdata=make(str(address))))
    return reply


def _reply(asked: DNSRecord) -> DNSRecord:
    header = DNSHeader(id=asked.header.id, qr=1, aa=1, ra=1, rd=asked.header.rd, opcode=asked.header.opcode)
    reply = DNSRecord(header, questions=asked.questions)
    if _options(asked) is not None:
        reply.add_ar(EDNS0(udp_len=_OUR_LIMIT))
    return reply


def _empty(asked: DNSRecord, rcode: int) -> bytes:
    reply = _reply(asked)
    reply.header.rcode = rcode
    return bytes(reply.pack())


def _format_error(query: bytes) -> bytes | None:
    if len(query) < 12 or query[2] & 0x80:
        return None
    return bytes(DNSRecord(DNSHeader(id=int.from_bytes(query[:2]), qr=1, ra=1, rcode=RCODE.FORMERR)).pack())


def _options(record: DNSRecord) -> RR | None:
    return next((extra for extra in record.ar if extra.rtype == _OPT), None)


def _limit(asked: DNSRecord) -> int:
    options = _options(asked)
    return _PLAIN_LIMIT if options is None else max(_PLAIN_LIMIT, int(options.edns_len))


def _cut(record: DNSRecord, limit: int) -> bytes:
    """All of the record, or as many of its answers as fit, marked."""
    whole = bytes(record.pack())
    if len(whole) <= limit:
        return whole
    answers, record.auth = record.rr, []
    record.ar = [extra for extra in record.ar if extra.rtype == _OPT]
    record.header.tc = 1
    fits, too_many = 0, len(answers)
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        record.rr = answers[:middle]
        fits, too_many = (middle, too_many) if len(record.pack()) <= limit else (fits, middle)
    record.rr = answers[:fits]
    return bytes(record.pack())
