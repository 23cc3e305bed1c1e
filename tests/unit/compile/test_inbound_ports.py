"""What a sidecar takes in, and where it goes: services' ports, or a Sidecar's."""

from lateen.api.decode import decode_documents
from lateen.api.destinationrule import ConnectionPoolSettings, ConnectionPoolTCP, TrafficPolicy
from lateen.api.meta import Key
from lateen.api.sidecar import Sidecar
from lateen.compile.inboundports import InboundPort, inbound_ports
from lateen.compile.plan_inbound_clusters import plan_inbound_clusters
from lateen.compile.sidecars import compile_sidecar
from lateen.model.clusterplan import UNLIMITED, ClusterPlan
from lateen.model.destination import DestinationPolicy
from lateen.model.mesh import ClusterDefaults
from lateen.model.scope import ServiceInstance
from lateen.model.service import Port, Protocol, ServiceKey

WEB = ServiceKey("shop", "web.shop.svc.cluster.local")
API = ServiceKey("shop", "api.shop.svc.cluster.local")


def instance(service: ServiceKey = WEB, number: int = 80, target: int = 8080, protocol: Protocol = Protocol.HTTP) -> ServiceInstance:
    return ServiceInstance(service=service, port=Port(number=number, name="p", protocol=protocol, target_port=target), target_port=target)


def with_sidecar(spec: str, *instances: ServiceInstance) -> tuple[InboundPort, ...]:
    """The ports of a workload at 10.0.0.1 under a Sidecar."""
    text = f"apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {{name: s, namespace: shop}}\nspec: {spec}\n"
    obj = decode_documents(text.encode(), "test.yaml")[0].obj
    assert isinstance(obj, Sidecar)
    return inbound_ports(instances, compile_sidecar(obj, domain="cluster.local"), "10.0.0.1")


def limited(connections: int) -> DestinationPolicy:
    pool = ConnectionPoolSettings(tcp=ConnectionPoolTCP(max_connections=connections))
    return DestinationPolicy(config=Key("DestinationRule", "shop", "r"), host="web", policy=TrafficPolicy(connection_pool=pool))


def clusters(*ports: InboundPort, rule: DestinationPolicy | None = None, mesh: ClusterDefaults | None = None) -> dict[str, ClusterPlan]:
    return {plan.name: plan for plan in plan_inbound_clusters(ports, lambda _service: rule, mesh or ClusterDefaults())}


def destination(plan: ClusterPlan) -> list[tuple[str, int]]:
    return [(one.address, one.port) for place in (plan.endpoints.localities if plan.endpoints else ()) for one in place.endpoints]


def test_services_that_share_a_target_port_share_its_cluster() -> None:
    """The first decides; metadata names those that have the port under the same number."""
    ports = inbound_ports([instance(), instance(API), instance(API, number=81)], None, "")
    (plan,) = clusters(*ports).values()
    assert (plan.name, plan.kind) == ("inbound|8080||", "ORIGINAL_DST")
    assert plan.services == (("web", WEB.hostname, "shop"), ("api", API.hostname, "shop"))


def test_udp_is_not_taken_in() -> None:
    """Nothing redirects it."""
    assert inbound_ports([instance(protocol=Protocol.UDP)], None, "") == ()


def test_of_a_rule_only_the_connection_pool_counts() -> None:
    """It protects the application as well as its clients."""
    (plan,) = clusters(*inbound_ports([instance()], None, ""), rule=limited(9)).values()
    assert plan.breaker.connections == 9
    assert plan.config == Key("DestinationRule", "shop", "r")


def test_a_sidecars_pool_goes_before_the_rules() -> None:
    """And a port's own before the Sidecar's."""
    pool = "inboundConnectionPool: {tcp: {maxConnections: 5}}"
    (general,) = clusters(*with_sidecar(f"{{{pool}}}", instance()), rule=limited(9)).values()
    assert general.breaker.connections == 5
    own = "ingress: [{port: {number: 8080, protocol: HTTP, name: x}, connectionPool: {tcp: {maxConnections: 2}}}]"
    (special,) = clusters(*with_sidecar(f"{{{pool}, {own}}}", instance()), rule=limited(9)).values()
    assert special.breaker.connections == 2


def test_a_sidecars_ports_replace_those_of_services() -> None:
    """A port of a service that it does not name is not served."""
    ports = with_sidecar("{ingress: [{port: {number: 9090, protocol: GRPC, name: x}}]}", instance())
    assert [(port.number, port.known) for port in ports] == [(9090, False)]
    (plan,) = clusters(*ports, rule=limited(9)).values()
    assert (plan.protocol, plan.services, plan.breaker.connections) == ("http2", (), UNLIMITED)


def test_a_sidecars_port_may_lead_elsewhere() -> None:
    """To the loopback address, to the workload's own, to a socket; without it, to where the connection was made."""
    listeners = [
        "{port: {number: 1, protocol: HTTP, name: a}, defaultEndpoint: '127.0.0.1:8080'}",
        "{port: {number: 2, protocol: HTTP, name: b}, defaultEndpoint: '0.0.0.0:8080'}",
        "{port: {number: 3, protocol: HTTP, name: c}, defaultEndpoint: 'unix:///tmp/app'}",
        "{port: {number: 4, protocol: HTTP, name: d}}",
    ]
    plans = clusters(*with_sidecar(f"{{ingress: [{', '.join(listeners)}]}}"))
    assert [(plan.kind, destination(plan)) for plan in plans.values()] == [
        ("STATIC", [("127.0.0.1", 8080)]),
        ("STATIC", [("10.0.0.1", 8080)]),
        ("STATIC", [("unix:///tmp/app", 0)]),
        ("ORIGINAL_DST", []),
    ]


def test_the_mesh_may_reach_applications_at_the_loopback_address() -> None:
    """`inboundTrafficPolicy: LOCALHOST`, for applications that listen there only."""
    (plan,) = clusters(*inbound_ports([instance()], None, ""), mesh=ClusterDefaults(inbound_localhost=True)).values()
    assert destination(plan) == [("127.0.0.1", 8080)]
