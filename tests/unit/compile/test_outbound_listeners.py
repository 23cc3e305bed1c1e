"""Which listeners a sidecar has for the services it sees."""

from lateen.api.meta import Key
from lateen.compile.matches import Place
from lateen.compile.plan_outbound import OutboundContext, plan_interception, plan_outbound
from lateen.model.listenerplan import CarriedPlan, HttpPlan, ListenerPlan, TcpPlan
from lateen.model.names import outbound_cluster
from lateen.model.service import Port, Protocol, Resolution, Service, ServiceKey

CONTEXT = OutboundContext(
    carried=lambda _cluster, _alone: CarriedPlan(),
    allow_any=True,
    routes_for=lambda _host: (),
    place=lambda port: Place(port=port),
    cluster=lambda destination, port: outbound_cluster(port, destination.subset, destination.host),
    pods=lambda _service: ("10.1.0.1", "10.1.0.2"),
)


def service(
    name: str, protocol: Protocol, number: int, *addresses: str, headless: bool = False, created: str = "2026-01-01T00:00:00Z"
) -> Service:
    """A service with one port."""
    return Service(
        key=ServiceKey("default", f"{name}.example.com"),
        name=name,
        origin=Key("ServiceEntry", "default", name),
        generation=1,
        creation=created,
        registry="External",
        resolution=Resolution.NONE if headless else Resolution.STATIC,
        ports=(Port(number=number, name="p", protocol=protocol, target_port=number),),
        addresses=addresses,
        headless=headless,
    )


def listeners(*services: Service) -> dict[str, ListenerPlan]:
    plans, problems = plan_outbound(services, CONTEXT)
    assert not problems
    return {plan.name: plan for plan in plans}


def test_http_services_share_one_listener_per_port() -> None:
    """The host is in the request, so addresses need not tell them apart."""
    plans = listeners(service("a", Protocol.HTTP, 80, "10.0.0.1"), service("b", Protocol.GRPC, 80, "10.0.0.2"))
    assert list(plans) == ["0.0.0.0_80"]
    application = plans["0.0.0.0_80"].chains[0].application
    assert isinstance(application, HttpPlan)
    assert application.route_name == "80"


def test_tcp_services_have_a_listener_per_address() -> None:
    """Nothing else tells them apart."""
    plans = listeners(service("a", Protocol.TCP, 3306, "10.0.0.1"), service("b", Protocol.TCP, 3306, "10.0.0.2"))
    assert sorted(plans) == ["10.0.0.1_3306", "10.0.0.2_3306"]


def test_a_detected_port_serves_both_with_routes_of_its_own() -> None:
    """HTTP in plaintext takes the HTTP chain, everything else goes on as TCP."""
    plan = listeners(service("a", Protocol.AUTO, 7070, "10.0.0.1"))["10.0.0.1_7070"]
    assert isinstance(plan.chains[0].application, HttpPlan)
    assert plan.chains[0].application.route_name == "a.example.com:7070"
    assert plan.default is not None
    assert isinstance(plan.default.application, TcpPlan)
    assert plan.default.application.clusters == (("outbound|7070||a.example.com", 1),)


def test_a_headless_tcp_service_has_a_listener_per_pod() -> None:
    """Its clients connect to the pods' own addresses."""
    assert sorted(listeners(service("a", Protocol.TCP, 7000, headless=True))) == ["10.1.0.1_7000", "10.1.0.2_7000"]


def test_tls_services_without_an_address_are_told_apart_by_server_name() -> None:
    """One wildcard listener, one chain per host."""
    plan = listeners(service("a", Protocol.TLS, 443), service("b", Protocol.HTTPS, 443))["0.0.0.0_443"]
    assert [chain.match.server_names for chain in plan.chains if chain.match] == [("a.example.com",), ("b.example.com",)]
    assert [inspector.kind for inspector in plan.inspectors] == ["tls"]


def test_ranges_that_differ_only_in_insignificant_bits_are_one() -> None:
    """The older service keeps the range, the other is told."""
    old, new = (
        service("old", Protocol.TCP, 5000, "10.9.0.1/24", created="2025-01-01T00:00:00Z"),
        service("new", Protocol.TCP, 5000, "10.9.0.2/24"),
    )
    (plan,), (problem,) = plan_outbound((new, old), CONTEXT)
    assert [chain.application.clusters for chain in plan.chains if isinstance(chain.application, TcpPlan)] == [
        (("outbound|5000||old.example.com", 1),)
    ]
    assert problem.name == "new"


def test_unknown_destinations_pass_or_end_in_the_black_hole() -> None:
    """ALLOW_ANY and REGISTRY_ONLY, with Istio's names."""
    last = plan_interception(CONTEXT).chains[-1]
    assert isinstance(last.application, TcpPlan)
    assert last.application.clusters == (("PassthroughCluster", 1),)
    closed = plan_interception(OutboundContext(**{**{f: getattr(CONTEXT, f) for f in CONTEXT.__struct_fields__}, "allow_any": False}))
    assert isinstance(closed.chains[-1].application, TcpPlan)
    assert closed.chains[-1].application.clusters == (("BlackHoleCluster", 1),)
