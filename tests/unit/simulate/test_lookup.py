"""What Envoy would do with a call, step by step, on small configurations."""

from typing import Any

import pytest
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_pb2
from google.protobuf import json_format

from lateen.simulate.call import Call, Certificate, Outcome, Refusal
from lateen.simulate.lookup import Configuration, look_up
from lateen.testing.messages import load_types

_HTTP = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_TCP = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
_TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
_INSPECTORS = [{"name": f"envoy.filters.listener.{name}_inspector"} for name in ("tls", "http")]


def tcp(cluster: str, **match: Any) -> dict[str, Any]:
    """A chain that forwards."""
    proxy = {"@type": _TCP, "stat_prefix": "x", "cluster": cluster}
    return {"name": cluster, "filter_chain_match": match, "filters": [{"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy}]}


def http(routes: str, **match: Any) -> dict[str, Any]:
    """A chain that serves HTTP by a route configuration."""
    manager = {"@type": _HTTP, "rds": {"route_config_name": routes}}
    network = {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
    return {"name": routes, "filter_chain_match": match, "filters": [network]}


def with_tls(chain: dict[str, Any], secret: str = "default", *, client: bool = True) -> dict[str, Any]:
    """The chain behind TLS."""
    common = {"tls_certificate_sds_secret_configs": [{"name": secret}]}
    context = {"@type": _TLS, "require_client_certificate": client, "common_tls_context": common}
    return {**chain, "transport_socket": {"name": "tls", "typed_config": context}}


def listener(name: str, address: str, port: int, *chains: dict[str, Any], **rest: Any) -> dict[str, Any]:
    """A listener, as JSON."""
    where = {"socket_address": {"address": address, "port_value": port}}
    return {"name": name, "address": where, "filter_chains": list(chains), "listener_filters": _INSPECTORS, **rest}


def host(name: str, domains: list[str], *routes: dict[str, Any], **rest: Any) -> dict[str, Any]:
    """A virtual host; without routes everything goes to the cluster of its name."""
    return {"name": name, "domains": domains, "routes": list(routes) or [route(name, prefix="/")], **rest}


def route(cluster: str, **match: Any) -> dict[str, Any]:
    """A route to one cluster."""
    return {"name": cluster, "match": match, "route": {"cluster": cluster}}


def outcome(call: Call, *listeners: dict[str, Any], hosts: tuple[dict[str, Any], ...] = ()) -> Outcome:
    """Of the call, with the listeners and one route configuration `80`."""
    load_types()
    parsed = {one["name"]: json_format.ParseDict(one, listener_pb2.Listener()) for one in listeners}
    raw = {"name": "80", "virtual_hosts": list(hosts), "ignore_port_in_host_matching": True}
    return look_up(Configuration(parsed, {"80": json_format.ParseDict(raw, route_pb2.RouteConfiguration())}), call)


def test_a_listener_of_the_address_comes_before_one_of_the_port_and_before_interception() -> None:
    """Address, then any address, then virtualOutbound, else nothing."""
    own = listener("own", "10.0.0.1", 80, tcp("own"))
    any_address = listener("any", "0.0.0.0", 80, tcp("any"))
    rest = listener("virtualOutbound", "0.0.0.0", 15001, tcp("rest"))
    call = Call(port=80, address="10.0.0.1", protocol="tcp")
    assert outcome(call, own, any_address, rest).cluster == "own"
    assert outcome(call, any_address, rest).cluster == "any"
    assert outcome(call, rest).cluster == "rest"
    assert outcome(call).refusal is Refusal.NO_LISTENER


def test_inbound_calls_meet_the_inbound_listener() -> None:
    """Whatever their address."""
    inbound = listener("virtualInbound", "0.0.0.0", 15006, tcp("in"))
    assert outcome(Call(port=80, mode="inbound", protocol="tcp"), inbound, listener("x", "0.0.0.0", 80, tcp("x"))).cluster == "in"


@pytest.mark.parametrize(
    ("address", "name", "cluster"),
    [
        ("10.1.2.3", "", "narrow"),
        ("10.9.9.9", "", "wide"),
        ("192.0.2.1", "a.example.com", "exact"),
        ("192.0.2.1", "b.example.com", "longer"),
        ("192.0.2.1", "example.org", "any"),
        ("192.0.2.1", "b.org", "any"),
    ],
)
def test_ranges_then_server_names_choose_the_chain(address: str, name: str, cluster: str) -> None:
    """The longest range; the exact name before the longest wildcard; a chain that says nothing takes the rest."""
    chains = [
        tcp("narrow", prefix_ranges=[{"address_prefix": "10.1.0.0", "prefix_len": 16}]),
        tcp("wide", prefix_ranges=[{"address_prefix": "10.0.0.0", "prefix_len": 8}]),
        tcp("exact", server_names=["a.example.com"]),
        tcp("longer", server_names=["*.example.com"]),
        tcp("shorter", server_names=["*.com"]),
        tcp("any"),
    ]
    call = Call(port=443, address=address, protocol="tcp", tls="tls", server_name=name)
    assert outcome(call, listener("l", "0.0.0.0", 443, *chains)).cluster == cluster


def test_without_an_inspector_tls_is_not_seen() -> None:
    """The chain for TLS is not found; with the inspector switched off on the port neither."""
    chains = (tcp("tls", transport_protocol="tls"), tcp("raw", transport_protocol="raw_buffer"))
    off = [{**_INSPECTORS[0], "filter_disabled": {"destination_port_range": {"start": 90, "end": 91}}}]
    for port, filters, cluster in ((90, _INSPECTORS, "tls"), (90, [], "raw"), (90, off, "raw"), (91, off, "tls")):
        one = listener("l", "0.0.0.0", port, *chains, listener_filters=filters)
        assert outcome(Call(port=port, protocol="tcp", tls="tls"), one).cluster == cluster


def test_equal_chains_are_an_error_and_no_chain_means_the_default() -> None:
    """Envoy would refuse the first; the second goes to the default chain where there is one."""
    call = Call(port=80, protocol="tcp")
    assert outcome(call, listener("l", "0.0.0.0", 80, tcp("a"), tcp("b"))).refusal is Refusal.MULTIPLE_FILTER_CHAINS
    named = tcp("a", server_names=["a"])
    assert outcome(call, listener("l", "0.0.0.0", 80, named)).refusal is Refusal.NO_FILTER_CHAIN
    assert outcome(call, listener("l", "0.0.0.0", 80, named, default_filter_chain=tcp("rest"))).cluster == "rest"


def test_tls_and_mutual_tls_must_be_what_the_chain_wants() -> None:
    """Plaintext to TLS, TLS to mutual TLS, mutual TLS to somebody else's certificate: refused."""
    mesh = listener("l", "0.0.0.0", 80, with_tls(tcp("a")))
    assert outcome(Call(port=80, protocol="tcp"), mesh).refusal is Refusal.TLS
    assert outcome(Call(port=80, protocol="tcp", tls="tls"), mesh).refusal is Refusal.MTLS
    found = outcome(Call(port=80, protocol="tcp", tls="mtls"), mesh)
    assert (found.cluster, found.certificate) == ("a", Certificate("default", client_required=True))
    own = listener("l", "0.0.0.0", 80, with_tls(tcp("a"), "other", client=False))
    assert outcome(Call(port=80, protocol="tcp", tls="tls"), own).cluster == "a"


def test_http_chains_take_http_only() -> None:
    """TCP, or TLS that nobody opens, is no HTTP."""
    one = listener("l", "0.0.0.0", 80, http("80"))
    hosts = (host("h", ["*"]),)
    assert outcome(Call(port=80, protocol="tcp"), one, hosts=hosts).refusal is Refusal.PROTOCOL
    assert outcome(Call(port=80, tls="tls"), one, hosts=hosts).refusal is Refusal.PROTOCOL
    assert outcome(Call(port=80), one, hosts=hosts).cluster == "h"


@pytest.mark.parametrize(
    ("name", "found"),
    [("a.b.c", "exact"), ("A.B.C:80", "exact"), ("x.b.c", "long"), ("x.y.c", "short"), ("a.b.d", "prefix"), ("other", "any")],
)
def test_domains(name: str, found: str) -> None:
    """Exact, the longest suffix, a prefix, any; case and port do not count."""
    hosts = (host("exact", ["a.b.c"]), host("short", ["*.c"]), host("long", ["*.b.c"]), host("prefix", ["a.b.*"]), host("any", ["*"]))
    one = listener("l", "0.0.0.0", 80, http("80"))
    assert outcome(Call(port=80, host=name), one, hosts=hosts).virtual_host == found


def test_refusals_of_requests() -> None:
    """No virtual host, a redirect to HTTPS, no route."""
    one, call = listener("l", "0.0.0.0", 80, http("80")), Call(port=80, host="a")
    assert outcome(call, one).refusal is Refusal.NO_VIRTUAL_HOST
    assert outcome(call, one, hosts=(host("a", ["a"], require_tls="ALL"),)).refusal is Refusal.TLS_REDIRECT
    assert outcome(call, one, hosts=(host("a", ["a"], route("x", prefix="/x")),)).refusal is Refusal.NO_ROUTE


_TEMPLATE = {
    "name": "t",
    "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig",
        "path_template": "/v/*/x/{rest=**}",
    },
}


@pytest.mark.parametrize(
    ("match", "path", "taken"),
    [
        ({"prefix": "/a"}, "/ab", True),
        ({"path": "/a"}, "/ab", False),
        ({"path": "/A", "case_sensitive": False}, "/a", True),
        ({"path_separated_prefix": "/a"}, "/a/b", True),
        ({"path_separated_prefix": "/a"}, "/ab", False),
        ({"safe_regex": {"regex": "/v[0-9]+"}}, "/v12", True),
        ({"safe_regex": {"regex": "/v[0-9]+"}}, "/v12/x", False),
        ({"path_match_policy": _TEMPLATE}, "/v/1/x/y/z", True),
        ({"path_match_policy": _TEMPLATE}, "/v/1/2/x/y", False),
    ],
)
def test_paths(match: dict[str, Any], path: str, taken: bool) -> None:  # noqa: FBT001 - a table
    """Every kind of path match."""
    one = listener("l", "0.0.0.0", 80, http("80"))
    found = outcome(Call(port=80, path=path), one, hosts=(host("a", ["*"], route("x", **match)),))
    assert found.refusal is (None if taken else Refusal.NO_ROUTE)


@pytest.mark.parametrize(
    ("matchers", "taken"),
    [
        ({"headers": [{"name": "x-a", "string_match": {"exact": "1"}}]}, True),
        ({"headers": [{"name": "X-A", "string_match": {"prefix": "2"}}]}, False),
        ({"headers": [{"name": "x-a", "string_match": {"exact": "1"}, "invert_match": True}]}, False),
        ({"headers": [{"name": "x-b", "present_match": True, "invert_match": True}]}, True),
        ({"headers": [{"name": "x-b", "present_match": True}]}, False),
        ({"headers": [{"name": "x-b", "string_match": {"exact": "1"}, "invert_match": True}]}, False),
        ({"headers": [{"name": ":method", "string_match": {"exact": "GET"}}]}, True),
        ({"query_parameters": [{"name": "q", "string_match": {"safe_regex": {"regex": "[a-z]"}}}]}, True),
        ({"query_parameters": [{"name": "r", "present_match": True}]}, False),
    ],
)
def test_headers_and_query_count_unless_left_out(matchers: dict[str, Any], taken: bool) -> None:  # noqa: FBT001 - a table
    """As Envoy does; by path alone where asked so."""
    one, hosts = listener("l", "0.0.0.0", 80, http("80")), (host("a", ["*"], route("x", prefix="/", **matchers)),)
    call = Call(port=80, headers=(("x-a", "1"),), query="q=z&q=9")
    assert outcome(call, one, hosts=hosts).refusal is (None if taken else Refusal.NO_ROUTE)
    assert outcome(Call(port=80, with_headers=False), one, hosts=hosts).cluster == "x"


def test_weights_and_answers_without_a_cluster() -> None:
    """Several clusters are told with their shares; a redirect and a direct response with their status."""
    one = listener("l", "0.0.0.0", 80, http("80"))
    weighted = {
        "match": {"prefix": "/"},
        "route": {"weighted_clusters": {"clusters": [{"name": "a", "weight": 9}, {"name": "b", "weight": 1}]}},
    }
    found = outcome(Call(port=80), one, hosts=(host("h", ["*"], weighted),))
    assert (found.clusters, found.cluster) == ((("a", 9), ("b", 1)), "")
    gone = {"match": {"prefix": "/"}, "redirect": {"response_code": "PERMANENT_REDIRECT"}}
    assert outcome(Call(port=80), one, hosts=(host("h", ["*"], gone),)).status == 308
    said = {"match": {"prefix": "/"}, "direct_response": {"status": 418}}
    assert outcome(Call(port=80), one, hosts=(host("h", ["*"], said),)).status == 418
