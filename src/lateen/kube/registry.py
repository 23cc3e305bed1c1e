"""Create, update and delete: what the API server does between a decoded request and the store.

Why: one place for metadata, subresources, generations, optimistic concurrency and admission, the same for every kind. Sans-I/O: time
and randomness come in as callables. Must not know HTTP or the forms of patches (`modify` takes a function).
"""

import base64
import copy
from collections.abc import Callable, Sequence
from datetime import datetime
from ipaddress import IPv4Network

from msgspec import Struct

from lateen.api.kinds import KindInfo
from lateen.kube import errors
from lateen.kube.admission import Admission, Operation
from lateen.kube.defaults import apply_defaults
from lateen.kube.deletion import FOREGROUND, Deletion
from lateen.kube.errors import Cause
from lateen.kube.names import check_metadata
from lateen.kube.options import DeleteOptions, WriteOptions
from lateen.kube.patch import merge_patch
from lateen.kube.paths import Target
from lateen.kube.records import Change, JsonObject, Ref, Stored, canonical, load, resource_id, section, store
from lateen.kube.services import allocate, check_unchanged
from lateen.kube.store import Store, Transaction
from lateen.kube.validation import check_fields
from lateen.util.times import rfc3339

__all__ = ["PROTECTED_NAMESPACES", "Registry", "Surroundings", "Written"]

PROTECTED_NAMESPACES = ("default", "kube-system")
_KEPT_STATUS = ("nodes",)
PLAIN = WriteOptions()
_SYSTEM_METADATA = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "namespace", "name")


class Surroundings(Struct, frozen=True):
    """What the registry takes from outside."""

    now: Callable[[], datetime]
    new_uid: Callable[[], str]
    new_suffix: Callable[[], str]
    admission: Admission
    services: IPv4Network = IPv4Network("10.96.0.0/16")


class Written(Struct, frozen=True):
    """The result of a write: the object's state after it, and the changes that must become durable before it is told."""

    stored: Stored
    changes: Sequence[Change]
    created: bool = False
    gone: bool = False
    warnings: tuple[str, ...] = ()


class Registry:
    """Writes to a store by Kubernetes' rules. Each method is one transaction."""

    def __init__(self, target: Store, surroundings: Surroundings) -> None:
        self._store = target
        self._around = surroundings

    # -- create ----------------------------------------------------------------------------------------------------

    def create(self, target: Target, raw: JsonObject, options: WriteOptions = PLAIN) -> Written:
        """Store a new object in the target's collection; `raw` becomes ours."""
        info = target.info
        resource = resource_id(info)
        self._prepare_new(info, target.namespace, raw)
        if causes := check_metadata(resource, section(raw, "metadata")):
            raise errors.invalid(info, str(section(raw, "metadata").get("name") or ""), causes)
        unknown = check_fields(info, target.version, raw, options)
        raw, warnings = self._admit("CREATE", info, raw, None)
        ref = Ref(resource, target.namespace if info.namespaced else "", str(section(raw, "metadata")["name"]))
        with self._store.transaction(dry_run=options.dry_run) as txn:
            self._check_namespace(txn, info, ref)
            if (existing := txn.get(ref)) is not None:
                raise errors.already_exists(info, ref.name, deleting=existing.deleting)
            self._allocate(txn, info, ref, raw)
            stored = self._put_new(txn, ref, raw)
            deletion = Deletion(txn, self._around.now())
            deletion.adopt(stored)
            deletion.drain()
            return Written(stored, _kept(txn, options), created=True, warnings=unknown + warnings)

    def _prepare_new(self, info: KindInfo, namespace: str, raw: JsonObject) -> None:
        resource = resource_id(info)
        meta = raw["metadata"] = section(raw, "metadata")
        given = meta.get("namespace")
        if info.namespaced:
            if given and given != namespace:
                raise errors.bad_request("the namespace of the provided object does not match the namespace sent on the request")
            meta["namespace"] = namespace
        else:
            meta.pop("namespace", None)
        if not meta.get("name") and isinstance(meta.get("generateName"), str):
            meta["name"] = f"{str(meta['generateName'])[:248]}{self._around.new_suffix()}"
        if resource not in _KEPT_STATUS:
            raw.pop("status", None)
        if resource == "pods":
            raw["status"] = {"phase": "Pending", "qosClass": "BestEffort"}
        if resource == "secrets":
            _merge_string_data(raw)
        apply_defaults(resource, raw)

    def _check_namespace(self, txn: Transaction, info: KindInfo, ref: Ref) -> None:
        if not info.namespaced:
            return
        namespace = txn.get(Ref("namespaces", "", ref.namespace))
        if namespace is None:
            details = {"name": ref.namespace, "kind": "namespaces"}
            raise errors.error(404, "NotFound", f'namespaces "{ref.namespace}" not found', details)
        if namespace.deleting:
            why = f"unable to create new content in namespace {ref.namespace} because it is being terminated"
            cause = Cause("NamespaceTerminating", "metadata.namespace", f"namespace {ref.namespace} is being terminated")
            raise errors.forbidden(info, ref.name, why, (cause,))

    def _allocate(self, txn: Transaction, info: KindInfo, ref: Ref, obj: JsonObject) -> None:
        if ref.resource != "services":
            return
        taken = {s.fields.get("spec.clusterIP", "") for s in txn.list("services")}
        if cause := allocate(self._around.services, ref, obj, taken):
            raise errors.invalid(info, ref.name, (cause,))
        obj["status"] = {"loadBalancer": {}}

    def _put_new(self, txn: Transaction, ref: Ref, obj: JsonObject) -> Stored:
        meta = section(obj, "metadata")
        for name in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "managedFields"):
            meta.pop(name, None)
        meta["uid"] = self._around.new_uid()
        meta["generation"] = 1
        meta["creationTimestamp"] = rfc3339(self._around.now().timestamp())
        meta["resourceVersion"] = str(txn.next_revision)
        stored = store(ref, obj)
        txn.put(stored)
        return stored

    # -- update ----------------------------------------------------------------------------------------------------

    def modify(self, target: Target, change: Callable[[JsonObject], JsonObject], options: WriteOptions = PLAIN) -> Written:
        """Replace an object, or its status, by what `change` makes of a copy of it."""
        info, ref, subresource = target.info, target.ref, target.subresource
        with self._store.transaction(dry_run=options.dry_run) as txn:
            stored = txn.get(ref)
            if stored is None:
                raise errors.not_found(info, ref.name)
            old = load(stored.body)
            new = change(load(stored.body))
            self._check_identity(info, stored, new)
            self._carry_over(ref.resource, old, new, subresource)
            warnings: tuple[str, ...] = ()
            if subresource != "status":
                warnings = check_fields(info, target.version, new, options)
                self._check_update(info, ref, old, new)
                new, more = self._admit("UPDATE", info, new, old)
                warnings += more
            _bump_generation(old, new)
            section(new, "metadata")["resourceVersion"] = str(stored.rv)
            if canonical(new) == canonical(old):
                return Written(stored, (), warnings=warnings)
            section(new, "metadata")["resourceVersion"] = str(txn.next_revision)
            updated = store(ref, new)
            txn.put(updated)
            deletion = Deletion(txn, self._around.now())
            deletion.adopt(updated)
            updated = deletion.settle(updated)
            deletion.drain()
            return Written(updated, _kept(txn, options), warnings=warnings)

    def _check_identity(self, info: KindInfo, stored: Stored, new: JsonObject) -> None:
        meta = new["metadata"] = section(new, "metadata")
        name, given = stored.ref.name, meta.get("name")
        if given and given != name:
            raise errors.bad_request(f"the name of the object ({given}) does not match the name on the URL ({name})")
        if stored.ref.namespace and meta.get("namespace", stored.ref.namespace) != stored.ref.namespace:
            raise errors.bad_request("the namespace of the provided object does not match the namespace sent on the request")
        if (uid := meta.get("uid")) and uid != stored.uid:
            raise errors.conflict(info, name, f"Precondition failed: UID in precondition: {uid}, UID in object meta: {stored.uid}")
        if (revision := meta.get("resourceVersion")) and revision != str(stored.rv):
            raise errors.conflict(info, name)

    def _carry_over(self, resource: str, old: JsonObject, new: JsonObject, subresource: str) -> None:
        if subresource == "status":
            status = new.get("status")
            new.clear()
            new.update(copy.deepcopy(old))
            if status is None:
                new.pop("status", None)
            else:
                new["status"] = status
        elif "status" in old:
            new["status"] = old["status"]
        else:
            new.pop("status", None)
        before, after = section(old, "metadata"), section(new, "metadata")
        after.pop("managedFields", None)
        for name in _SYSTEM_METADATA:
            if name in before:
                after[name] = before[name]
            else:
                after.pop(name, None)
        if resource == "secrets":
            _merge_string_data(new)
        if resource == "namespaces":
            new["spec"] = old.get("spec", {})

    def _check_update(self, info: KindInfo, ref: Ref, old: JsonObject, new: JsonObject) -> None:
        apply_defaults(ref.resource, new)
        causes = check_metadata(ref.resource, section(new, "metadata"))
        if ref.resource == "services" and (cause := check_unchanged(old, new)):
            causes.append(cause)
        if ref.resource.endswith(".apps"):
            causes.extend(_check_selector(old, new))
        if "deletionTimestamp" in section(old, "metadata"):
            causes.extend(_check_finalizers(old, new))
        if causes:
            raise errors.invalid(info, ref.name, causes)

    def _admit(self, operation: Operation, info: KindInfo, new: JsonObject, old: JsonObject | None) -> tuple[JsonObject, tuple[str, ...]]:
        result = self._around.admission(operation, info, new, old)
        if result.errors:
            name = str(section(new, "metadata").get("name", ""))
            causes = [Cause("FieldValueInvalid", e.field or "<nil>", e.message) for e in result.errors]
            raise errors.invalid(info, name, causes)
        return (new if result.object is None else result.object), result.warnings

    def apply(self, target: Target, configuration: JsonObject, options: WriteOptions) -> Written:
        """Make the object agree with a configuration, or create it. Merges; who owns which field is not tracked."""
        if self.has(target.ref):
            return self.modify(target, lambda obj: merge_patch(obj, configuration), options)
        given = section(configuration, "metadata").get("name", target.name)
        if given != target.name:
            raise errors.bad_request(f"the name of the object ({given}) does not match the name on the URL ({target.name})")
        named = section(configuration, "metadata") | {"name": target.name}
        return self.create(target, configuration | {"metadata": named}, options)

    def has(self, ref: Ref) -> bool:
        """Whether the newest state, durable or not, has the object."""
        with self._store.transaction(dry_run=True) as txn:
            return txn.get(ref) is not None

    # -- delete ----------------------------------------------------------------------------------------------------

    def delete(self, target: Target, options: DeleteOptions) -> Written:
        """Begin or finish the deletion of an object."""
        info, ref = target.info, target.ref
        if ref.resource == "namespaces" and ref.name in PROTECTED_NAMESPACES:
            raise errors.forbidden(info, ref.name, "this namespace may not be deleted")
        with self._store.transaction(dry_run=bool(options.dry_run)) as txn:
            stored = txn.get(ref)
            if stored is None:
                raise errors.not_found(info, ref.name)
            _check_preconditions(info, stored, options)
            result = self._around.admission("DELETE", info, None, load(stored.body))
            if result.errors:
                raise errors.forbidden(info, ref.name, "; ".join(e.message for e in result.errors))
            deletion = Deletion(txn, self._around.now())
            last = deletion.delete(stored, policy=options.policy, grace=options.grace_period_seconds)
            deletion.drain()
            gone = txn.get(ref) is None
            return Written(last, _kept(txn, options), gone=gone, warnings=result.warnings)


def _kept(txn: Transaction, options: WriteOptions | DeleteOptions) -> Sequence[Change]:
    return () if options.dry_run else tuple(txn.changes)


def _merge_string_data(obj: JsonObject) -> None:
    plain = obj.pop("stringData", None)
    if isinstance(plain, dict):
        encoded = {k: base64.b64encode(v.encode()).decode() for k, v in plain.items() if isinstance(v, str)}
        obj["data"] = section(obj, "data") | encoded


def _bump_generation(old: JsonObject, new: JsonObject) -> None:
    before = canonical({k: v for k, v in old.items() if k not in ("metadata", "status")})
    after = canonical({k: v for k, v in new.items() if k not in ("metadata", "status")})
    generation = section(old, "metadata").get("generation", 1)
    section(new, "metadata")["generation"] = generation + 1 if before != after and isinstance(generation, int) else generation


def _check_selector(old: JsonObject, new: JsonObject) -> list[Cause]:
    before, after = section(old, "spec").get("selector"), section(new, "spec").get("selector")
    if before == after:
        return []
    return [Cause("FieldValueInvalid", "spec.selector", "Invalid value: field is immutable")]


def _check_finalizers(old: JsonObject, new: JsonObject) -> list[Cause]:
    before, after = section(old, "metadata").get("finalizers"), section(new, "metadata").get("finalizers")
    known = before if isinstance(before, list) else []
    added = [f for f in after if f not in known] if isinstance(after, list) else []
    if not added or added == [FOREGROUND]:
        return []
    shown = ", ".join(f'"{name}"' for name in added)
    text = f"Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{{{shown}}}"
    return [Cause("FieldValueForbidden", "metadata.finalizers", text)]


def _check_preconditions(info: KindInfo, stored: Stored, options: DeleteOptions) -> None:
    uid, revision = options.preconditions.get("uid"), options.preconditions.get("resourceVersion")
    if uid and uid != stored.uid:
        why = (
            f"the UID in the precondition ({uid}) does not match the UID in record ({stored.uid})."
            " The object might have been deleted and then recreated"
        )
        raise errors.precondition_failed(info, stored.ref.name, why)
    if revision and revision != str(stored.rv):
        why = (
            f"the ResourceVersion in the precondition ({revision}) does not match the ResourceVersion in record ({stored.rv})."
            " The object might have been modified"
        )
        raise errors.precondition_failed(info, stored.ref.name, why)
