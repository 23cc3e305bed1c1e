"""Gateways that share a proxy: merged ports, conflicts, bound VirtualServices."""

from lateen.api.decode import decode_documents
from lateen.api.gateway import Gateway
from lateen.api.virtualservice import VirtualService
from lateen.compile.gateways import merge_gateways
from lateen.compile.matches import Place
from lateen.compile.plan_gateway_routes import plan_gateway_hosts
from lateen.compile.rules import Lookup
from lateen.compile.virtualservices import compile_virtual_service
from lateen.model.gateway import GatewayPort
from lateen.model.route import VirtualRoutes
from lateen.model.routeplan import VirtualHostPlan
from lateen.model.scope import ServiceInstance
from lateen.model.service import Port, Protocol, ServiceKey

LOOKUP = Lookup(service=lambda _host: None, hashes=lambda _host, _subset, _port: ())


def gateway(name: str, servers: str, namespace: str = "default", created: str = "2026-01-01T00:00:00Z") -> Gateway:
    """A Gateway of some servers."""
    text = (
        "apiVersion: networking.istio.io/v1\nkind: Gateway\n"
        f"metadata: {{name: {name}, namespace: {namespace}, creationTimestamp: '{created}'}}\nspec: {{servers: {servers}}}\n"
    )
    obj = decode_documents(text.encode(), "test.yaml")[0].obj
    assert isinstance(obj, Gateway)
    return obj


def routes(name: str, spec: str, namespace: str = "default", created: str = "2026-01-01T00:00:00Z") -> VirtualRoutes:
    """A compiled VirtualService."""
    text = (
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\n"
        f"metadata: {{name: {name}, namespace: {namespace}, creationTimestamp: '{created}'}}\nspec: {spec}\n"
    )
    obj = decode_documents(text.encode(), "test.yaml")[0].obj
    assert isinstance(obj, VirtualService)
    compiled, _ = compile_virtual_service(obj, domain="cluster.local", default_export=("*",), find=lambda _key: None)
    assert compiled is not None
    return compiled


def http(host: str, number: int = 80, name: str = "http", more: str = "") -> str:
    return f"{{port: {{number: {number}, name: {name}, protocol: HTTP}}, hosts: ['{host}']{more}}}"


def https(host: str, name: str = "https") -> str:
    return f"{{port: {{number: 443, name: {name}, protocol: HTTPS}}, hosts: ['{host}'], tls: {{mode: SIMPLE, credentialName: c}}}}"


def hosts_of(port: GatewayPort, *bound: VirtualRoutes) -> dict[str, VirtualHostPlan]:
    """The virtual hosts of all plaintext HTTP servers of a port, by name."""
    plans = plan_gateway_hosts(port.servers, bound, lambda server: Place(port=server.number, gateways=frozenset({server.gateway})), LOOKUP)
    return {plan.name: plan for plan in plans}


def test_a_servers_port_is_listened_on_where_the_service_says() -> None:
    """Port 80 of the Gateway is 8080 of the pod; a port that no Service maps stays."""
    instance = ServiceInstance(
        service=ServiceKey("istio-system", "gw"), port=Port(number=80, name="http2", protocol=Protocol.HTTP2), target_port=8080
    )
    ports, problems = merge_gateways([gateway("g", f"[{http('*')}, {http('*', 8081, 'x')}]")], [instance])
    assert [port.listen for port in ports] == [8080, 8081]
    assert not problems


def test_plaintext_http_servers_of_a_port_are_merged() -> None:
    """Two Gateways, one port, one listener."""
    ((port), *rest), problems = merge_gateways([gateway("a", f"[{http('a.com')}]"), gateway("b", f"[{http('b.com')}]")], ())
    assert [server.gateway for server in port.servers] == ["default/a", "default/b"]
    assert not rest
    assert not problems


def test_the_first_created_keeps_a_port_that_two_want_for_different_things() -> None:
    """HTTP and TLS on one port: the younger Gateway's server is left out and told so."""
    old = gateway("old", "[{port: {number: 443, name: h, protocol: HTTP}, hosts: ['*']}]", created="2025-01-01T00:00:00Z")
    ports, (problem,) = merge_gateways([gateway("new", f"[{https('*')}]"), old], ())
    assert [server.gateway for server in ports[0].servers] == ["default/old"]
    assert (problem.name, problem.path) == ("new", "spec.servers[0]")


def test_two_tls_servers_of_a_port_need_different_hosts() -> None:
    """The same server name twice could not be told apart."""
    _, problems = merge_gateways([gateway("g", f"[{https('a.com')}, {https('a.com', 'again')}]")], ())
    assert [problem.path for problem in problems] == ["spec.servers[1]"]


def test_virtual_services_of_one_host_are_merged_with_the_catch_all_last() -> None:
    """Oldest first; what takes every request moves behind the others."""
    (port,), _ = merge_gateways([gateway("g", f"[{http('*')}]")], ())
    first = routes(
        "first",
        "{hosts: [a.com], gateways: [g], http: [{name: rest, route: [{destination: {host: x}}]}]}",
        created="2025-01-01T00:00:00Z",
    )
    second = routes(
        "second", "{hosts: [a.com], gateways: [g], http: [{name: b, match: [{uri: {prefix: /b}}], route: [{destination: {host: y}}]}]}"
    )
    (host,) = hosts_of(port, first, second).values()
    assert [route.name for route in host.routes] == ["b", "rest"]


def test_a_host_with_a_namespace_takes_only_that_namespaces_virtual_services() -> None:
    """`other/*` on the server: the one of namespace default is not carried."""
    (port,), _ = merge_gateways([gateway("g", f"[{http('other/*')}]")], ())
    spec = "{hosts: [a.com], gateways: [default/g], http: [{route: [{destination: {host: x}}]}]}"
    assert list(hosts_of(port, routes("v", spec))) == ["blackhole:80"]
    assert list(hosts_of(port, routes("v", spec, namespace="other"))) == ["a.com:80"]


def test_hosts_outside_the_servers_are_not_carried() -> None:
    """The VirtualService's host must fall under one of the server's."""
    (port,), _ = merge_gateways([gateway("g", f"[{http('*.shop.com')}]")], ())
    spec = "{hosts: [a.shop.com, b.other.com], gateways: [g], http: [{route: [{destination: {host: x}}]}]}"
    (host,) = hosts_of(port, routes("v", spec)).values()
    assert host.domains == ("a.shop.com",)


def test_hosts_with_the_same_routes_share_one_virtual_host() -> None:
    """Two hosts of one VirtualService are sent once."""
    (port,), _ = merge_gateways([gateway("g", f"[{http('*')}]")], ())
    (host,) = hosts_of(port, routes("v", "{hosts: [a.com, b.com], gateways: [g], http: [{route: [{destination: {host: x}}]}]}")).values()
    assert host.domains == ("a.com", "b.com")


def test_https_redirect_needs_no_virtual_service() -> None:
    """Every request to the host is sent to HTTPS."""
    (port,), _ = merge_gateways([gateway("g", f"[{http('a.com', more=', tls: {httpsRedirect: true}')}]")], ())
    (host,) = hosts_of(port).values()
    assert (host.domains, host.require_tls, host.routes) == (("a.com",), True, ())


def test_a_port_without_routes_finds_nothing() -> None:
    """404 for every host, not a closed port."""
    (port,), _ = merge_gateways([gateway("g", f"[{http('*')}]")], ())
    (host,) = hosts_of(port).values()
    assert (host.name, host.domains, host.routes) == ("blackhole:80", ("*",), ())
