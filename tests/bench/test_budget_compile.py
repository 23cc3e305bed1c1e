"""Budgets of the compiler on 1,000 services: what one change runs is asserted by counts, times are CPU seconds and generous.

Two proxies of different namespaces see everything; all endpoints have a sidecar.
"""

import time
from collections.abc import Mapping
from typing import Any

import pytest

from lateen.api.decode import decode_object
from lateen.api.meta import Key
from lateen.compile.world import build_world
from lateen.graph import Commit, Graph
from lateen.model.mesh import Settings
from lateen.model.scope import Proxy
from lateen.xds.resources import CLUSTER, ENDPOINTS
from lateen.xds.snapshots import Snapshots

SERVICES = 1_000
Raw = dict[str, Any]


def slice_of(number: int, *, ready: bool = True) -> Raw:
    """A service's endpoints; the first of the three may not be ready."""
    addresses = [f"10.{one}.{number // 250}.{number % 250 + 1}" for one in range(1, 4)]
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": f"s{number}-a", "namespace": "shop", "labels": {"kubernetes.io/service-name": f"s{number}"}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080}],
        "endpoints": [{"addresses": [address], "conditions": {"ready": ready or at > 0}} for at, address in enumerate(addresses)],
    }


def service(number: int) -> Raw:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": f"s{number}", "namespace": "shop", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {
            "clusterIP": f"10.96.{number // 250}.{number % 250 + 1}",
            "ports": [{"name": "http", "port": 80, "targetPort": 8080}],
            "selector": {"app": f"s{number}"},
        },
    }


def rule(host: str, connections: int) -> Raw:
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": {"name": "limit", "namespace": "shop"},
        "spec": {"host": host, "trafficPolicy": {"connectionPool": {"tcp": {"maxConnections": connections}}}},
    }


class Mesh:
    """The world, loaded and committed once."""

    def __init__(self) -> None:
        self.graph = Graph()
        self.world = build_world(self.graph, Settings())
        self.snapshots = Snapshots(self.graph, self.world)
        for number in range(SERVICES):
            self.put(service(number))
            self.put(slice_of(number))
        for namespace in ("shop", "other"):
            proxy = Proxy(id=namespace, kind="sidecar", namespace=namespace, name="app", addresses=("10.9.9.9",), labels=())
            self.world.proxies.set(proxy.id, proxy)
        self.commit, self.spent = self.timed_commit()

    def put(self, raw: Mapping[str, Any]) -> None:
        obj, problems = decode_object(raw)
        assert obj is not None and not problems
        meta = raw["metadata"]
        self.world.inputs[raw["kind"]].set(Key(raw["kind"], meta["namespace"], meta["name"]), obj)

    def timed_commit(self) -> tuple[Commit, float]:
        began = time.process_time()
        commit = self.graph.commit()
        return commit, time.process_time() - began

    def runs(self) -> dict[str, int]:
        return {name: count for name, count in self.graph.counters.items() if count}


@pytest.fixture
def mesh() -> Mesh:
    return Mesh()


def test_one_endpoint_runs_a_fixed_number_of_nodes(mesh: Mesh) -> None:
    """However many services there are: those of its own service, and one per client and set of scopes that collects frames."""
    before = mesh.snapshots.snapshot("shop")
    mesh.put(slice_of(7, ready=False))
    _, spent = mesh.timed_commit()
    runs = mesh.runs()
    print(
        f"\nload {SERVICES} services: {mesh.spent * 1000:.0f} ms CPU; one endpoint: {spent * 1000:.1f} ms CPU, {sum(runs.values())} nodes"
    )
    assert max(runs.values()) <= 2, runs
    assert sum(runs.values()) <= 20, runs
    after = mesh.snapshots.snapshot("shop")
    moved = [name for name, frame in after[ENDPOINTS].items() if frame is not before[ENDPOINTS][name]]
    assert moved == ["outbound|80||s7.shop.svc.cluster.local"]
    assert after[CLUSTER] == before[CLUSTER]
    assert spent < 0.1


def test_one_rule_runs_the_nodes_of_its_service(mesh: Mesh) -> None:
    """A DestinationRule that comes concerns one service; its next change not even who sees what."""
    mesh.put(rule("s3.shop.svc.cluster.local", 10))
    mesh.timed_commit()
    before = mesh.snapshots.snapshot("other")
    mesh.put(rule("s3.shop.svc.cluster.local", 20))
    _, spent = mesh.timed_commit()
    runs = mesh.runs()
    print(f"\none rule: {spent * 1000:.1f} ms CPU, {sum(runs.values())} nodes")
    assert max(runs.values()) <= 2, runs
    after = mesh.snapshots.snapshot("other")
    moved = [name for name, frame in after[CLUSTER].items() if frame is not before[CLUSTER][name]]
    assert moved == ["outbound|80||s3.shop.svc.cluster.local"]
    assert spent < 0.1


def test_both_namespaces_share_every_frame(mesh: Mesh) -> None:
    """Clusters and endpoints are printed once, whoever gets them."""
    shop, other = (mesh.snapshots.snapshot(name) for name in ("shop", "other"))
    for kind in (CLUSTER, ENDPOINTS):
        assert all(frame is other[kind][name] for name, frame in shop[kind].items())


def test_a_pod_that_says_it_lives_runs_one_node(mesh: Mesh) -> None:
    """Of a pod's status only addresses and readiness matter."""
    pod: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "shop", "labels": {"app": "s1"}},
        "spec": {"containers": [{"name": "app", "image": "app"}]},
        "status": {"phase": "Running", "podIP": "10.1.0.2"},
    }
    mesh.put(pod)
    mesh.timed_commit()
    mesh.put({**pod, "status": {**pod["status"], "message": "still here"}})
    mesh.timed_commit()
    assert mesh.runs() == {"workloads": 1}


def test_a_thousand_services_load_in_four_seconds(mesh: Mesh) -> None:
    """Two clients, all clusters, endpoints, routes and listeners printed."""
    assert mesh.spent < 4
