"""What a pod on this node is made of: what all pods share, what a container of either kind offers, what a sidecar is made for.

Must not hold behaviour.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from lateen.api.pods import Container, Pod
from lateen.local.containers import Ended, Waiting
from lateen.local.events import Events
from lateen.local.images import Images
from lateen.local.namespaces import NetNS, NodeNetwork
from lateen.local.podlogs import ContainerLog
from lateen.local.podstatus import ContainerView
from lateen.local.sandbox import Launch, Recorder
from lateen.local.services import ServiceNetwork
from lateen.local.spawner import Mount, Process
from lateen.runtime.clock import Clock
from lateen.sources.kubeclient import KubeClient

__all__ = ["SIDECAR", "Placeholder", "PodServices", "Runner", "SidecarFactory", "SidecarRequest", "is_gateway"]

SIDECAR = "istio-proxy"


class Runner(ContainerView, Protocol):
    """A container of either kind: `ContainerRunner`, or a sidecar that an agent runs."""

    @property
    def log(self) -> ContainerLog: ...
    @property
    def process(self) -> Process | None: ...
    @property
    def launch(self) -> Launch | None: ...

    async def run(self) -> int: ...
    async def stop(self, grace: float) -> None: ...


class SidecarRequest(Struct, frozen=True, kw_only=True):
    """What a sidecar is made for."""

    pod: Pod
    container: Container
    sandbox: NetNS
    folder: Path  # private to this pod, in memory
    mounts: tuple[Mount, ...]  # the container's volumes
    log: ContainerLog
    changed: Callable[[], None]
    record: Recorder
    restarts: int


SidecarFactory = Callable[[SidecarRequest], Runner]


class PodServices(Struct, frozen=True, kw_only=True):
    """What all pods of a node share."""

    client: KubeClient
    network: NodeNetwork
    images: Images
    events: Events
    clock: Clock
    logs: Path
    lasting: Path  # for emptyDir
    private: Path  # in memory
    sidecar: SidecarFactory | None
    services: ServiceNetwork
    token: Callable[[Pod, str, int], Awaitable[str]]


def is_gateway(container: Container) -> bool:
    """Whether the proxy is a gateway's: it serves other pods, and its own traffic is not captured."""
    return "router" in container.args


class Placeholder:
    """A container that has not been made yet."""

    last: Ended | None = None
    started_at = 0.0
    ready = False
    started = False
    restarts = 0

    def __init__(self, container: Container, initializing: bool) -> None:  # noqa: FBT001
        self.name = container.name
        self.image = container.image
        self.state: Waiting | Ended | None = Waiting("PodInitializing" if initializing else "ContainerCreating")
