"""The newest state of all objects, durable or not, with the indexes that deletion and lists need.

Why: apart from the store, so that transactions change one small thing that knows nothing of commits. Must not be read by anyone but
transactions and the store.
"""

from collections.abc import Iterable, Mapping, Sequence

from lateen.kube.records import Ref, Stored

__all__ = ["Head"]


class Head:
    """Objects by resource and key; `revision` is that of the newest change."""

    def __init__(self) -> None:
        self.revision = 0
        self._objects: dict[str, dict[Ref, Stored]] = {}
        self._sorted: dict[str, Sequence[Ref]] = {}
        self._uids: dict[str, Ref] = {}
        self._dependents: dict[str, set[Ref]] = {}
        self._namespaces: dict[str, set[Ref]] = {}

    def get(self, ref: Ref) -> Stored | None:
        """One object."""
        return self._objects.get(ref.resource, {}).get(ref)

    def of(self, resource: str) -> Mapping[Ref, Stored]:
        """All objects of a resource, in no order."""
        return self._objects.get(resource, {})

    def sorted_refs(self, resource: str) -> Sequence[Ref]:
        """The keys of a resource in byte order."""
        refs = self._sorted.get(resource)
        if refs is None:
            refs = self._sorted[resource] = sorted(self.of(resource))
        return refs

    def by_uid(self, uid: str) -> Stored | None:
        """The object of that uid."""
        ref = self._uids.get(uid)
        return self.get(ref) if ref is not None else None

    def dependents(self, uid: str) -> Iterable[Ref]:
        """The objects that name `uid` as an owner."""
        return self._dependents.get(uid, ())

    def contents(self, namespace: str) -> Iterable[Ref]:
        """The objects in a namespace."""
        return self._namespaces.get(namespace, ())

    def set(self, ref: Ref, stored: Stored | None) -> None:
        """Put an object in place of what was there; None takes it away."""
        objects = self._objects.setdefault(ref.resource, {})
        before = objects.pop(ref, None) if stored is None else objects.get(ref)
        if before is not None:
            self._unindex(before)
        if (before is None) != (stored is None):
            self._sorted.pop(ref.resource, None)
        if stored is not None:
            objects[ref] = stored
            self._index(stored)

    def _index(self, stored: Stored) -> None:
        self._uids[stored.uid] = stored.ref
        for owner in stored.owners:
            self._dependents.setdefault(owner, set()).add(stored.ref)
        if stored.ref.namespace:
            self._namespaces.setdefault(stored.ref.namespace, set()).add(stored.ref)

    def _unindex(self, stored: Stored) -> None:
        self._uids.pop(stored.uid, None)
        for owner in stored.owners:
            _discard(self._dependents, owner, stored.ref)
        if stored.ref.namespace:
            _discard(self._namespaces, stored.ref.namespace, stored.ref)


def _discard(index: dict[str, set[Ref]], key: str, ref: Ref) -> None:
    refs = index.get(key, set())
    refs.discard(ref)
    if not refs:
        index.pop(key, None)
