"""Which endpoints a proxy prefers by where it runs: priorities, weights, and when neither counts."""

from typing import Any

import pytest

from lateen.api.decode import decode_message
from lateen.api.meshconfig import MeshConfig
from lateen.model.scope import Proxy
from lateen.testing.world import MemoryWorld

HOST = "web.default.svc.cluster.local"
CLUSTER = f"outbound|80||{HOST}"
EJECTION = "outlierDetection: {consecutive5xxErrors: 1}"
PODS = ("r1.z1.s1", "r1.z1.s2", "r1.z2.s1", "r2.z1.s1", "r3.z1.s1")


def service(more: str = "") -> str:
    """A service with a pod in each of the places."""
    pods = "".join(
        f"""
---
kind: Pod
apiVersion: v1
metadata: {{name: web-{number}, namespace: default, labels: {{istio-locality: {place}, version: v{number}}}}}
spec: {{nodeName: node-{number}, containers: [{{name: app, image: app}}]}}
status: {{phase: Running, podIP: 10.0.0.{number}, podIPs: [{{ip: 10.0.0.{number}}}]}}
"""
        for number, place in enumerate(PODS)
    )
    endpoints = ", ".join(
        f"{{addresses: [10.0.0.{number}], conditions: {{ready: true}}, targetRef: {{kind: Pod, namespace: default, name: web-{number}}}}}"
        for number in range(len(PODS))
    )
    return f"""
kind: Service
apiVersion: v1
metadata: {{name: web, namespace: default}}
spec: {{clusterIP: 10.96.0.1, ports: [{{name: http, port: 80}}]{more}}}
---
kind: EndpointSlice
apiVersion: discovery.k8s.io/v1
metadata: {{name: web-1, namespace: default, labels: {{kubernetes.io/service-name: web}}}}
addressType: IPv4
endpoints: [{endpoints}]
ports: [{{name: http, port: 8080}}]
{pods}
"""


def rule(*policy: str) -> str:
    """A DestinationRule of the service."""
    return (
        "---\nkind: DestinationRule\napiVersion: networking.istio.io/v1\nmetadata: {name: r, namespace: default}\n"
        f"spec: {{host: web, trafficPolicy: {{{', '.join(policy)}}}}}\n"
    )


def balance(setting: str) -> str:
    return f"loadBalancer: {{localityLbSetting: {setting}}}"


def seen(*documents: str, place: str = "r1.z1.s1", mesh: str = "{}", node: str = "") -> tuple[list[tuple[str, int, int]], bool]:
    """For a client at `place`: last part of each address, with its priority and its place's weight; whether weights count."""
    config, problems = decode_message(mesh.encode(), MeshConfig, "mesh")
    assert config is not None and not problems
    world = MemoryWorld(mesh=config)
    pod = (
        f"\n---\nkind: Pod\napiVersion: v1\nmetadata: {{name: app, namespace: default, labels: {{istio-locality: {place}}}}}\n"
        f"spec: {{nodeName: {node or 'other'}, containers: [{{name: app, image: app}}]}}\nstatus: {{phase: Running, podIP: 10.0.9.9}}\n"
    )
    world.load("".join(documents) + pod)
    assert not world.problems
    labels = (("version", "v4"),)
    found: Any = world.messages(Proxy(id="a", kind="sidecar", namespace="default", name="app", addresses=("10.0.9.9",), labels=labels))
    endpoints = [
        (one.endpoint.address.socket_address.address.rpartition(".")[2], group.priority, group.load_balancing_weight.value)
        for group in found["endpoints"][CLUSTER].endpoints
        for one in group.lb_endpoints
    ]
    return sorted(endpoints), found["clusters"][CLUSTER].common_lb_config.HasField("locality_weighted_lb_config")


def priorities(*documents: str, place: str = "r1.z1.s1", mesh: str = "{}", node: str = "") -> list[int]:
    """The priority of each endpoint in order."""
    return [priority for _, priority, _ in seen(*documents, place=place, mesh=mesh, node=node)[0]]


def test_without_ejection_all_places_are_alike() -> None:
    """Priorities would keep traffic on failing endpoints, so there are none."""
    assert priorities(service()) == [0, 0, 0, 0, 0]
    assert priorities(service(), rule(balance("{failover: [{from: r1, to: r3}]}"))) == [0, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("place", "expected"), [("r1.z1.s1", [0, 1, 2, 3, 3]), ("r1.z2.s1", [1, 1, 0, 2, 2]), ("r3.z1.s1", [1, 1, 1, 1, 0]), ("", [0] * 5)]
)
def test_with_ejection_the_nearest_come_first(place: str, expected: list[int]) -> None:
    """Subzone, zone, region, then the rest, without gaps in the numbers; a place that is not known is near to nothing."""
    assert priorities(service(), rule(EJECTION), place=place or '""') == expected


def test_ejection_of_the_whole_mesh_counts() -> None:
    """Also where MeshConfig asks for it."""
    assert priorities(service(), mesh="defaultTrafficPolicy: {outlierDetection: {consecutive5xxErrors: 1}}") == [0, 1, 2, 3, 3]


def test_a_region_that_takes_over_comes_before_others() -> None:
    """`failover` names it, in the rule or for the mesh."""
    failover = "{failover: [{from: r1, to: r3}]}"
    assert priorities(service(), rule(EJECTION, balance(failover))) == [0, 1, 2, 4, 3]
    assert priorities(service(), rule(EJECTION), mesh=f"localityLbSetting: {failover}") == [0, 1, 2, 4, 3]
    assert seen(service(), rule(EJECTION, balance(failover)))[1]


def test_switched_off_nothing_is_preferred() -> None:
    """By the rule, or by the mesh where the rule says nothing."""
    off = "{enabled: false}"
    assert priorities(service(), rule(EJECTION, balance(off))) == [0] * 5
    assert priorities(service(), rule(EJECTION), mesh=f"localityLbSetting: {off}") == [0] * 5
    assert priorities(service(), rule(EJECTION, balance("{enabled: true}")), mesh=f"localityLbSetting: {off}") == [0, 1, 2, 3, 3]


def test_shares_are_weights_of_places() -> None:
    """The first rule for the client's place counts; the most specific pattern takes a place first; unnamed places get nothing."""
    shares = '{distribute: [{from: r2/*, to: {r2: 100}}, {from: "r1/z1/*", to: {"r1/z1/*": 70, "r1/*": 20, r2/*: 10}}]}'
    found, weighted = seen(service(), rule(balance(shares)))
    assert (found, weighted) == ([("0", 0, 35), ("1", 0, 35), ("2", 0, 20), ("3", 0, 10)], True)
    assert [weight for _, _, weight in seen(service(), rule(balance(shares)), place="r3.z1")[0]] == [1] * 5


def test_labels_decide_in_their_order() -> None:
    """As many labels in a row as are equal; `label=value` asks for a value whatever the client has."""
    labels = "{failoverPriority: [topology.kubernetes.io/region, topology.kubernetes.io/zone]}"
    assert priorities(service(), rule(EJECTION, balance(labels))) == [0, 0, 1, 2, 2]
    assert priorities(service(), rule(EJECTION, balance("{failoverPriority: [version]}"))) == [1, 1, 1, 1, 0]
    assert priorities(service(), rule(EJECTION, balance("{failoverPriority: ['version=v2', version]}"))) == [1, 1, 0, 1, 1]


@pytest.mark.parametrize("distribution", ["PreferClose", "PreferSameZone"])
def test_a_service_asks_for_the_same_zone(distribution: str) -> None:
    """`trafficDistribution` needs no ejection; a rule's own setting goes before it."""
    text = service(f", trafficDistribution: {distribution}")
    assert priorities(text) == [0, 1, 2, 3, 3]
    assert priorities(text, rule(balance("{enabled: false}"))) == [0] * 5


def test_a_service_asks_for_the_same_node() -> None:
    """Of the endpoints in the subzone those on the client's node come first."""
    text = service(", trafficDistribution: PreferSameNode")
    assert priorities(text, node="node-0") == [0, 1, 2, 3, 3]
    assert priorities(text, node="node-3") == [0, 1, 2, 3, 3]
    assert priorities(text, place="r2.z1.s1", node="node-3") == [1, 1, 1, 0, 1]


def test_clients_of_one_place_share_frames() -> None:
    """Endpoints are printed once per place, and once for all where nothing is preferred."""
    world = MemoryWorld()
    world.load(service() + rule(EJECTION))
    plain = MemoryWorld()
    plain.load(service())
    for one in (world, plain):
        for number in range(4):
            one.connect(Proxy(id=str(number), kind="sidecar", namespace="default", name=f"web-{number % 2}", addresses=(), labels=()))
        one.commit()
    assert len(list(world.world.places.endpoints.items())) == 2
    assert not list(plain.world.places.endpoints.items())


def test_subsets_may_name_places() -> None:
    """Topology counts among an endpoint's labels."""
    subset = (
        "---\nkind: DestinationRule\napiVersion: networking.istio.io/v1\nmetadata: {name: r, namespace: default}\n"
        "spec: {host: web, subsets: [{name: east, labels: {topology.kubernetes.io/region: r2}}]}\n"
    )
    world = MemoryWorld()
    world.load(service() + subset)
    found: Any = world.messages(Proxy(id="a", kind="sidecar", namespace="default", name="app", addresses=("10.0.9.9",), labels=()))
    places = found["endpoints"][f"outbound|80|east|{HOST}"].endpoints
    assert [one.endpoint.address.socket_address.address for place in places for one in place.lb_endpoints] == ["10.0.0.3"]
