"""The revisioned store: one global revision, optimistic transactions, a history for watches.

Why: sans-I/O, so that every rule is tested without disk or network. A transaction changes the head at once; readers and watchers
see only what was committed, that is, what the persistence has made durable. Whoever drives it (serve.http_kube.live) writes staged
changes in order and then calls `commit` or, when the write failed, `abort`. Must not do I/O, wait or read a clock.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from lateen.kube.head import Head
from lateen.kube.history import History
from lateen.kube.records import Change, Ref, Saved, Stored, load, store

__all__ = ["Store", "Transaction"]


class Transaction:
    """Reads and changes the head, which includes what is staged and not yet durable."""

    def __init__(self, head: Head) -> None:
        self._head = head
        self.changes: list[Change] = []

    @property
    def next_revision(self) -> int:
        """The revision that the next change must carry."""
        return self._head.revision + 1

    def get(self, ref: Ref) -> Stored | None:
        """The object as the last transaction left it."""
        return self._head.get(ref)

    def list(self, resource: str) -> Sequence[Stored]:
        """All objects of a resource, in no order."""
        return list(self._head.of(resource).values())

    def by_uid(self, uid: str) -> Stored | None:
        """The object of that uid."""
        return self._head.by_uid(uid)

    def dependents(self, uid: str) -> Sequence[Ref]:
        """The objects that name `uid` as an owner."""
        return sorted(self._head.dependents(uid))

    def contents(self, namespace: str) -> Sequence[Ref]:
        """All objects inside a namespace."""
        return sorted(self._head.contents(namespace))

    def put(self, stored: Stored) -> None:
        """Add or replace an object; its revision is `next_revision`."""
        previous = self.get(stored.ref)
        self._record(Change("MODIFIED" if previous else "ADDED", stored, previous), stored)

    def remove(self, last: Stored) -> None:
        """Take an object away; `last` is its last state with `next_revision`."""
        self._record(Change("DELETED", last, self.get(last.ref)), None)

    def _record(self, change: Change, after: Stored | None) -> None:
        if change.stored.rv != self.next_revision:
            raise ValueError(f"revision {change.stored.rv} is not the next one, {self.next_revision}")
        self._head.set(change.stored.ref, after)
        self._head.revision += 1
        self.changes.append(change)


class Store:
    """All objects; `revision` is that of the newest committed change."""

    def __init__(self, saved: Saved | None = None) -> None:
        self._head = Head()
        self._histories: dict[str, History] = {}
        self._staged: list[Change] = []
        self._masked: dict[Ref, tuple[Stored | None, int]] = {}  # what is committed, and how many changes are staged
        self.revision = 0
        if saved is not None:
            self._restore(saved)

    def _restore(self, saved: Saved) -> None:
        for resource, floor in saved.floors.items():
            self._histories[resource] = History(floor)
        for ref, body in saved.objects:
            self._head.set(ref, store(ref, load(body), body))
        last: dict[Ref, Stored] = {}
        for kind, ref, body, before in saved.changes:
            previous = None if before is None else _same(last.get(ref), ref, before)
            now = last[ref] = _same(self._head.get(ref), ref, body)
            self._history(ref.resource).append(Change(kind, now, previous))
        self.revision = self._head.revision = saved.revision

    def get(self, ref: Ref) -> Stored | None:
        """The committed object."""
        return self._masked[ref][0] if ref in self._masked else self._head.get(ref)

    def list(self, resource: str, namespace: str = "") -> Sequence[Stored]:
        """All committed objects of a resource, in one namespace or in all, in order of their keys."""
        refs = self._head.sorted_refs(resource)
        masked = [ref for ref in self._masked if ref.resource == resource]
        if masked:
            refs = sorted({*refs, *masked})
        found = (self.get(ref) for ref in refs if not namespace or ref.namespace == namespace)
        return [stored for stored in found if stored is not None]

    def since(self, resource: str, revision: int) -> Sequence[Change]:
        """The resource's committed changes after `revision`; ApiError 410 when they are forgotten."""
        return self._history(resource).since(revision)

    def _history(self, resource: str) -> History:
        history = self._histories.get(resource)
        if history is None:
            history = self._histories[resource] = History()
        return history

    @contextmanager
    def transaction(self, *, dry_run: bool = False) -> Iterator[Transaction]:
        """Changes that all happen or, on an exception or in a dry run, none."""
        transaction = Transaction(self._head)
        try:
            yield transaction
        except BaseException:
            self._undo(transaction.changes)
            raise
        if dry_run:
            self._undo(transaction.changes)
            return
        for change in transaction.changes:
            ref = change.stored.ref
            committed, count = self._masked.get(ref, (change.previous, 0))
            self._masked[ref] = (committed, count + 1)
        self._staged.extend(transaction.changes)

    def commit(self, changes: Sequence[Change], revision: int) -> Mapping[str, int]:
        """The oldest staged changes are durable: show them. Returns the histories' floors that moved."""
        floors: dict[str, int] = {}
        for change in changes:
            ref = change.stored.ref
            count = self._masked[ref][1]
            if count == 1:
                del self._masked[ref]
            else:
                self._masked[ref] = (None if change.type == "DELETED" else change.stored, count - 1)
            history = self._history(ref.resource)
            if history.append(change):
                floors[ref.resource] = history.floor
        del self._staged[: len(changes)]
        self.revision = revision
        return floors

    def abort(self) -> None:
        """A write failed: forget everything staged."""
        self._undo(self._staged)
        self._staged.clear()
        self._masked.clear()

    def _undo(self, changes: Sequence[Change]) -> None:
        for change in reversed(changes):
            self._head.set(change.stored.ref, change.previous)
            self._head.revision = change.stored.rv - 1


def _same(known: Stored | None, ref: Ref, body: bytes) -> Stored:
    """The record of a body; the one that is known already where it is the same, so that a restart does not double memory."""
    return known if known is not None and known.body == body else store(ref, load(body), body)
