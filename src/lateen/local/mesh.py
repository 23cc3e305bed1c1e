"""The whole mesh of one machine, inside the node's namespaces: API, control plane, node, controllers, published ports; one process.

Started in order: objects first, who reads them next, pods last. Everybody speaks to the API through the owner's socket. Must not know
how it was started, nor print.
"""

import asyncio
from collections.abc import Collection, Mapping
from ipaddress import IPv4Network
from pathlib import Path

from msgspec import Struct

from lateen.api.decode import Decoded
from lateen.ca.signer import Signer
from lateen.ca.spiffe import Identity
from lateen.kube.records import Ref
from lateen.local.admission import LocalAdmission
from lateen.local.apidoor import ApiDoor
from lateen.local.backend import Backend
from lateen.local.canary import CanaryCage
from lateen.local.deployments import Controllers
from lateen.local.images import Images
from lateen.local.manifests import apply_manifests
from lateen.local.mounts import View, needed_trees
from lateen.local.namespaces import POD_RANGE, NodeNetwork
from lateen.local.node import Node, NodeFolders
from lateen.local.publish import Publication, Relay
from lateen.local.sidecars import Sidecars
from lateen.local.spawner import Spawner
from lateen.local.status import StatusBoard, described
from lateen.local.targets import Targets
from lateen.local.userns import NodeContext
from lateen.model.mesh import Settings
from lateen.runtime.clock import Clock
from lateen.serve.http_kube.app import build_app
from lateen.serve.http_kube.live import LiveStore
from lateen.serve.http_kube.server import KubeServer
from lateen.server.app import ControlPlane, Doors, Sources
from lateen.server.authority import AuthorityKeeper
from lateen.server.metrics import PlaneMetrics
from lateen.server.rootca import ControlPlaneIdentity, keep_root, load_or_create_root
from lateen.sources.kubeclient import KubeClient
from lateen.sources.kubehttp import Endpoint
from lateen.sources.sqlite import SqliteFile
from lateen.xds.bootstrapclusters import Tcp

__all__ = ["INGRESS", "LocalMesh", "MeshPlan"]

_XDS_PORT, _MONITORING_PORT = 15012, 15014
INGRESS = Publication(service="istio-ingressgateway", namespace="istio-system", port=80, host_port=8080, http=True)


class MeshPlan(Struct, frozen=True, kw_only=True):
    """What a mesh is made of. `publications` are in the order of the listeners that follow the API's own."""

    data: Path
    api_socket: Path
    monitoring_socket: Path
    door: ApiDoor
    rules_tool: str
    pod_range: IPv4Network = POD_RANGE
    publications: tuple[Publication, ...] = ()
    images: Mapping[str, tuple[str, ...]] = {}
    settings: Settings = Settings()
    base: tuple[Decoded, ...] = ()  # stored where absent
    objects: tuple[Decoded, ...] = ()  # applied


class LocalMesh:
    """Build it, `start` it, `stop` it. The first of the context's listeners is the API's."""

    def __init__(self, context: NodeContext, plan: MeshPlan, clock: Clock) -> None:
        self._plan = plan
        self._clock = clock
        self._spawner = Spawner(context.channel)
        view = View(exposed=needed_trees(), hidden=(str(plan.data),))  # keys lie there, and a pod may run as root
        self._network = NodeNetwork(self._spawner, private=context.private, rules_tool=plan.rules_tool, view=view, pod_range=plan.pod_range)
        self._folders = NodeFolders(plan.data, context.private)
        self._listeners = context.listeners
        self._backend = Backend()
        self._file = SqliteFile(plan.data / "mesh.db")
        self._metrics = PlaneMetrics(clock)
        admission = LocalAdmission(self._labels, self._acted_on, self._metrics.validated)
        self._live = LiveStore(self._file, admission=admission, clock=clock)
        self._server = KubeServer(build_app(self._live, self._backend))
        self.client = KubeClient(Endpoint(unix=str(plan.api_socket)), clock=clock)
        self._controllers = Controllers(self.client)
        self._targets = Targets(self.client)
        self._relays: list[Relay] = []
        self._authority: AuthorityKeeper | None = None
        self._board = StatusBoard(self.client, self._status, clock)
        self.plane: ControlPlane | None = None

    async def start(self) -> None:
        """Return when everything runs and the files' objects are stored; pods follow."""
        self._spawner.start()
        await self._live.start()
        self._server.add_unix(self._plan.api_socket)
        self._server.add_tls([self._listeners[0]], self._plan.door.context(), {"admin": self._plan.door.token})
        await asyncio.gather(self._server.start(), self._network.start())
        await apply_manifests(self.client, self._plan.base, only_absent=True)
        await apply_manifests(self.client, self._plan.objects, only_absent=False)
        self.plane, sidecars = self._control_plane(str(self._network.gateway))
        node = Node(self.client, self._network, self._folders, sidecar=sidecars, images=Images(self._plan.images), clock=self._clock)
        self._backend.node = node
        await asyncio.gather(self._controllers.start(), self.plane.start(), self._targets.start())
        await node.start()  # now, as MeshConfig says how sidecars start
        if self._authority is not None:
            self._authority.start(self.client, self._plan.settings.root_namespace)
        await self._publish()
        self._board.start()

    def _control_plane(self, gateway: str) -> tuple[ControlPlane, Sidecars]:
        settings = self._plan.settings
        folder = self._plan.data / "ca"
        root = load_or_create_root(folder, settings.trust_domain, self._clock)
        signer = Signer(root)
        self._authority = AuthorityKeeper(
            signer, root, self._plan.data / "cacerts", lambda renewed: keep_root(folder, renewed), self._clock
        )
        identity = ControlPlaneIdentity(signer, Identity(settings.trust_domain, settings.root_namespace, "istiod"), self._clock)
        doors = Doors(
            secure=f"{gateway}:{_XDS_PORT}",
            identity=identity,
            signer=signer,
            monitoring=(f"{gateway}:{_MONITORING_PORT}",),
            monitoring_socket=self._plan.monitoring_socket,
        )
        cage = CanaryCage(self._network, self._folders.private / "canary")
        refused = self._plan.data / "refused.json"
        plane = ControlPlane(
            Sources(self.client),
            settings,
            doors,
            self._clock,
            refused=refused,
            cage=cage,
            modules=self._plan.data / "modules",
            metrics=self._metrics,
        )
        xds = Tcp(gateway, _XDS_PORT, "istiod.istio-system.svc")
        sidecars = Sidecars(
            xds=xds,
            signer=signer,
            watch_names=plane.distributor.watch_names,
            clock=self._clock,
            startup=plane.world.startups.startup,
        )
        return plane, sidecars

    async def _publish(self) -> None:
        for listener, publication in zip(self._listeners[1:], self._plan.publications, strict=True):
            relay = Relay(listener, publication, _Target(self._targets, publication))
            await relay.start()
            self._relays.append(relay)

    async def stop(self, grace: float = 2.0) -> None:
        """End in the opposite order; what is stored stays. The kernel removes the rest with this process."""
        await self._board.stop()
        for relay in self._relays:
            await relay.stop()
        await self._targets.stop()
        await self._controllers.stop()
        if self._backend.node is not None:
            await self._backend.node.stop(grace)
        if self._authority is not None:
            await self._authority.stop()
        if self.plane is not None:
            await self.plane.stop()
        self.client.close()
        await self._live.close()
        await self._server.stop()
        self._file.close()
        self._spawner.stop()

    def ingress(self) -> tuple[str, int] | None:
        """Where the ingress gateway takes plaintext HTTP now; None while no pod of it is ready."""
        return self._targets.find(INGRESS)

    def _status(self) -> dict[str, str]:
        proxies = self.plane.proxies() if self.plane is not None else ()
        return described(self._plan.publications, str(self._network.pod_range), proxies)

    def _acted_on(self) -> Collection[str] | None:
        return None if self.plane is None else self.plane.world.inputs.keys()

    def _labels(self, namespace: str) -> Mapping[str, str]:
        stored = self._live.store.get(Ref("namespaces", "", namespace))
        return dict(stored.labels) if stored is not None else {}


class _Target:
    """Where one publication leads now."""

    def __init__(self, targets: Targets, publication: Publication) -> None:
        self._targets = targets
        self._publication = publication

    def __call__(self) -> tuple[str, int] | None:
        return self._targets.find(self._publication)
