"""Where the Envoy runs that tries what users write for Envoy: in namespaces of its own like a pod's, as a user of its own.

Why: a script runs already when it is loaded, so what is tried may reach no more than it could in a sidecar. Must not know what is tried.
"""

import os
import signal
from pathlib import Path

from lateen.agent.plan import ENVOY
from lateen.local.namespaces import NetNS, NodeNetwork
from lateen.local.spawner import Mount, Process, SpawnError, User
from lateen.xds.bootstrap import BootstrapPlan, build_bootstrap
from lateen.xds.bootstrapclusters import Pipe

__all__ = ["CanaryCage"]

_USER = User(uid=1337, gid=1337)
_SEEN_AT = Path("/etc/istio/proxy")
_SOCKET, _BOOTSTRAP = "ads.sock", "bootstrap.pb"
_NAMESPACE, _NAME = "istio-system", "canary"
_ARGV = (
    *(ENVOY, "--config-path", str(_SEEN_AT / _BOOTSTRAP)),
    *("--disable-hot-restart", "--allow-unknown-static-fields", "--skip-deprecated-logs"),
    *("--concurrency", "1", "--log-level", "off"),
)


class CanaryCage:
    """A `server.trialenvoy.Cage` in a node's network; `folder` is its own, in memory."""

    def __init__(self, network: NodeNetwork, folder: Path) -> None:
        self._network = network
        self._folder = folder
        self._sandbox: NetNS | None = None
        self._process: Process | None = None
        folder.mkdir(mode=0o755)  # the Envoy may read there, and write nowhere

    @property
    def socket(self) -> str:
        """Where its server is to listen."""
        return str(self._folder / _SOCKET)

    async def start(self) -> Process:
        """Start it."""
        plan = BootstrapPlan(
            node_id=f"sidecar~127.0.0.1~{_NAME}.{_NAMESPACE}~{_NAMESPACE}.svc.cluster.local",
            node_cluster=_NAME,
            metadata={"NAME": _NAME, "NAMESPACE": _NAMESPACE},
            xds=Pipe(str(_SEEN_AT / _SOCKET)),
            sds=str(_SEEN_AT / "sds.sock"),
        )
        (self._folder / _BOOTSTRAP).write_bytes(build_bootstrap(plan))
        os.chown(self.socket, _USER.uid, _USER.gid)
        try:
            if self._sandbox is None:
                self._sandbox = await self._network.add_pod(_NAMESPACE, _NAME)
            mounts = (Mount(source=str(self._folder), target=str(_SEEN_AT), read_only=True),)
            self._process = await self._sandbox.popen(_ARGV, env={}, user=_USER, mounts=mounts)
        except SpawnError as error:
            raise OSError(str(error)) from None
        return self._process

    async def stop(self) -> None:
        """End it and wait until it is gone; its namespaces stay for the next."""
        if self._process is not None:
            await self._process.send_signal(signal.SIGKILL)
            await self._process.wait()
            self._process = None
