"""What each proxy shall hold, and whom a commit concerns."""

from lateen.model.scope import Proxy
from lateen.testing.world import MemoryWorld
from lateen.xds.resources import CLUSTER, ENDPOINTS, EXTENSION, LISTENER

HEADLESS = """
kind: Service
apiVersion: v1
metadata: {name: db, namespace: default}
spec: {clusterIP: None, selector: {app: db}, ports: [{name: tcp, port: 5432}]}
---
kind: EndpointSlice
apiVersion: discovery.k8s.io/v1
metadata: {name: db-1, namespace: default, labels: {kubernetes.io/service-name: db}}
addressType: IPv4
ports: [{name: tcp, port: 5432}]
endpoints:
- {addresses: [10.0.0.1], conditions: {ready: true}}
- {addresses: [10.0.0.2], conditions: {ready: true}}
"""
WEB = """
kind: Service
apiVersion: v1
metadata: {name: web, namespace: default}
spec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80}]}
"""


def proxy(name: str, namespace: str = "default", address: str = "10.0.0.9") -> Proxy:
    return Proxy(id=name, kind="sidecar", namespace=namespace, name=name, addresses=(address,), labels=())


def world(*proxies: Proxy) -> MemoryWorld:
    memory = MemoryWorld()
    memory.load(WEB)
    for one in proxies:
        memory.connect(one)
    memory.commit()
    return memory


def test_a_proxy_that_is_not_connected_has_nothing() -> None:
    """Every kind is there, and empty."""
    snapshot = world().snapshots.snapshot("nobody")
    assert snapshot[CLUSTER] == snapshot[LISTENER] == {}


def test_a_pod_has_no_listener_for_its_own_address() -> None:
    """It would catch its own application's connections to itself; others have it."""
    memory = world(proxy("one", address="10.0.0.1"), proxy("other"))
    memory.load(HEADLESS)
    memory.commit()
    assert "10.0.0.1_5432" not in memory.snapshots.snapshot("one")[LISTENER]
    assert "10.0.0.2_5432" in memory.snapshots.snapshot("one")[LISTENER]
    assert "10.0.0.1_5432" in memory.snapshots.snapshot("other")[LISTENER]


def test_proxies_of_one_scope_share_the_snapshot_itself() -> None:
    """Nothing is copied per proxy."""
    memory = world(proxy("one"), proxy("two", address="10.0.0.8"))
    assert memory.snapshots.snapshot("one") is memory.snapshots.snapshot("two")


def test_a_commit_concerns_only_those_whose_configuration_it_changed() -> None:
    """A rule of one namespace does not wake proxies of another; nothing changed wakes nobody."""
    memory = world(proxy("here"), proxy("there", "other"))
    memory.load(
        "{kind: Sidecar, apiVersion: networking.istio.io/v1, metadata: {name: s, namespace: other}, spec: {egress: [{hosts: [~/*]}]}}"
    )
    assert memory.snapshots.affected(memory.commit()) == {"there"}
    assert memory.snapshots.affected(memory.commit()) == frozenset()
    assert "outbound|80||web.default.svc.cluster.local" not in memory.snapshots.snapshot("there")[CLUSTER]
    assert "outbound|80||web.default.svc.cluster.local" in memory.snapshots.snapshot("here")[CLUSTER]


def test_the_last_proxy_of_a_scope_takes_its_frames_with_it() -> None:
    """Only live scopes are compiled."""
    memory = world(proxy("here"), proxy("there", "other"))
    memory.world.proxies.delete("there")
    memory.commit()
    assert [scope.namespace for scope in memory.world.routes.tables] == ["default"]


def test_endpoints_are_sent_for_clusters_that_ask_for_them_only() -> None:
    """A headless service's connections go where they were made to."""
    memory = world(proxy("one"))
    memory.load(HEADLESS)
    memory.commit()
    snapshot = memory.snapshots.snapshot("one")
    assert set(snapshot[ENDPOINTS]) == {"outbound|80||web.default.svc.cluster.local"}
    assert "outbound|5432||db.default.svc.cluster.local" in snapshot[CLUSTER]


POLICIES = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: rules, namespace: default, generation: 3}
spec: {action: DENY, rules: [{from: [{source: {namespaces: [evil]}}]}]}
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: tokens, namespace: default, generation: 4}
spec: {jwtRules: [{issuer: shop, jwks: '{"keys":[]}'}]}
"""


def owned(memory: MemoryWorld, name: str) -> set[tuple[str, str, int]]:
    """The frames of a proxy that a policy shapes: resource, policy, generation."""
    snapshot = memory.snapshots.snapshot(name)
    frames = [frame for type_url in (LISTENER, EXTENSION) for frame in snapshot[type_url].values()]
    return {(frame.name, key.name, generation) for frame in frames for key, generation in frame.owners}


def test_policies_own_what_they_shape_and_no_more() -> None:
    """Rules their places and the listener's rules on bytes, tokens their place; a proxy that they are not for holds nothing of them."""
    memory = world(proxy("one"), proxy("other", namespace="elsewhere"))
    memory.load(POLICIES)
    memory.commit()
    places = ["lateen.authz." + name for name in ("custom", "service", "audit", "deny", "allow")]
    rules = {(name, "rules", 3) for name in ("virtualInbound", *places)}
    assert owned(memory, "one") == rules | {("lateen.tokens", "tokens", 4)}
    assert owned(memory, "other") == set()
