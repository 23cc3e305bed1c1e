"""Whatever changes and however slow the client: delta and state-of-the-world clients end with the proxy's configuration, and never hold
a route to a cluster that they were not sent or that was taken away.

The model client behaves as Envoy: it asks for the endpoints of the clusters it has and for the routes that its listeners name, waits
for endpoints again when a cluster is replaced, and ignores the removal of routes and endpoints (they go with what names them).
"""

import json
from collections import deque
from typing import NamedTuple

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lateen.ads.messages import CDS, EDS, LDS, RDS, Push, Request
from lateen.ads.stream import Stream
from lateen.model.frame import Frame, Snapshot, make_frame

NAMES = st.sampled_from(["a", "b", "c", "d"])
CLUSTERS = st.dictionaries(NAMES, st.integers(0, 2), max_size=4)


class World(NamedTuple):
    """Clusters and their endpoints by version; listeners, each with a route configuration of its name that goes to some clusters."""

    clusters: dict[str, int]
    endpoints: dict[str, int]
    routes: dict[str, tuple[str, ...]]


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Any sound configuration: routes name clusters that exist."""
    clusters = draw(CLUSTERS)
    endpoints = {name: draw(st.integers(0, 2)) for name in clusters}
    names = st.lists(st.sampled_from(sorted(clusters)), max_size=2).map(tuple) if clusters else st.just(())
    return World(clusters, endpoints, draw(st.dictionaries(st.sampled_from(["80", "90"]), names, max_size=2)))


def frame(type_url: str, name: str, content: object) -> Frame:
    """A frame whose version says its content."""
    return make_frame(name=name, type_url=type_url, version=json.dumps(content), resource=json.dumps(content).encode())


def snapshot_of(world: World) -> Snapshot:
    """Its resources."""
    return {
        CDS: {name: frame(CDS, name, version) for name, version in world.clusters.items()},
        EDS: {name: frame(EDS, name, version) for name, version in world.endpoints.items()},
        LDS: {name: frame(LDS, name, 0) for name in world.routes},
        RDS: {name: frame(RDS, name, targets) for name, targets in world.routes.items()},
    }


class Client:
    """Envoy's side of one stream."""

    def __init__(self, *, sotw: bool) -> None:
        self.sotw = sotw
        self.held: dict[str, dict[str, str]] = {CDS: {}, EDS: {}, LDS: {}, RDS: {}}
        self.asked: dict[str, set[str]] = {EDS: set(), RDS: set()}
        self.nonces: dict[str, str] = {}
        self.requests: deque[Request] = deque([self.first(CDS), self.first(LDS)])

    def first(self, type_url: str, names: tuple[str, ...] = ()) -> Request:
        return Request(type_url=type_url, subscribe=names, replace=self.sotw)

    def take(self, push: Push) -> None:
        """Apply, ask for what follows from it, and acknowledge."""
        kind, held = push.type_url, self.held[push.type_url]
        before = dict(held)
        if self.sotw and kind in (CDS, LDS):
            held.clear()
        for one in push.frames:
            if kind in (CDS, LDS) or one.name in self.asked[kind]:
                held[one.name] = one.version
        for name in push.removed if kind in (CDS, LDS) else ():
            held.pop(name, None)
        self.nonces[kind] = push.nonce
        if kind == CDS:
            for name in [name for name in self.held[EDS] if before.get(name) != held.get(name)]:
                del self.held[EDS][name]
        self.acknowledge(kind, push.nonce)
        if kind in (CDS, LDS):
            self.follow(EDS if kind == CDS else RDS, set(held))

    def acknowledge(self, kind: str, nonce: str) -> None:
        names = tuple(sorted(self.asked.get(kind, ()))) if self.sotw else ()
        self.requests.append(Request(type_url=kind, subscribe=names, nonce=nonce, replace=self.sotw))

    def follow(self, kind: str, names: set[str]) -> None:
        """Ask for exactly these."""
        added, gone = names - self.asked[kind], self.asked[kind] - names
        first = not self.asked[kind] and kind not in self.nonces
        self.asked[kind] = names
        for name in [name for name in self.held[kind] if name not in names]:
            del self.held[kind][name]
        if not added and not gone:
            return
        if self.sotw:
            nonce = "" if first else self.nonces.get(kind, "")
            self.requests.append(Request(type_url=kind, subscribe=tuple(sorted(names)), nonce=nonce, replace=True))
        else:
            self.requests.append(Request(type_url=kind, subscribe=tuple(sorted(added)), unsubscribe=tuple(sorted(gone))))


class AdsMachine(RuleBasedStateMachine):
    """One stream; requests and pushes are under way for any time, in order."""

    @initialize(world=worlds(), sotw=st.booleans())
    def connect(self, world: World, sotw: bool) -> None:  # noqa: FBT001 - drawn
        self.world = world
        self.stream = Stream(snapshot_of(world), sotw=sotw)
        self.client = Client(sotw=sotw)
        self.pushes: deque[Push] = deque()

    @rule(world=worlds())
    def change(self, world: World) -> None:
        self.world = world
        self.pushes.extend(self.stream.on_snapshot(snapshot_of(world)))

    @precondition(lambda self: self.client.requests)
    @rule()
    def serve(self) -> None:
        self.pushes.extend(self.stream.on_request(self.client.requests.popleft()))

    @precondition(lambda self: self.pushes)
    @rule()
    def deliver(self) -> None:
        self.client.take(self.pushes.popleft())

    @precondition(lambda self: self.stream.waits)
    @rule()
    def lose_patience(self) -> None:
        self.pushes.extend(self.stream.on_patience_over())

    @invariant()
    def routes_lead_somewhere(self) -> None:
        held = self.client.held
        for name, targets in held[RDS].items():
            if name in held[LDS]:
                assert set(json.loads(targets)) <= set(held[CDS]), (name, held)

    def teardown(self) -> None:
        """At rest the client has what the proxy shall have."""
        if not hasattr(self, "client"):
            return
        for _ in range(500):
            if self.pushes:
                self.deliver()
            elif self.client.requests:
                self.serve()
            elif self.stream.waits:
                self.lose_patience()
            else:
                break
            self.routes_lead_somewhere()
        else:
            raise AssertionError("the stream does not come to rest")
        wanted = {kind: {name: one.version for name, one in named.items()} for kind, named in snapshot_of(self.world).items()}
        assert self.client.held == wanted


TestAds = AdsMachine.TestCase
TestAds.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
