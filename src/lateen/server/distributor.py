"""Between the graph and the streams: a commit wakes the proxies it concerns, a new proxy becomes an input of the graph.

Synchronous and on the event loop's thread only, so that no stream ever sees half a commit. Must not do I/O.
"""

from collections.abc import Callable, Collection
from typing import Protocol

from lateen.ads.fleet import Fleet
from lateen.ads.messages import CDS, Nack, Push, Request
from lateen.ads.nack import Taken
from lateen.ads.stream import Stream
from lateen.ads.subscription import Differences
from lateen.compile.world import World
from lateen.graph import Graph
from lateen.model.frame import Snapshot
from lateen.model.nametable import NamedHost
from lateen.model.scope import Proxy
from lateen.model.text import Texts
from lateen.runtime.clock import SystemClock
from lateen.server.metrics import PlaneMetrics
from lateen.xds.snapshots import Snapshots

__all__ = ["Connection", "Distributor", "Gate"]


class Gate(Protocol):
    """Whoever must have tried what users write for Envoy before proxies get it; `Distributor.release` is to be called when it has."""

    def admits(self, texts: Texts, clusters: Collection[str]) -> bool: ...


Send = Callable[[tuple[Push, ...]], None]
OnNames = Callable[[tuple[NamedHost, ...]], None]


class Distributor:
    """Owns the commits of one graph. `on_nacks` is called when the set of refusals has changed.

    A proxy whose configuration has a text that `gate` does not admit keeps what it holds; one that is new waits.
    """

    def __init__(
        self,
        graph: Graph,
        world: World,
        snapshots: Snapshots,
        on_nacks: Callable[[], None],
        gate: Gate | None = None,
        metrics: PlaneMetrics | None = None,
    ) -> None:
        self._graph = graph
        self._world = world
        self._snapshots = snapshots
        self._on_nacks = on_nacks
        self._gate = gate
        self.metrics = metrics or PlaneMetrics(SystemClock())
        self._held: set[Connection] = set()
        self._connections: dict[str, set[Connection]] = {}
        self._name_watchers: dict[str, set[OnNames]] = {}
        self.fleet = Fleet()
        self.taken = Taken()
        self._differences = Differences()
        self._opened = 0

    def commit(self) -> None:
        """Take all staged changes and push to the proxies whose configuration they change."""
        since = self.metrics.committing()
        commit = self._graph.commit()
        for proxy_id in self._snapshots.affected(commit):
            for connection in tuple(self._connections.get(proxy_id, ())):
                connection.refresh(since)
        for namespace in commit.keys(self._world.names.tables):
            self._tell_names(namespace)

    def watch_names(self, namespace: str, tell: OnNames) -> Callable[[], None]:
        """Call `tell` with the names of `namespace`, now and at every change, until the function returned is called."""
        watchers = self._name_watchers.setdefault(namespace, set())
        watchers.add(tell)
        self._world.names.clients.set(namespace, None)
        self.commit()
        tell(self._world.names.tables.get(namespace) or ())

        def stop() -> None:
            watchers.discard(tell)
            if not watchers:
                self._world.names.clients.delete(namespace)

        return stop

    def _tell_names(self, namespace: str) -> None:
        names = self._world.names.tables.get(namespace) or ()
        for tell in tuple(self._name_watchers.get(namespace, ())):
            tell(names)

    def connect(self, proxy: Proxy, *, sotw: bool, send: Send) -> "Connection":
        """A proxy's new stream; what it proved and said of itself replaces what was known."""
        self._world.proxies.set(proxy.id, proxy)
        self.commit()
        stream = Stream({}, sotw=sotw, taken=self.taken, differences=self._differences)
        self._opened += 1
        connection = Connection(self, proxy, stream, send, f"{proxy.id}-{self._opened}")
        self._connections.setdefault(proxy.id, set()).add(connection)
        self.fleet.join(proxy, stream)
        connection.refresh(self.metrics.committing())
        return connection

    def refresh(self, connection: "Connection") -> None:
        """Give the connection its proxy's newest configuration, or hold it back until it is admitted."""
        snapshot, texts = self._snapshots.snapshot(connection.proxy.id), self._snapshots.texts(connection.proxy.id)
        if self._gate is None or not texts or self._gate.admits(texts, snapshot[CDS].keys()):
            self._held.discard(connection)
            connection.take(snapshot)
        else:
            self._held.add(connection)
            connection.wait()

    @property
    def holds_back(self) -> bool:
        """Whether any proxy waits for what the gate has to say."""
        return bool(self._held)

    def release(self) -> None:
        """The gate may admit more now."""
        for connection in tuple(self._held):
            self.refresh(connection)

    def disconnect(self, connection: "Connection", stream: Stream) -> None:
        """The last stream of a proxy takes the proxy out of the graph, and its scope with it."""
        proxy = connection.proxy
        self.fleet.leave(proxy, stream)
        self._held.discard(connection)
        connections = self._connections[proxy.id]
        connections.discard(connection)
        if not connections:
            del self._connections[proxy.id]
            self._world.proxies.delete(proxy.id)
            self.commit()
        if stream.nacks:
            self._on_nacks()

    def connections(self) -> tuple["Connection", ...]:
        """All open streams, in the order of their proxies."""
        return tuple(one for proxy_id in sorted(self._connections) for one in sorted(self._connections[proxy_id], key=lambda one: one.id))

    def nacks(self) -> tuple[tuple[Proxy, Nack], ...]:
        """Every refusal that stands, with the proxy that said it."""
        return tuple((status.proxy, nack) for status in self.fleet.status() for nack in status.nacks)

    def refusals_changed(self) -> None:
        self._on_nacks()


class Connection:
    """One stream of one proxy: the `Session` of `serve.grpc_ads`."""

    def __init__(self, distributor: Distributor, proxy: Proxy, stream: Stream, send: Send, connection_id: str) -> None:
        self._distributor = distributor
        self.stream = stream
        self.id = connection_id
        self.opened = distributor.metrics.now()
        self._send = send
        self._early: list[Request] | None = []  # what is asked before there is a configuration
        self.proxy = proxy
        self._since: float | None = None  # when what the proxy has not taken yet was first changed

    @property
    def waits(self) -> bool:
        return self.stream.waits

    def on_request(self, request: Request) -> str | None:
        if self._early is not None:
            self._early.append(request)
            return None
        before = dict(self.stream.nacks)
        self._send(self.stream.on_request(request))
        if request.error is not None:
            self._distributor.metrics.rejected(request.type_url, self.proxy.id)
        if self._since is not None and self.stream.settled:
            self._distributor.metrics.converged(self._since)
            self._since = None
        if self.stream.nacks != before:
            self._distributor.refusals_changed()
        return self.stream.excess

    def on_patience_over(self) -> None:
        self._send(self.stream.on_patience_over())

    def refresh(self, since: float) -> None:
        """What the proxy shall hold may be another now, for a change that came at `since`."""
        first = self._since is None and self._early is None
        self._since = since if self._since is None else self._since
        self._distributor.refresh(self)
        if first and self.stream.settled:
            self._since = None  # nothing follows from it for this proxy

    def wait(self) -> None:
        """There is a newer configuration, which the proxy may not have yet."""
        self.stream.held = True

    def take(self, snapshot: Snapshot) -> None:
        self.stream.held = False
        self._send(self.stream.on_snapshot(snapshot))
        if self._early is not None:
            early, self._early = self._early, None
            for request in early:
                self.on_request(request)

    def close(self) -> None:
        self._distributor.disconnect(self, self.stream)
