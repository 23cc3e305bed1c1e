"""What happens when an object goes: grace, finalizers, dependants, namespaces.

Why: on Kubernetes the controller manager collects garbage some time later; here it is part of the same transaction, so that a crash
never leaves orphans. Pods that run on a node stay, marked, until the node deletes them with grace 0. Must not do I/O.
"""

from collections import deque
from datetime import datetime, timedelta

from lateen.kube.records import JsonObject, Ref, Stored, dicts, load, section, store
from lateen.kube.store import Transaction
from lateen.util.times import rfc3339

__all__ = ["FOREGROUND", "Deletion"]

FOREGROUND = "foregroundDeletion"
_ORPHAN = "orphan"
_DEFAULT_GRACE = 30


class Deletion:
    """Deletes within one transaction; call `drain` before the transaction ends."""

    def __init__(self, transaction: Transaction, now: datetime) -> None:
        self._txn = transaction
        self._now = now
        self._gone: deque[Stored] = deque()

    def delete(self, stored: Stored, *, policy: str = "Background", grace: int | None = None) -> Stored:
        """Begin or finish the deletion of an object; returns its state after that."""
        obj = load(stored.body)
        if policy == "Orphan":
            for ref in self._txn.dependents(stored.uid):
                self._disown(ref, {stored.uid})
        machinery = {"Foreground": FOREGROUND, "Orphan": _ORPHAN}.get(policy)
        if stored.ref.resource == "namespaces":
            return self._delete_namespace(stored, obj)
        if stored.ref.resource == "pods" and (wait := _pod_grace(stored, obj, grace)) > 0:
            return self._mark(stored, obj, wait)
        meta = section(obj, "metadata")
        if machinery and machinery not in _finalizers(meta):
            meta["finalizers"] = [*_finalizers(meta), machinery]
        if not _finalizers(meta):
            return self._remove(stored, obj, mark=True)
        marked = self._mark(stored, obj, 0)
        if policy == "Foreground":
            for ref in self._txn.dependents(stored.uid):
                self._begin(ref)
        self._owner_may_finish(stored.uid)
        return marked

    def settle(self, stored: Stored) -> Stored:
        """After an update: an object under deletion that nothing holds any more goes now."""
        obj = load(stored.body)
        meta = section(obj, "metadata")
        if not stored.deleting or _finalizers(meta):
            return stored
        if stored.ref.resource == "namespaces":
            return stored if self._txn.contents(stored.ref.name) else self._remove(stored, obj, mark=False)
        if stored.ref.resource == "pods" and meta.get("deletionGracePeriodSeconds") != 0:
            return stored
        return self._remove(stored, obj, mark=False)

    def adopt(self, stored: Stored) -> None:
        """After a create: an object whose owners are all gone goes with them."""
        if stored.owners and not any(self._txn.by_uid(uid) for uid in stored.owners):
            self._begin(stored.ref)

    def drain(self) -> None:
        """Follow every removal to its consequences."""
        while self._gone:
            last = self._gone.popleft()
            for ref in self._txn.dependents(last.uid):
                self._lost_owner(ref)
            for uid in last.owners:
                self._owner_may_finish(uid)
            if last.ref.namespace:
                self._namespace_may_finish(last.ref.namespace)

    def _begin(self, ref: Ref) -> None:
        stored = self._txn.get(ref)
        if stored is not None and not stored.deleting:
            self.delete(stored)

    def _lost_owner(self, ref: Ref) -> None:
        stored = self._txn.get(ref)
        if stored is None:
            return
        lost = {uid for uid in stored.owners if not self._txn.by_uid(uid)}
        if len(lost) == len(set(stored.owners)):
            self._begin(ref)
        else:
            self._disown(ref, lost)

    def _disown(self, ref: Ref, lost: set[str]) -> None:
        stored = self._txn.get(ref)
        if stored is None:
            return
        obj = load(stored.body)
        meta = section(obj, "metadata")
        kept = [owner for owner in dicts(meta.get("ownerReferences")) if owner.get("uid") not in lost]
        if kept:
            meta["ownerReferences"] = kept
        else:
            meta.pop("ownerReferences", None)
        self._put(ref, obj)

    def _owner_may_finish(self, uid: str) -> None:
        owner = self._txn.by_uid(uid)
        if owner is None or not owner.deleting or self._txn.dependents(uid):
            return
        obj = load(owner.body)
        meta = section(obj, "metadata")
        held = _finalizers(meta)
        kept = [finalizer for finalizer in held if finalizer not in (FOREGROUND, _ORPHAN)]
        if kept == held:
            return
        meta["finalizers"] = kept
        if not kept:
            del meta["finalizers"]
        self.settle(self._put(owner.ref, obj))

    def _namespace_may_finish(self, name: str) -> None:
        namespace = self._txn.get(Ref("namespaces", "", name))
        if namespace is not None and namespace.deleting:
            self.settle(namespace)

    def _delete_namespace(self, stored: Stored, obj: JsonObject) -> Stored:
        obj["status"] = section(obj, "status") | {"phase": "Terminating"}
        marked = stored if stored.deleting else self._mark(stored, obj, 0)
        for ref in self._txn.contents(stored.ref.name):
            self._begin(ref)
        if not self._txn.contents(stored.ref.name):
            self.settle(marked)
        return marked

    def _mark(self, stored: Stored, obj: JsonObject, grace: int) -> Stored:
        meta = section(obj, "metadata")
        before = meta.get("deletionGracePeriodSeconds")
        if stored.deleting and not (isinstance(before, int) and grace < before):
            return stored
        self._stamp(meta, grace)
        return self._put(stored.ref, obj)

    def _stamp(self, meta: JsonObject, grace: int) -> None:
        meta["deletionTimestamp"] = rfc3339((self._now + timedelta(seconds=grace)).timestamp())
        meta["deletionGracePeriodSeconds"] = grace

    def _put(self, ref: Ref, obj: JsonObject) -> Stored:
        section(obj, "metadata")["resourceVersion"] = str(self._txn.next_revision)
        stored = store(ref, obj)
        self._txn.put(stored)
        return stored

    def _remove(self, stored: Stored, obj: JsonObject, *, mark: bool) -> Stored:
        meta = section(obj, "metadata")
        if mark and stored.ref.resource == "pods":
            self._stamp(meta, 0)
        meta["resourceVersion"] = str(self._txn.next_revision)
        last = store(stored.ref, obj)
        self._txn.remove(last)
        self._gone.append(last)
        return last


def _finalizers(meta: JsonObject) -> list[str]:
    found = meta.get("finalizers")
    return [f for f in found if isinstance(f, str)] if isinstance(found, list) else []


def _pod_grace(stored: Stored, obj: JsonObject, asked: int | None) -> int:
    if not stored.fields.get("spec.nodeName") or stored.fields.get("status.phase") in ("Succeeded", "Failed"):
        return 0
    if asked is not None:
        return max(0, asked)
    own = section(obj, "spec").get("terminationGracePeriodSeconds")
    return own if isinstance(own, int) else _DEFAULT_GRACE
