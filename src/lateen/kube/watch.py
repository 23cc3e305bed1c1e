"""A watch, sans-I/O: it stands at a revision and, whenever it is asked, gives the events since.

Why: a slow reader needs no queue of its own; it pulls from the shared history and meets 410 Gone when it is too far behind.
Selectors are translated as Kubernetes does: an object that starts to match is ADDED, one that stops is DELETED. Must not wait:
the HTTP door wakes it.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from lateen.kube.records import Change, ChangeType, Stored, load, section, store
from lateen.kube.selectors import EVERYTHING, Selection
from lateen.kube.store import Store

__all__ = ["Watch", "WatchEvent"]


class WatchEvent(NamedTuple):
    """One event about one object."""

    type: ChangeType
    stored: Stored


class Watch:
    """Events of one resource, in one namespace or all, that a selection matches."""

    def __init__(self, source: Store, resource: str, namespace: str = "", selection: Selection = EVERYTHING) -> None:
        self.store = source
        self._resource = resource
        self._namespace = namespace
        self._selection = selection
        self.revision = 0

    def start_at(self, revision: int) -> None:
        """Give what happens after `revision`; ApiError 410 when that is forgotten."""
        self.store.since(self._resource, revision)
        self.revision = revision

    def start_now(self) -> Sequence[WatchEvent]:
        """Give what is there now, then what happens after."""
        self.revision = self.store.revision
        present = self.store.list(self._resource, self._namespace)
        return [WatchEvent("ADDED", stored) for stored in present if self._selection.matches(stored)]

    def pull(self) -> Sequence[WatchEvent]:
        """The events since the last time; ApiError 410 when some of them are forgotten."""
        events = list(self._events())
        self.revision = max(self.revision, self.store.revision)
        return events

    def _events(self) -> Iterator[WatchEvent]:
        for change in self.store.since(self._resource, self.revision):
            if self._namespace and change.stored.ref.namespace != self._namespace:
                continue
            event = self._translate(change) if self._selection else WatchEvent(change.type, change.stored)
            if event is not None:
                yield event

    def _translate(self, change: Change) -> WatchEvent | None:
        before = change.previous is not None and self._selection.matches(change.previous)
        after = change.type != "DELETED" and self._selection.matches(change.stored)
        if before and after:
            return WatchEvent("MODIFIED", change.stored)
        if after:
            return WatchEvent("ADDED", change.stored)
        if not before or change.previous is None:
            return None
        gone = change.stored if change.type == "DELETED" else _under_revision(change.previous, change.stored.rv)
        return WatchEvent("DELETED", gone)


def _under_revision(stored: Stored, revision: int) -> Stored:
    obj = load(stored.body)
    section(obj, "metadata")["resourceVersion"] = str(revision)
    return store(stored.ref, obj)
