"""A proxy's whole configuration, changed by the EnvoyFilters that count for it.

Frames that no change concerns stay the same objects; those made anew name the EnvoyFilters among their owners, so that a refusal reaches
them. What was made of a frame is kept as long as the frame and the changes are the same.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import extension_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_pb2
from google.protobuf.message import Message

from lateen.model.frame import Frame, Owner, Snapshot
from lateen.model.text import Mark, Texts
from lateen.xds.filters.slots import put_in
from lateen.xds.pack import pack, resource_of
from lateen.xds.patches.clusters import cluster_matches, patch_cluster
from lateen.xds.patches.listeners import patch_listener
from lateen.xds.patches.lists import Used
from lateen.xds.patches.parse import Ready
from lateen.xds.patches.routes import patch_route_configuration
from lateen.xds.patches.select import Patches
from lateen.xds.resources import CLUSTER, EXTENSION, LISTENER, ROUTES

__all__ = ["Made", "Patched", "apply"]

_INBOUND = ("inbound|", "InboundPassthrough")
_TRIED = 8  # frames changed in the same way of which Envoy is to see that it takes them
Made = dict[tuple[str, str], tuple[Frame, Frame | None, frozenset[tuple[Owner, int]]]]  # by type and name: of what, what, by which changes


class Patched(NamedTuple):
    """The configuration, the changes that found their place, what they made, and what the next call may use again."""

    snapshot: Snapshot
    used: frozenset[tuple[Owner, int]]
    texts: Texts
    made: Made


class _Work:
    """One call of `apply`: what was made before, and what is made now."""

    def __init__(self, before: Made) -> None:
        self._before = before
        self.made: Made = {}
        self.used: set[tuple[Owner, int]] = set()
        self._texts: dict[Mark, tuple[Frame, ...]] = {}

    @property
    def texts(self) -> Texts:
        """What the changes made; of many frames that the same ones changed, a few."""
        return self._texts

    def frame(self, frame: Frame, message: Message, change: Callable[[Message, Used], bool]) -> Frame | None:
        """The changed frame, the same where nothing was changed, None where it was removed."""
        key = (frame.type_url, frame.name)
        known = self._before.get(key)
        if known is None or known[0] is not frame:
            known = self._change(frame, message, change)
        self.made[key] = known
        self._note(known[1], known[2])
        return known[1]

    def _note(self, frame: Frame | None, used: frozenset[tuple[Owner, int]]) -> None:
        self.used |= used
        if frame is not None and used:
            mark = (frame.type_url, tuple(sorted(used)))
            known = self._texts.get(mark, ())
            if len(known) < _TRIED:
                self._texts[mark] = (*known, frame)

    def _change(
        self, frame: Frame, message: Message, change: Callable[[Message, Used], bool]
    ) -> tuple[Frame, Frame | None, frozenset[tuple[Owner, int]]]:
        found: Used = set()
        message.ParseFromString(resource_of(frame))
        stays = change(message, found)
        used = frozenset(found)
        if not used:
            return frame, frame, used
        owners = (*frame.owners, *sorted({owner for owner, _ in used}))
        return frame, pack(frame.name, frame.type_url, message, owners) if stays else None, used

    def add(self, patches: Patches, kind: str, type_url: str) -> Mapping[str, Frame]:
        """Whole resources that are added."""
        found = {}
        for ready in patches.added(kind):
            name = str(ready.value.name)  # type: ignore[attr-defined]  # every kind of resource has one
            found[name] = pack(name, type_url, ready.value, (ready.owner,))
            self._note(found[name], frozenset({(ready.owner, ready.patch.index)}))
        return found


def apply(kind: str, snapshot: Snapshot, hosts: Mapping[str, tuple[str, ...]], changes: Iterable[Ready], before: Made) -> Patched:
    """`kind` is "sidecar" or "router"; `hosts` are the services of inbound clusters; `before` was made by the same changes."""
    changes, work = tuple(changes), _Work(before)
    sides = ("SIDECAR_INBOUND", "SIDECAR_OUTBOUND") if kind == "sidecar" else ("GATEWAY", "GATEWAY")
    inbound, outbound = (Patches(side, changes) for side in sides)
    both = (inbound, outbound) if kind == "sidecar" else (outbound,)
    clusters, listeners, routes, extensions = {}, {}, {}, dict(snapshot.get(EXTENSION, {}))
    for name, frame in snapshot[CLUSTER].items():
        patches = inbound if name.startswith(_INBOUND) else outbound
        clusters[name] = _cluster(frame, hosts.get(name, ()), patches, work)
    for name, frame in snapshot[LISTENER].items():
        patches = inbound if name == "virtualInbound" else outbound
        listeners[name] = _listener(frame, snapshot.get(EXTENSION, {}), patches, work)
    for name, frame in snapshot[ROUTES].items():
        routes[name] = _routes(frame, outbound, work)
    for patches in both:
        clusters |= work.add(patches, "CLUSTER", CLUSTER)
        listeners |= work.add(patches, "LISTENER", LISTENER)
        extensions |= work.add(patches, "EXTENSION_CONFIG", EXTENSION)
    changed = {CLUSTER: _there(clusters), LISTENER: _there(listeners), ROUTES: _there(routes), EXTENSION: extensions}
    return Patched({**snapshot, **changed}, frozenset(work.used), work.texts, work.made)


def _there(frames: Mapping[str, Frame | None]) -> Mapping[str, Frame]:
    return {name: frame for name, frame in frames.items() if frame is not None}


def _cluster(frame: Frame, hosts: tuple[str, ...], patches: Patches, work: _Work) -> Frame | None:
    if not any(cluster_matches(frame.name, hosts, ready) for ready in patches.of("CLUSTER") if ready.patch.operation != "ADD"):
        return frame

    def change(message: Message, found: Used) -> bool:
        assert isinstance(message, cluster_pb2.Cluster)  # noqa: S101 - made below
        return patch_cluster(message, hosts, patches, found)

    return work.frame(frame, cluster_pb2.Cluster(), change)


def _listener(frame: Frame, extensions: Mapping[str, Frame], patches: Patches, work: _Work) -> Frame | None:
    """Where HTTP filters are looked for, they stand in the listener as in Istio's, so that they are found under their names."""
    if not patches.listeners:
        return frame

    def change(message: Message, found: Used) -> bool:
        assert isinstance(message, listener_pb2.Listener)  # noqa: S101 - made below
        if patches.of("HTTP_FILTER"):
            put_in(message, {name: extension_pb2.TypedExtensionConfig.FromString(resource_of(one)) for name, one in extensions.items()})
        return patch_listener(message, patches, found)

    return work.frame(frame, listener_pb2.Listener(), change)


def _routes(frame: Frame, patches: Patches, work: _Work) -> Frame | None:
    if not patches.routes:
        return frame

    def change(message: Message, found: Used) -> bool:
        assert isinstance(message, route_pb2.RouteConfiguration)  # noqa: S101 - made below
        patch_route_configuration(message, patches, found)
        return True

    return work.frame(frame, route_pb2.RouteConfiguration(), change)
