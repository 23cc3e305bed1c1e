"""Services and endpoints from whatever declares them: slices, ServiceEntries, WorkloadEntries, pods."""

import pytest

from lateen.api.decode import decode_message
from lateen.api.meshconfig import MeshConfig
from lateen.compile.base import Base
from lateen.graph import Graph
from lateen.model.endpoint import Endpoint, Locality
from lateen.model.service import Service, ServiceKey
from lateen.testing.world import MemoryWorld

WEB = """
kind: Service
apiVersion: v1
metadata: {name: web, namespace: default}
spec: {clusterIP: 10.96.0.1, selector: {app: web}, ports: [{name: http, port: 80, targetPort: http}]}
"""
SLICE = """
kind: EndpointSlice
apiVersion: discovery.k8s.io/v1
metadata: {name: web-1, namespace: default, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints:
- {addresses: [10.0.0.1], conditions: {ready: true}, targetRef: {kind: Pod, name: web-1, namespace: default}}
- {addresses: [10.0.0.2], conditions: {ready: false, serving: true, terminating: true}}
"""


OUTWARD = """
kind: ServiceEntry
apiVersion: networking.istio.io/v1
metadata: {name: out, namespace: default}
spec:
  hosts: [out.example.com]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: DNS
"""


def pod(name: str, address: str, *, labels: str = "app: web", phase: str = "Running", ready: bool = True, more: str = "") -> str:
    """A pod of the service account `shop` on node n1."""
    return f"""
kind: Pod
apiVersion: v1
metadata:
  name: {name}
  namespace: default
  labels: {{{labels}, pod-template-hash: abc}}
  ownerReferences: [{{kind: ReplicaSet, name: web-v1-abc, controller: true, apiVersion: apps/v1, uid: x}}]
spec:
  serviceAccountName: shop
  nodeName: n1
  containers: [{{name: app, image: app, ports: [{{name: http, containerPort: 8080}}]}}]
  {more}
status:
  phase: {phase}
  podIP: {address}
  conditions: [{{type: Ready, status: "{ready}"}}]
"""


NODE = "{kind: Node, apiVersion: v1, metadata: {name: n1, labels: {topology.kubernetes.io/region: r, topology.kubernetes.io/zone: z}}}"


def world(*documents: str) -> Base:
    """The first part of the graph with these objects."""
    memory = MemoryWorld()
    memory.load("\n---\n".join(documents))
    assert not memory.problems
    memory.commit()
    return memory.world.base


def endpoints(base: Base, host: str = "web.default.svc.cluster.local") -> tuple[Endpoint, ...]:
    return base.endpoints.get(ServiceKey("default", host)) or ()


def service(base: Base, host: str) -> Service:
    found = base.services.get(ServiceKey("default", host))
    assert found is not None
    return found


def test_an_endpoint_carries_what_its_pod_is() -> None:
    """Identity, locality of the node, whether it has a sidecar, the Deployment behind it."""
    (found,) = endpoints(world(WEB, SLICE, NODE, pod("web-1", "10.0.0.1", labels="app: web, security.istio.io/tlsMode: istio")))
    assert (found.address, found.port, found.service_port) == ("10.0.0.1", 8080, 80)
    assert found.identity == "spiffe://cluster.local/ns/default/sa/shop"
    assert (found.locality, found.tls_mode, found.workload) == (Locality("r", "z"), "istio", "web-v1")
    assert found.tag == "web-v1;default;web;;Kubernetes"


def test_a_label_overrules_the_nodes_locality() -> None:
    """Dots stand for the slashes that a label must not have."""
    (found,) = endpoints(world(WEB, SLICE, NODE, pod("web-1", "10.0.0.1", labels="app: web, istio-locality: a.b.c")))
    assert found.locality == Locality("a", "b", "c")


def test_a_named_pod_gets_no_traffic_before_it_is_known() -> None:
    """Its sidecar and identity are not known yet: it would be sent plaintext."""
    assert endpoints(world(WEB, SLICE)) == ()


def test_an_address_taken_over_from_a_finished_pod_is_the_new_pods() -> None:
    """A finished pod keeps its address in its status."""
    job = pod("job-1", "10.0.0.1", labels="app: job", phase="Succeeded")
    plain = SLICE.replace(", targetRef: {kind: Pod, name: web-1, namespace: default}", "")
    (found,) = endpoints(world(WEB, plain, job, pod("web-1", "10.0.0.1")))
    assert dict(found.labels)["app"] == "web"


def test_unready_endpoints_count_only_where_the_service_asks_for_them() -> None:
    """`publishNotReadyAddresses`."""
    asks = WEB.replace("spec: {", "spec: {publishNotReadyAddresses: true, ")
    assert [one.address for one in endpoints(world(asks, SLICE, pod("web-1", "10.0.0.1")))] == ["10.0.0.1", "10.0.0.2"]


def test_a_service_selects_machines_beside_its_pods() -> None:
    """WorkloadEntries of its namespace, by the names of its ports or of their targets."""
    machine = """
kind: WorkloadEntry
apiVersion: networking.istio.io/v1
metadata: {name: vm, namespace: default}
spec: {address: 10.5.0.1, labels: {app: web}, ports: {http: 9090}, serviceAccount: vm}
"""
    found = endpoints(world(WEB, machine))
    assert [(one.address, one.port, one.identity) for one in found] == [("10.5.0.1", 9090, "spiffe://cluster.local/ns/default/sa/vm")]
    assert endpoints(world(WEB, machine.replace("ports: {http: 9090}, ", ""))) == ()


ENTRY = """
kind: ServiceEntry
apiVersion: networking.istio.io/v1
metadata: {name: NAME, namespace: default, creationTimestamp: "2026-01-01T00:00:00Z"}
spec: SPEC
"""


def entry(name: str, spec: str) -> str:
    return ENTRY.replace("NAME", name).replace("SPEC", spec)


def test_a_service_entry_selects_pods_and_machines() -> None:
    """Only ready pods; the port is the workload's of the same name, else the entry's target port."""
    spec = "{hosts: [x.com], resolution: STATIC, ports: [{number: 80, name: http}], workloadSelector: {labels: {app: web}}}"
    machine = (
        "{kind: WorkloadEntry, apiVersion: networking.istio.io/v1, metadata: {name: vm, namespace: default}, "
        "spec: {address: 10.5.0.1, labels: {app: web}}}"
    )
    unready = pod("web-2", "10.0.0.2", ready=False)
    found = endpoints(world(entry("e", spec), machine, pod("web-1", "10.0.0.1"), unready), "x.com")
    assert {(one.address, one.port) for one in found} == {("10.5.0.1", 80), ("10.0.0.1", 8080)}


def test_entries_of_one_host_are_one_service() -> None:
    """The older keeps what both say, the younger adds ports and their endpoints."""
    first = entry("a", "{hosts: [x.com], resolution: STATIC, ports: [{number: 80, name: http}], endpoints: [{address: 10.1.0.1}]}")
    ports = "ports: [{number: 80, name: tcp}, {number: 443, name: tls}]"
    second = entry("b", f"{{hosts: [x.com], resolution: STATIC, {ports}, endpoints: [{{address: 10.1.0.2}}]}}")
    base = world(second, first)
    assert [(port.number, port.name) for port in service(base, "x.com").ports] == [(80, "http"), (443, "tls")]
    assert [(one.address, one.service_port) for one in endpoints(base, "x.com")] == [("10.1.0.1", 80), ("10.1.0.2", 443)]


def test_entries_without_addresses_get_one() -> None:
    """Istio's own address for the name; not for wildcards, not where the real address counts, not who declines."""
    ports = "ports: [{number: 443, name: tls}]"
    named = service(world(entry("a", f"{{hosts: [istio.io], resolution: DNS, {ports}}}")), "istio.io")
    assert (named.addresses, named.auto_addresses) == ((), ("240.240.122.168",))
    assert named.captured.addresses == ("240.240.122.168",)
    for host, resolution in (("*.x.com", "DNS"), ("x.com", "NONE")):
        assert service(world(entry("a", f"{{hosts: ['{host}'], resolution: {resolution}, {ports}}}")), host).auto_addresses == ()
    declined = entry("a", f"{{hosts: [x.com], resolution: DNS, {ports}}}").replace(
        "namespace: default,", "namespace: default, labels: {networking.istio.io/enable-autoallocate-ip: 'false'},"
    )
    assert service(world(declined), "x.com").auto_addresses == ()


def test_an_external_name_is_an_alias_through_others() -> None:
    """Every name in the chain stands for the service at its end, and is no service with endpoints itself."""
    names = [
        f"{{kind: Service, apiVersion: v1, metadata: {{name: {name}, namespace: default}}, "
        f"spec: {{type: ExternalName, externalName: {target}.default.svc.cluster.local}}}}"
        for name, target in (("one", "web"), ("two", "one"), ("loop", "loop"))
    ]
    base = world(WEB, *names)
    aliases = service(base, "web.default.svc.cluster.local").aliases
    assert [key.hostname.partition(".")[0] for key in aliases] == ["one", "two"]


def test_a_change_of_a_pod_that_matters_to_nobody_stops_at_its_workload() -> None:
    """Messages and start times of a pod change often."""
    memory = MemoryWorld()
    memory.load("\n---\n".join((WEB, SLICE, pod("web-1", "10.0.0.1"))))
    memory.commit()
    memory.load(pod("web-1", "10.0.0.1").replace("phase: Running", "phase: Running\n  message: hello"))
    memory.commit()
    graph: Graph = memory.graph
    assert {name for name, count in graph.counters.items() if count} == {"workloads"}


@pytest.mark.parametrize(
    ("settings", "labels", "export", "seen"),
    [
        ("defaultVisibility: NAMESPACE", "{}", "['*']", ("default",)),
        ("defaultVisibility: NAMESPACE", "{}", "[other]", ("~",)),
        ("defaultVisibility: NONE", "{}", "['*']", ("~",)),
        ("defaultVisibility: PUBLIC", "{}", "[other]", ("other",)),
        ("{}", "{}", "['*']", ("*",)),
        ("defaultVisibility: NONE, policies: [{visibility: PUBLIC, matchingRules: [RULE]}]", "{team: edge}", "['*']", ("*",)),
        ("defaultVisibility: NONE, policies: [{visibility: PUBLIC, matchingRules: [RULE]}]", "{team: core}", "['*']", ("~",)),
        ("defaultVisibility: NONE, policies: [{visibility: PUBLIC, matchingRules: [RULE, {}]}]", "{team: edge}", "['*']", ("~",)),
        ("policies: [{visibility: NAMESPACE}, {visibility: NONE}]", "{}", "['*']", ("default",)),
    ],
)
def test_the_mesh_says_who_sees_service_entries(settings: str, labels: str, export: str, seen: tuple[str, ...]) -> None:
    """The first policy whose rules all fit the namespace's labels counts; it narrows what the entry exports itself to."""
    rule = "{namespaceSelector: {matchExpressions: [{key: team, operator: In, values: [edge, rim]}]}}"
    body = settings.replace("RULE", rule) if settings != "{}" else "policies: []"

    def seen_by(text: str) -> tuple[str, ...]:
        mesh, problems = decode_message(text.encode(), MeshConfig, "mesh")
        assert not problems
        memory = MemoryWorld(mesh=mesh)
        memory.load(
            f"{{kind: Namespace, apiVersion: v1, metadata: {{name: default, labels: {labels}}}}}\n---\n{OUTWARD}  exportTo: {export}"
        )
        assert not memory.problems
        memory.commit()
        return service(memory.world.base, "out.example.com").export_to

    assert seen_by(f"serviceEntryVisibility: {{applyToSidecars: true, {body}}}") == seen
    assert seen_by(f"serviceEntryVisibility: {{{body}}}") == (("other",) if "other" in export else ("*",))
