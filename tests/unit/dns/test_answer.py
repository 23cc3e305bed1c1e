"""What an application is told when it asks for a name."""

from collections.abc import Sequence

import pytest
from dnslib import EDNS0, QTYPE, RCODE, RR, A, DNSHeader, DNSRecord
from hypothesis import given
from hypothesis import strategies as st

from lateen.dns.answer import Forward, answer, fit, is_answer_to
from lateen.dns.table import Client, NameEntry, NameTable

DEFAULT = Client("default", "default.svc.cluster.local")


def kubernetes(name: str, namespace: str, *ips: str, domain: str = "svc.cluster.local") -> NameEntry:
    return NameEntry(host=f"{name}.{namespace}.{domain}", ips=ips, namespace=namespace, shortname=name)


def external(host: str, *ips: str) -> NameEntry:
    return NameEntry(host=host, ips=ips, registry="External")


TABLE = NameTable.build(
    [
        kubernetes("reviews", "default", "10.96.0.1"),
        kubernetes("db", "data", "10.244.0.1", "10.244.0.2", "10.244.0.3"),
        kubernetes("db-0.db", "data", "10.244.0.1"),
        kubernetes("big", "data", *(f"10.244.1.{n}" for n in range(64))),
        kubernetes("far", "data", "10.9.9.9", domain="svc.cluster.remote"),
        external("www.example.com", "240.240.0.1"),
        external("Both.Example.com", "1.2.3.4", "2001:db8::1"),
        external("*.wild.example.com", "240.240.0.2"),
        external("*.more.wild.example.com", "240.240.0.3"),
        external("nowhere.example.com"),
        external("db.data", "9.9.9.9"),
    ]
)


def ask(
    name: str,
    qtype: str = "A",
    *,
    client: Client = DEFAULT,
    udp: bool = True,
    table: NameTable | None = TABLE,
    edns: int = 0,
    ident: int = 0,
) -> "DNSRecord | Forward":
    query = DNSRecord.question(name, qtype)
    query.header.id = ident
    if edns:
        query.add_ar(EDNS0(udp_len=edns))
    result = answer(bytes(query.pack()), table, client, udp=udp)
    assert result is not None
    return result if isinstance(result, Forward) else DNSRecord.parse(result)


def told(result: "DNSRecord | Forward") -> Sequence[tuple[str, str, str]]:
    assert not isinstance(result, Forward), "it was to be answered, not forwarded"
    assert result.header.rcode == RCODE.NOERROR
    return [(str(rr.rname), QTYPE[rr.rtype], str(rr.rdata)) for rr in result.rr]


@pytest.mark.parametrize(
    "name", ["reviews", "reviews.default", "reviews.default.svc", "reviews.default.svc.cluster.local", "REVIEWS.Default"]
)
def test_service_is_found_by_every_usual_spelling(name: str) -> None:
    """Short, with namespace, with svc, in full; upper case or not."""
    assert [data for _, _, data in told(ask(name))] == ["10.96.0.1"]


def test_short_name_is_of_the_askers_namespace() -> None:
    """`reviews` asked elsewhere is not default's."""
    assert isinstance(ask("reviews", client=Client("data", "data.svc.cluster.local")), Forward)


def test_pod_of_a_headless_service_has_a_name() -> None:
    """pod.service in its own namespace, pod.service.namespace elsewhere."""
    assert told(ask("db-0.db", client=Client("data"))) == [("db-0.db.", "A", "10.244.0.1")]
    assert told(ask("db-0.db.data")) == [("db-0.db.data.", "A", "10.244.0.1")]


def test_name_with_the_search_domain_is_an_alias() -> None:
    """Resolvers append the first search domain; the answer is a CNAME to the name meant and its addresses."""
    assert told(ask("www.example.com.default.svc.cluster.local")) == [
        ("www.example.com.default.svc.cluster.local.", "CNAME", "www.example.com."),
        ("www.example.com.", "A", "240.240.0.1"),
    ]


def test_full_name_with_the_search_domain_is_not_known() -> None:
    """reviews.default.svc.cluster.local.default.svc.cluster.local is nobody's name."""
    assert isinstance(ask("reviews.default.svc.cluster.local.default.svc.cluster.local"), Forward)


def test_service_of_another_cluster_domain_has_its_full_name_only() -> None:
    """Short names would clash between clusters."""
    assert told(ask("far.data.svc.cluster.remote"))
    assert isinstance(ask("far.data"), Forward)


def test_longest_wildcard_wins() -> None:
    """The most specific wildcard answers under the name that was asked; the bare domain is not covered."""
    assert told(ask("a.b.wild.example.com")) == [("a.b.wild.example.com.", "A", "240.240.0.2")]
    assert told(ask("x.more.wild.example.com")) == [("x.more.wild.example.com.", "A", "240.240.0.3")]
    assert isinstance(ask("wild.example.com"), Forward)


def test_known_name_without_that_family_is_answered_empty() -> None:
    """NXDOMAIN for AAAA would make resolvers give up on the name's A record as well."""
    assert told(ask("reviews", "AAAA")) == []
    assert told(ask("www.example.com.default.svc.cluster.local", "AAAA")) == []
    assert told(ask("both.example.com", "AAAA")) == [("both.example.com.", "AAAA", "2001:db8::1")]


def test_host_without_addresses_is_left_to_the_resolver() -> None:
    """The mesh cannot say more of it than the world can."""
    assert isinstance(ask("nowhere.example.com"), Forward)


def test_own_name_wins_over_a_short_name() -> None:
    """`db.data` is a ServiceEntry's host here, though also a service's short name."""
    assert told(ask("db.data")) == [("db.data.", "A", "9.9.9.9")]


def test_unknown_name_is_forwarded() -> None:
    """With nobody to ask it does not exist; when all resolvers failed it is a failure, so that the client tries again."""
    result = ask("www.elsewhere.com")
    assert isinstance(result, Forward)
    assert DNSRecord.parse(result.nobody).header.rcode == RCODE.NXDOMAIN
    assert DNSRecord.parse(result.failed).header.rcode == RCODE.SERVFAIL


def test_other_types_of_a_known_name_are_forwarded_and_never_denied() -> None:
    """MX of a ServiceEntry's host is the world's to say; without a resolver the name still exists."""
    result = ask("reviews", "MX")
    assert isinstance(result, Forward)
    assert DNSRecord.parse(result.nobody).header.rcode == RCODE.NOERROR


def test_before_the_names_are_known_it_is_a_failure() -> None:
    """SERVFAIL is tried again; a forwarded query would leak and be denied."""
    result = ask("reviews", table=None)
    assert isinstance(result, DNSRecord) and result.header.rcode == RCODE.SERVFAIL


def test_order_of_addresses_turns_with_the_id() -> None:
    """Clients that take the first address are spread; no dice are needed."""
    orders = [[data for _, _, data in told(ask("db.data.svc.cluster.local", ident=n))] for n in range(3)]
    assert {order[0] for order in orders} == {"10.244.0.1", "10.244.0.2", "10.244.0.3"}
    assert all(sorted(order) == sorted(orders[0]) for order in orders)


def test_answers_live_half_a_minute() -> None:
    """TTL 30 s, as Istio's."""
    result = ask("reviews")
    assert isinstance(result, DNSRecord) and [rr.ttl for rr in result.rr] == [30]


def test_answer_too_long_for_udp_is_cut_and_marked() -> None:
    """512 bytes without EDNS, the client's size with it, all of it over TCP."""
    cut = ask("big.data.svc.cluster.local")
    assert isinstance(cut, DNSRecord)
    assert cut.header.tc and 20 < len(cut.rr) < 64 and len(cut.pack()) <= 512
    for whole in (ask("big.data.svc.cluster.local", edns=4096), ask("big.data.svc.cluster.local", udp=False)):
        assert isinstance(whole, DNSRecord)
        assert not whole.header.tc and len(whole.rr) == 64


def test_edns_is_answered_with_edns() -> None:
    """RFC 6891: a query with options gets an answer with options, others do not."""
    with_options, without = ask("reviews", edns=1232), ask("reviews")
    assert isinstance(with_options, DNSRecord) and isinstance(without, DNSRecord)
    assert len(with_options.ar) == 1 and without.ar == []


def test_long_answer_of_a_resolver_is_cut_for_a_client_that_takes_less() -> None:
    """A resolver that ignores the limit does not make us send what the client cannot take."""
    response = DNSRecord(DNSHeader(id=7, qr=1), q=DNSRecord.question("giant").q)
    for n in range(64):
        response.add_answer(RR("giant", QTYPE.A, rdata=A(f"240.0.0.{n}")))
    cut = DNSRecord.parse(fit(bytes(response.pack()), 512))
    assert cut.header.tc and cut.header.id == 7 and 0 < len(cut.rr) < 64


def test_only_the_answer_to_the_query_counts() -> None:
    """Another id or another question is somebody else's answer, or a forger's."""
    query = DNSRecord.question("a.example")
    right = query.reply()
    other = DNSRecord.question("b.example").reply()
    other.header.id = query.header.id
    wrong_id = query.reply()
    wrong_id.header.id ^= 1
    said = [bytes(each.pack()) for each in (right, other, wrong_id, query)]
    assert [is_answer_to(bytes(query.pack()), each) for each in said] == [True, False, False, False]


def test_what_is_no_query_gets_no_answer() -> None:
    """Responses are not answered (two servers could talk for ever), nor are crumbs; a broken query is told so."""
    assert answer(bytes(DNSRecord.question("reviews").reply().pack()), TABLE, DEFAULT, udp=True) is None
    assert answer(b"crumb", TABLE, DEFAULT, udp=True) is None
    broken = answer(bytes(DNSRecord.question("reviews").pack())[:-3], TABLE, DEFAULT, udp=True)
    assert isinstance(broken, bytes) and DNSRecord.parse(broken).header.rcode == RCODE.FORMERR
    update = DNSRecord.question("reviews")
    update.header.opcode = 5
    refused = answer(bytes(update.pack()), TABLE, DEFAULT, udp=True)
    assert isinstance(refused, bytes) and DNSRecord.parse(refused).header.rcode == RCODE.NOTIMP


@given(st.binary(max_size=80), st.binary(max_size=4))
def test_no_bytes_break_the_server(noise: bytes, prefix: bytes) -> None:
    """Anything may come from a pod's application."""
    for query in (noise, prefix + b"\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + noise):
        result = answer(query, TABLE, DEFAULT, udp=True)
        assert result is None or isinstance(result, (bytes, Forward))
