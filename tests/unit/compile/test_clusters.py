"""Clusters as the world makes them: their protocol, TLS, defaults of the mesh, and when there is none."""

import base64

import pytest
from cryptography import x509

from lateen.api.decode import decode_message, decode_object
from lateen.api.meshconfig import MeshConfig
from lateen.model.clusterplan import ClusterPlan, ClusterTls
from lateen.model.scope import Client, Proxy
from lateen.testing.certificates import self_signed
from lateen.testing.world import MemoryWorld
from lateen.xds.resources import CLUSTER, SECRET

HOST = "web.default.svc.cluster.local"
WEB = """
kind: Service
apiVersion: v1
metadata: {name: web, namespace: default}
spec: {clusterIP: 10.96.0.1, ports: [{name: NAME, port: 80, appProtocol: null}]}
"""
SIDECAR = Proxy(id="a", kind="sidecar", namespace="default", name="app", addresses=("10.0.0.9",), labels=(("app", "client"),))
GATEWAY = Proxy(id="g", kind="router", namespace="default", name="gw", addresses=("10.0.0.8",), labels=())


def rule(policy: str, *, host: str = "web", more: str = "") -> str:
    return (
        "kind: DestinationRule\napiVersion: networking.istio.io/v1\nmetadata: {name: r, namespace: default, generation: 3}\n"
        f"spec: {{host: {host}, trafficPolicy: {policy}{more}}}\n"
    )


def entry(spec: str) -> str:
    return f"kind: ServiceEntry\napiVersion: networking.istio.io/v1\nmetadata: {{name: e, namespace: default}}\nspec: {spec}\n"


def world(*documents: str, mesh: str = "", proxy: Proxy = SIDECAR) -> MemoryWorld:
    """A world that `proxy` is connected to."""
    config, problems = decode_message(mesh.encode() or b"{}", MeshConfig, "mesh")
    assert config is not None and not problems
    memory = MemoryWorld(mesh=config)
    memory.load("\n---\n".join(documents))
    assert not memory.problems
    memory.connect(proxy)
    memory.commit()
    return memory


def plans(memory: MemoryWorld) -> dict[str, ClusterPlan]:
    return {name: plan for (_, name), plan in memory.world.clusters.plans.items()}


def cluster(*documents: str, port: str = "http", mesh: str = "", proxy: Proxy = SIDECAR, subset: str = "", host: str = HOST) -> ClusterPlan:
    return plans(world(WEB.replace("NAME", port), *documents, mesh=mesh, proxy=proxy))[f"outbound|80|{subset}|{host}"]


def tls(plan: ClusterPlan) -> ClusterTls:
    assert plan.tls is not None
    return plan.tls


@pytest.mark.parametrize(
    ("port", "pool", "mesh", "expected"),
    [
        ("http", "{}", "", "default"),
        ("grpc", "{}", "", "http2"),
        ("any", "{}", "", "client"),
        ("tcp", "{}", "", "default"),
        ("http", "{http: {useClientProtocol: true}}", "", "client"),
        ("grpc", "{http: {useClientProtocol: true}}", "", "client"),
        ("http", "{http: {h2UpgradePolicy: UPGRADE}}", "", "http2"),
        ("any", "{http: {h2UpgradePolicy: UPGRADE}}", "", "http2"),
        ("http", "{}", "h2UpgradePolicy: UPGRADE", "http2"),
        ("any", "{}", "h2UpgradePolicy: UPGRADE", "client"),
        ("http", "{http: {h2UpgradePolicy: DO_NOT_UPGRADE}}", "h2UpgradePolicy: UPGRADE", "default"),
        ("http", "{http: {h2UpgradePolicy: UPGRADE, useClientProtocol: true}}", "", "client"),
    ],
)
def test_what_a_cluster_speaks(port: str, pool: str, mesh: str, expected: str) -> None:
    """A rule may ask for HTTP/2 on any port, the mesh on HTTP ports only; what the client speaks goes before both."""
    assert cluster(rule(f"{{connectionPool: {pool}}}"), port=port, mesh=mesh).protocol == expected


def test_a_gateway_detects_no_protocols() -> None:
    """It would send HTTP/2 to servers that do not speak it, as its own clients agree on it with the gateway."""
    assert cluster(port="any", proxy=GATEWAY).protocol == "default"


def test_mesh_defaults_fill_what_rules_leave_open() -> None:
    """Block by block; a rule's own block counts as a whole."""
    mesh = "connectTimeout: 3s\ntcpKeepalive: {time: 60s, probes: 4}\ndefaultTrafficPolicy: {connectionPool: {tcp: {maxConnections: 7}}}"
    plain = cluster(mesh=mesh)
    assert (plain.pool.connect_timeout, plain.pool.keepalive, plain.breaker.connections) == (3_000_000_000, (4, 60, 0), 7)
    own = cluster(rule("{connectionPool: {tcp: {connectTimeout: 1s, tcpKeepalive: {time: 5s}}}}"), mesh=mesh)
    assert (own.pool.connect_timeout, own.pool.keepalive, own.breaker.connections) == (1_000_000_000, (4, 5, 0), 2**32 - 1)


def test_pass_through_clusters_follow_the_mesh() -> None:
    """Their connect timeout is the mesh's."""
    memory = world(mesh="connectTimeout: 4s")
    names = memory.snapshots.snapshot("a")[CLUSTER]
    assert {"BlackHoleCluster", "PassthroughCluster", "InboundPassthroughCluster"} <= set(names)
    fixed = memory.world.clusters.passthroughs[()]
    assert {plan.pool.connect_timeout for plan in fixed["sidecar"]} == {4_000_000_000}
    assert [plan.name for plan in fixed["router"]] == ["BlackHoleCluster"]


def test_an_idle_time_of_tcp_counts_for_http_without_its_own() -> None:
    """HTTP's own goes before it."""
    assert cluster(rule("{connectionPool: {tcp: {idleTimeout: 9s}}}")).pool.idle_timeout == 9_000_000_000
    both = "{connectionPool: {tcp: {idleTimeout: 9s}, http: {idleTimeout: 2s}}}"
    assert cluster(rule(both)).pool.idle_timeout == 2_000_000_000


def test_numbers_below_one_mean_not_set() -> None:
    """Istio's API cannot tell zero from nothing."""
    plan = cluster(rule("{connectionPool: {tcp: {maxConnections: -1}, http: {maxRetries: 0, maxConcurrentStreams: -5}}}"))
    assert (plan.breaker.connections, plan.breaker.retries, plan.pool.concurrent_streams) == (2**32 - 1, 2**32 - 1, 0)


def test_accepted_names_are_those_of_endpoints_and_entry_in_all_trust_domains() -> None:
    """A peer of a former trust domain is the same peer."""
    endpoint = "endpoints: [{address: 10.1.0.1, serviceAccount: x}], subjectAltNames: [db.x.com]"
    spec = f"{{hosts: [x.com], location: MESH_INTERNAL, resolution: STATIC, ports: [{{number: 80, name: http}}], {endpoint}}}"
    memory = world(entry(spec), mesh="trustDomainAliases: [old.local]")
    names = tls(plans(memory)["outbound|80||x.com"]).names
    assert names == ("db.x.com", "spiffe://cluster.local/ns/default/sa/x", "spiffe://old.local/ns/default/sa/x")


@pytest.mark.parametrize("external", [True, False])
def test_no_mutual_tls_towards_what_is_outside_the_mesh(external: bool) -> None:  # noqa: FBT001
    """Unless a rule asks for it."""
    where = "MESH_EXTERNAL" if external else "MESH_INTERNAL"
    spec = (
        f"{{hosts: [x.com], location: {where}, resolution: STATIC, ports: [{{number: 80, name: http}}], endpoints: [{{address: 1.1.1.1}}]}}"
    )
    assert (plans(world(entry(spec)))["outbound|80||x.com"].tls is None) == external


def test_external_is_said_of_the_service_not_of_its_subsets() -> None:
    """As istiod writes it."""
    spec = "{hosts: [x.com], resolution: STATIC, ports: [{number: 80, name: http}], endpoints: [{address: 1.1.1.1}]}"
    found = plans(world(entry(spec), rule("{}", host="x.com", more=", subsets: [{name: v1}]")))
    assert (found["outbound|80||x.com"].external, found["outbound|80|v1|x.com"].external) == (True, False)


CREDENTIAL = "{tls: {mode: MUTUAL, credentialName: cred, sni: x}}"


def test_a_secrets_certificate_is_for_gateways_and_selected_workloads() -> None:
    """Everybody else connects in the clear, as with Istio: the Secret is not theirs."""
    selector = ", workloadSelector: {matchLabels: {app: client}}"
    assert cluster(rule(CREDENTIAL)).tls is None
    assert tls(cluster(rule(CREDENTIAL, more=selector))).certificate == "kubernetes://cred"
    gateway = tls(cluster(rule(CREDENTIAL), proxy=GATEWAY))
    assert (gateway.certificate, gateway.root) == ("kubernetes://cred", "kubernetes://cred-cacert")


def test_the_secret_itself_goes_to_who_may_have_it() -> None:
    """From the proxy's own namespace."""
    chain, key = (base64.b64encode(one).decode() for one in self_signed(x509.DNSName("web"))[1:])
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "cred", "namespace": "default"},
        "data": {"tls.crt": chain, "tls.key": key, "ca.crt": chain},
    }
    assert decode_object(secret)[0] is not None
    for proxy, expected in ((GATEWAY, {"kubernetes://cred", "kubernetes://cred-cacert"}), (SIDECAR, set())):
        memory = world(WEB.replace("NAME", "http"), rule(CREDENTIAL), proxy=proxy)
        memory.put(secret)
        memory.commit()
        assert set(memory.snapshots.snapshot(proxy.id)[SECRET]) == expected


def test_a_name_without_addresses_has_no_cluster() -> None:
    """Nor has a subset that no endpoint belongs to; a host without endpoints is looked up by its own name."""
    spec = "{hosts: [x.com], resolution: DNS, ports: [{number: 80, name: http}]}"
    subset = rule("{}", host="x.com", more=", subsets: [{name: v1, labels: {version: v1}}]")
    assert set(plans(world(entry(spec), subset))) == {"outbound|80||x.com"}
    selects = spec.replace("resolution: DNS", "resolution: DNS, workloadSelector: {labels: {app: x}}")
    assert "outbound|80|v1|x.com" not in plans(world(entry(selects), subset))


def test_an_alias_has_no_cluster() -> None:
    """Requests for it go to the service that it names."""
    alias = (
        "{kind: Service, apiVersion: v1, metadata: {name: other, namespace: default}, "
        f"spec: {{type: ExternalName, externalName: {HOST}, ports: [{{name: http, port: 80}}]}}}}"
    )
    assert set(plans(world(WEB.replace("NAME", "http"), alias))) == {f"outbound|80||{HOST}"}


def test_owners_are_the_service_and_its_rules() -> None:
    """A refusal by Envoy reaches who wrote the rule."""
    owners = cluster(rule("{}")).owners
    assert [(key.kind, key.name, generation) for key, generation in owners] == [("Service", "web", 0), ("DestinationRule", "r", 3)]


def test_clients_for_whom_the_same_rules_count_share_clusters() -> None:
    """A rule of one namespace splits that namespace's clusters only."""
    memory = world(WEB.replace("NAME", "http"))
    for number, namespace in enumerate(("two", "three")):
        memory.connect(Proxy(id=namespace, kind="sidecar", namespace=namespace, name="x", addresses=(f"10.0.1.{number}",), labels=()))
    memory.commit()
    assert len(list(memory.world.clusters.plans.items())) == 1
    own = rule("{connectionPool: {tcp: {maxConnections: 1}}}", host=HOST).replace("namespace: default", "namespace: two")
    memory.load(own)
    memory.commit()
    clusters = memory.world.clusters
    assert len({view for view, _ in dict(clusters.plans.items())}) == 2
    (special,) = clusters.of_client[Client(namespace="two")]
    assert [key.namespace for key in special.rules] == ["two"]
    assert clusters.of_client[Client(namespace="")] != (special,)
    assert Client(namespace="three") not in clusters.of_client
