"""What gRPC programs without a proxy are told: names, clusters that they can use, and how their servers take calls."""

from lateen.model.authz import Always
from lateen.model.proxylessplan import ServerPlan
from lateen.model.scope import Proxy, Selector
from lateen.testing.world import MemoryWorld
from lateen.xds.resources import CLUSTER, ENDPOINTS, LISTENER, ROUTES

ECHO = """
apiVersion: v1
kind: Service
metadata: {name: echo, namespace: default}
spec:
  clusterIP: 10.96.0.9
  selector: {app: echo}
  ports: [{name: grpc, port: 7070, targetPort: 17070}, {name: dns, port: 53, protocol: UDP}]
"""
RULE = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: echo, namespace: default}
spec: {host: echo, trafficPolicy: {tls: {mode: %s}}}
"""
ASKED = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: asked, namespace: default}
spec: {action: CUSTOM, provider: {name: nobody}, rules: [{}]}
"""
CLAIMED = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: claimed, namespace: default}
spec: {action: %s, rules: [{from: [{source: {%s: [them/me]}}], to: [{operation: {paths: [/echo.Echo/Shout]}}]}]}
"""
DEFAULT = "outbound|7070||echo.default.svc.cluster.local"


def program(namespace: str = "default", labels: Selector = (("app", "echo"),), kind: str = "grpc") -> Proxy:
    return Proxy(id="p", kind=kind, namespace=namespace, name="p", addresses=("10.0.0.9",), labels=labels)


def world(*texts: str) -> MemoryWorld:
    memory = MemoryWorld()
    for text in texts:
        memory.load(text)
    return memory


def servers(memory: MemoryWorld, proxy: Proxy) -> list[ServerPlan]:
    memory.snapshot(proxy)
    return [plan for _, plans in memory.world.proxyless.servers.items() for plan in plans]


def test_a_service_is_called_by_the_names_that_its_clients_know() -> None:
    """By its bare name in its own namespace only; there is none for UDP, nor for a host that nobody has."""
    near = world(ECHO).snapshot(program())[LISTENER]
    far = world(ECHO).snapshot(program("shop"))[LISTENER]
    full = {"echo.default.svc.cluster.local:7070", "echo.default.svc:7070", "echo.default:7070", "10.96.0.9:7070"}
    assert set(far) == full
    assert set(near) - set(far) >= {"echo:7070"}
    assert not any(name.endswith(":53") for name in near)


def test_routes_and_clusters_are_those_of_the_name() -> None:
    """Everything that a listener leads to is there."""
    snapshot = world(ECHO).snapshot(program())
    assert set(snapshot[ROUTES]) == {DEFAULT}
    assert set(snapshot[CLUSTER]) == {DEFAULT}
    assert DEFAULT in snapshot[ENDPOINTS]


def test_tls_that_grpc_cannot_do_is_not_replaced_by_plaintext() -> None:
    """The cluster is left out, so that calls fail; ISTIO_MUTUAL and DISABLE it can do."""
    found = {mode: set(world(ECHO, RULE % mode).snapshot(program())[CLUSTER]) for mode in ("SIMPLE", "ISTIO_MUTUAL", "DISABLE")}
    assert found == {"SIMPLE": set(), "ISTIO_MUTUAL": {DEFAULT}, "DISABLE": {DEFAULT}}


def test_a_server_that_has_certificates_takes_mutual_tls() -> None:
    """Where PERMISSIVE counts, as nothing says otherwise, a gRPC server takes one or the other."""
    certified = (("app", "echo"), ("security.istio.io/tlsMode", "istio"))
    assert {plan.mutual_tls for plan in servers(world(ECHO), program())} == {False}
    assert {plan.mutual_tls for plan in servers(world(ECHO), program(labels=certified))} == {True}


def test_a_server_is_told_by_every_address_that_it_may_say() -> None:
    """All of them, in both families, and the pod's own."""
    names = {plan.name.removeprefix("xds.istio.io/grpc/lds/inbound/") for plan in servers(world(ECHO), program())}
    assert names == {"0.0.0.0:17070", "[::]:17070", "10.0.0.9:17070"}


def test_where_a_service_should_be_asked_nobody_is_let_in() -> None:
    """A server of gRPC cannot ask it."""
    for plan in servers(world(ECHO, ASKED), program()):
        assert [(rules.action, len(rules.rules)) for rules in plan.rules] == [("DENY", 1)]


def test_rules_about_tokens_let_nobody_in_by_them() -> None:
    """Allowing by a claim, or by its absence, allows nobody; denying by it denies the whole path."""
    for field in ("requestPrincipals", "notRequestPrincipals"):
        (allowing,) = {plan.rules for plan in servers(world(ECHO, CLAIMED % ("ALLOW", field)), program())}
        assert [(one.action, one.rules) for one in allowing] == [("ALLOW", ())]
        (denying,) = {plan.rules for plan in servers(world(ECHO, CLAIMED % ("DENY", field)), program())}
        assert [rule.sources for one in denying for rule in one.rules] == [(Always(),)]


def test_nothing_is_made_without_such_a_program() -> None:
    """Sidecars alone cost nothing here, and the last program takes with it what was made for it."""
    memory = world(ECHO)
    memory.snapshot(program(kind="sidecar"))
    made = memory.world.proxyless
    assert not any(len(list(found.items())) for found in (made.calls, made.tables, made.hosts, made.servers))
    memory.snapshot(program())
    assert list(made.hosts.items())
    memory.world.proxies.delete("p")
    memory.commit()
    assert not any(len(list(found.items())) for found in (made.calls, made.tables, made.hosts, made.servers))
