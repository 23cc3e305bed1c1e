"""What a gate does not admit yet reaches no proxy: those that hold something keep it, new ones wait, and others are not held up."""

from collections.abc import Collection
from types import SimpleNamespace

from lateen.ads.messages import CDS, EDS, Push, Request
from lateen.model.scope import Proxy
from lateen.model.text import Texts
from lateen.server.distributor import Connection, Distributor
from lateen.testing.world import MemoryWorld
from lateen.util.selectors import canonical

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: %s, namespace: default}
spec: {clusterIP: 10.96.0.%d, ports: [{name: http, port: 80}]}
"""
FILTER = """
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: slow, namespace: default}
spec:
  workloadSelector: {labels: {app: patched}}
  configPatches: [{applyTo: CLUSTER, match: {context: SIDECAR_OUTBOUND}, patch: {operation: MERGE, value: {connect_timeout: 77s}}}]
"""
SLOW = b"\x22\x02\x08\x4d"  # the field connect_timeout of 77 seconds


class Mesh:
    """A distributor over a world with one Service; the gate is shut while `shut`."""

    def __init__(self) -> None:
        self.shut = True
        self.asked: list[Texts] = []
        self.memory = MemoryWorld()
        self.memory.load(SERVICE % ("one", 1))
        gate = SimpleNamespace(admits=self._admits)
        self.distributor = Distributor(self.memory.graph, self.memory.world, self.memory.snapshots, lambda: None, gate)

    def _admits(self, texts: Texts, clusters: Collection[str]) -> bool:
        assert "outbound|80||one.default.svc.cluster.local" in clusters
        self.asked.append(texts)
        return not self.shut

    def load(self, text: str) -> None:
        self.memory.load(text)
        self.distributor.commit()


class Client:
    """A proxy that takes everything."""

    def __init__(self, mesh: Mesh, app: str) -> None:
        proxy = Proxy(id=app, kind="sidecar", namespace="default", name=app, addresses=("10.0.0.9",), labels=canonical({"app": app}))
        self.clusters: dict[str, bytes] = {}
        self._nonces: list[tuple[str, str]] = []
        self.connection: Connection = mesh.distributor.connect(proxy, sotw=False, send=self._got)
        self.connection.on_request(Request(type_url=CDS))
        self.connection.on_request(Request(type_url=EDS, subscribe=("*",)))
        self.answer()

    def _got(self, pushes: tuple[Push, ...]) -> None:
        for push in pushes:
            self._nonces.append((push.type_url, push.nonce))
            if push.type_url == CDS:
                self.clusters |= {frame.name: frame.entry for frame in push.frames}

    def answer(self) -> None:
        while self._nonces:
            type_url, nonce = self._nonces.pop(0)
            self.connection.on_request(Request(type_url=type_url, nonce=nonce))

    @property
    def slow(self) -> bool:
        """Whether it has the change."""
        return SLOW in self.clusters["outbound|80||one.default.svc.cluster.local"]


def test_who_holds_something_keeps_it_until_the_gate_opens() -> None:
    """Meanwhile it is behind, later changes wait with it, and a proxy without such texts gets them at once."""
    mesh = Mesh()
    patched, other = Client(mesh, "patched"), Client(mesh, "other")
    assert mesh.asked == []
    mesh.load(FILTER)
    mesh.load(SERVICE % ("two", 2))
    patched.answer()
    other.answer()
    two = "outbound|80||two.default.svc.cluster.local"
    assert (patched.slow, two in patched.clusters, two in other.clusters, mesh.distributor.holds_back) == (False, False, True, True)
    assert [state for status in mesh.distributor.fleet.status() for url, state in status.types if url == CDS] == ["SYNCED", "STALE"]
    mesh.shut = False
    mesh.distributor.release()
    patched.answer()
    assert (patched.slow, other.slow, two in patched.clusters, mesh.distributor.holds_back) == (True, False, True, False)
    assert {status.types[0] for status in mesh.distributor.fleet.status()} == {(CDS, "SYNCED")}


def test_a_new_proxy_waits_with_what_it_asks_for() -> None:
    """Rather than hearing that there is nothing."""
    mesh = Mesh()
    mesh.load(FILTER)
    patched = Client(mesh, "patched")
    assert patched.clusters == {}
    mesh.shut = False
    mesh.distributor.release()
    assert patched.slow


def test_who_leaves_while_it_waits_is_forgotten() -> None:
    """Nothing waits for it any more."""
    mesh = Mesh()
    mesh.load(FILTER)
    Client(mesh, "patched").connection.close()
    assert not mesh.distributor.holds_back
