"""Budgets of the graph: loading a large mesh, one change, a change that every node reads.

Times are CPU seconds and generous where asserted; what must be O(1) is asserted by counts.
"""

import time
import tracemalloc

import pytest
from msgspec import Struct

from lateen.graph import Collection, Graph, Input

SERVICES, PODS, SCOPES = 5_000, 25_000, 10


class Pod(Struct, frozen=True):
    service: str
    address: int


class Mesh:
    """Services with the endpoints of their pods, and a view of each service that reads one mesh-wide setting."""

    def __init__(self) -> None:
        self.graph = Graph()
        self.services: Input[str, int] = self.graph.input("services")
        self.pods: Input[str, Pod] = self.graph.input("pods")
        settings: Input[str, int] = self.graph.input("settings")
        self.settings = settings
        of_service = self.graph.index("pods by service", self.pods, lambda _key, pod: (pod.service,))
        timeout = self.graph.singleton("timeout", lambda read: (read.get(settings, "timeout"), ()))
        self.endpoints: Collection[str, tuple[int, ...]] = self.graph.one(
            "endpoints",
            self.services,
            lambda read, key, _port: (tuple(pod.address for pod in read.by_index(of_service, key).values()), ()),
        )
        self.clusters = self.graph.one("clusters", self.services, lambda read, _key, port: ((port, read.get(timeout, ())), ()))
        for number in range(SERVICES):
            self.services.set(f"s{number}", number)
        for number in range(PODS):
            self.pods.set(f"p{number}", Pod(f"s{number % SERVICES}", number))
        self.settings.set("timeout", 1)

    def commit(self) -> float:
        """CPU seconds of one commit."""
        began = time.process_time()
        self.graph.commit()
        return time.process_time() - began


def test_a_large_mesh_loads_in_half_a_second() -> None:
    """5,000 services over an index of 25,000 pods: each node runs once."""
    mesh = Mesh()
    spent = mesh.commit()
    print(f"\nload {SERVICES} services, {PODS} pods: {spent * 1000:.0f} ms CPU")
    assert mesh.graph.counters == {"timeout": 1, "endpoints": SERVICES, "clusters": SERVICES}
    assert spent < 0.5


def test_one_pod_runs_one_node() -> None:
    """A pod's change concerns its service's endpoints alone."""
    mesh = Mesh()
    mesh.commit()
    times = []
    for turn in range(20):
        mesh.pods.set("p7", Pod("s7", -turn))
        times.append(mesh.commit())
        assert mesh.graph.counters == {"endpoints": 1}
    print(f"\none pod changes: {min(times) * 1e6:.0f} µs CPU")
    mesh.pods.set("p7", Pod("s8", 7))
    mesh.commit()
    assert mesh.graph.counters == {"endpoints": 2}


def test_a_setting_read_by_all_runs_each_reader_once() -> None:
    """About 20 ms for 5,000 readers."""
    mesh = Mesh()
    mesh.commit()
    times = []
    for turn in range(5):
        mesh.settings.set("timeout", turn + 2)
        times.append(mesh.commit())
        assert mesh.graph.counters == {"timeout": 1, "clusters": SERVICES}
    print(f"\na setting read by {SERVICES} nodes changes: {min(times) * 1000:.0f} ms CPU")
    assert min(times) < 0.2


@pytest.mark.slow
def test_scopes_come_and_go_at_their_own_cost() -> None:
    """Views per (scope, service): a scope's coming runs its own nodes only, a change one node per scope, a going none."""
    mesh = Mesh()
    scopes: Input[str, int] = mesh.graph.input("scopes")
    pairs = mesh.graph.many("pairs", scopes, lambda read, scope, _n: ({(scope, name): name for name in read.keys(mesh.services)}, ()))
    views = mesh.graph.one("views", pairs, lambda read, _key, name: ((name, read.get(mesh.clusters, name)), ()))
    mesh.commit()
    scopes.replace({f"scope{number}": number for number in range(SCOPES)})
    come = mesh.commit()
    assert mesh.graph.counters == {"pairs": SCOPES, "views": SCOPES * SERVICES}
    scopes.set("another", 1)
    mesh.commit()
    assert mesh.graph.counters == {"pairs": 1, "views": SERVICES}
    mesh.services.set("s7", -1)
    mesh.commit()
    assert mesh.graph.counters == {"endpoints": 1, "clusters": 1, "views": SCOPES + 1}
    scopes.replace({})
    go = mesh.commit()
    assert mesh.graph.counters == {}
    assert len(views) == 0
    print(f"\n{SCOPES} scopes of {SERVICES} services come: {come * 1000:.0f} ms CPU; go: {go * 1000:.0f} ms CPU")


@pytest.mark.slow
def test_scopes_that_come_and_go_leave_no_memory_behind() -> None:
    """Tables keep their room, nothing more: any number of scopes, one after the other, needs the memory of one."""
    mesh = Mesh()
    scopes: Input[str, int] = mesh.graph.input("scopes")
    pairs = mesh.graph.many("pairs", scopes, lambda read, scope, _n: ({(scope, name): name for name in read.keys(mesh.services)}, ()))
    mesh.graph.one("views", pairs, lambda read, _key, name: ((name, read.get(mesh.clusters, name)), ()))
    mesh.commit()
    tracemalloc.start()
    peaks = []
    for number in range(6):
        scopes.replace({f"scope{number}": number})
        mesh.commit()
        peaks.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    print(f"\n{peaks[0] / SERVICES:.0f} bytes per (scope, service), both collections together")
    assert max(peaks) < peaks[0] * 2
