"""A small mesh for tests: the embedded API, the controllers and the node, in namespaces as `lateen up` has them.

Run as `python -m lateen.testing.localnode RUN_DIR [sidecars] [nft]`; it prints "ready" and runs until it is told to end. Tests speak to
RUN_DIR/api.sock (`lateen.testing.localmesh`). Must not be used by the product.
"""

import asyncio
import signal
import sys
from pathlib import Path

import uvloop

from lateen.ca.signer import Signer
from lateen.ca.spiffe import Identity
from lateen.kube.records import Ref
from lateen.local.admission import LocalAdmission
from lateen.local.backend import Backend
from lateen.local.deployments import Controllers
from lateen.local.images import Images
from lateen.local.mounts import View, needed_trees
from lateen.local.namespaces import NodeNetwork
from lateen.local.node import Node, NodeFolders
from lateen.local.sidecars import Sidecars
from lateen.local.spawner import Spawner
from lateen.local.userns import NodeContext, run_node
from lateen.model.mesh import Settings
from lateen.runtime.clock import SystemClock
from lateen.server.app import ControlPlane, Doors, Sources
from lateen.server.rootca import ControlPlaneIdentity, load_or_create_root
from lateen.sources.kubeclient import KubeClient
from lateen.testing.kubeapi import RunningApi, kube_api
from lateen.xds.bootstrapclusters import Tcp

__all__ = ["main"]

_TOOLS = ("/usr/sbin/iptables-restore", "/usr/sbin/nft")


def _tool() -> str:
    """What loads rules: what the command line asks for, or the first that is there."""
    return next(path for path in (_TOOLS[::-1] if "nft" in sys.argv else _TOOLS) if Path(path).exists())


async def _serve(context: NodeContext, run: Path) -> None:
    """Everything from the API up, until SIGTERM."""
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    running: list[RunningApi] = []

    def labels(namespace: str) -> dict[str, str]:
        stored = running[0].live.store.get(Ref("namespaces", "", namespace)) if running else None
        return dict(stored.labels) if stored else {}

    spawner = Spawner(context.channel)
    spawner.start()
    network = NodeNetwork(spawner, private=context.private, rules_tool=_tool(), view=View(exposed=needed_trees()))
    await network.start()
    folders = NodeFolders(run / "data", context.private)
    backend = Backend()
    async with kube_api(run, admission=LocalAdmission(labels, lambda: None), node=backend) as api:
        running.append(api)
        images = Images({"example.com/sleeper": ("/bin/sleep", "1000")})
        plane, sidecars = _control_plane(api.client, run, str(network.gateway)) if "sidecars" in sys.argv else (None, None)
        node = backend.node = Node(api.client, network, folders, images=images, sidecar=sidecars)
        controllers = Controllers(api.client)
        await asyncio.gather(controllers.start(), node.start(), *([plane.start()] if plane else []))
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await ended.wait()
        await controllers.stop()
        await node.stop()
        if plane:
            await plane.stop()
    spawner.stop()


def _control_plane(client: KubeClient, run: Path, gateway: str) -> tuple[ControlPlane, Sidecars]:
    """The control plane, and what makes the pods' sidecars."""
    clock, settings = SystemClock(), Settings()
    signer = Signer(load_or_create_root(run / "ca", settings.trust_domain, clock))
    identity = Identity(settings.trust_domain, "istio-system", "istiod")
    doors = Doors(secure=f"{gateway}:15012", identity=ControlPlaneIdentity(signer, identity, clock))
    plane = ControlPlane(Sources(client), settings, doors, clock)
    xds = Tcp(gateway, 15012, "istiod.istio-system.svc")
    return plane, Sidecars(
        xds=xds, signer=signer, watch_names=plane.distributor.watch_names, clock=clock, startup=plane.world.startups.startup
    )


def main() -> int:
    """Run the mesh of the folder that the command line names."""
    run = Path(sys.argv[1])

    def node(context: NodeContext) -> int:
        uvloop.run(_serve(context, run))
        return 0

    return run_node(node, [], run_dir=run)


if __name__ == "__main__":
    sys.exit(main())
