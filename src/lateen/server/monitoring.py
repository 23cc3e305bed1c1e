"""The monitoring door of one control plane: its metrics and debug pages, at addresses and on the owner's Unix socket.

Must not be told what to show: it reads.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from lateen.ca.signer import Signer
from lateen.compile.world import World
from lateen.graph import Graph
from lateen.runtime.clock import Clock
from lateen.serve.callers import Review
from lateen.serve.http_debug import monitoring_app
from lateen.serve.http_doors import HttpDoors
from lateen.serve.listening import listen
from lateen.server.debug import DebugPages
from lateen.server.distributor import Distributor
from lateen.server.readings import Readings

__all__ = ["Monitoring"]

_MOST_CONNECTIONS = 128


class Monitoring:
    """A `serve.http_debug.Backend` and its doors."""

    def __init__(self, graph: Graph, world: World, distributor: Distributor, signer: Signer | None, clock: Clock) -> None:
        self._metrics = distributor.metrics
        self._root_namespace = world.settings.root_namespace
        self._readings = Readings(graph, world, self._metrics, clock, signer)
        self._metrics.registry.reads(self._readings)
        self._debug = DebugPages(graph, world, distributor)
        self._doors = HttpDoors(most=_MOST_CONNECTIONS)
        self._serving = False

    async def start(self, addresses: Sequence[str], owners: Path | None, review: Review | None) -> None:
        """Answer at these addresses and on this socket; `review` says whose a token is."""
        app = monitoring_app(self, review, self._root_namespace)
        for address in addresses:
            self._doors.add(app, [listen(address)])
        if owners is not None:
            self._doors.add_owned(app, owners)
        self._serving = True
        await self._doors.start()

    async def stop(self) -> None:
        """Close the doors."""
        self._serving = False
        await self._doors.stop()

    @property
    def pages(self) -> Mapping[str, str]:
        return self._debug.names

    def metrics(self) -> str:
        self._readings.count_defects()
        return self._metrics.registry.text()

    def ready(self) -> bool:
        return self._serving

    def page(self, name: str, query: Mapping[str, str]) -> object:
        return self._debug.page(name, query)
