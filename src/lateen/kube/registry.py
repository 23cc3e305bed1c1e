"""Create, update and delete: what the API server does between a decoded request and the store.

Why: one place for metadata, subresources, generations, optimistic concurrency and admission, the same for every kind. Sans-I/O: time
and randomness come in as callables. Must not know HTTP or the forms of patches (`modify` takes a function).
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from ipaddress import IPv4Network

from msgspec import Struct

from lateen.api.kinds import KindInfo
from lateen.kube import errors
from lateen.kube.admission import Admission, Operation
from lateen.kube.apply import Applied, apply_configuration, check_configuration, first_owner
from lateen.kube.checks import check_finalizers, check_identity, check_preconditions, check_selector, check_template
from lateen.kube.defaults import apply_defaults
from lateen.kube.defined import DEFINITIONS, DefinedKind, form_of
from lateen.kube.definitions import check_definition, fill_definition, is_built_in, terminating
from lateen.kube.deletion import Deletion
from lateen.kube.ephemeral import with_ephemeral
from lateen.kube.errors import Cause
from lateen.kube.managed import APPLY, UPDATE, Entry, Writer, decode_entries, encode_entries, owned_view, record_update, same_owners
from lateen.kube.names import check_metadata
from lateen.kube.options import DeleteOptions, WriteOptions
from lateen.kube.paths import Target
from lateen.kube.records import Change, JsonObject, Ref, Stored, canonical, has_generation, is_custom, load, resource_id, section, store
from lateen.kube.secrets import check_frozen, check_held, merge_string_data
from lateen.kube.services import allocate, check_service, check_unchanged
from lateen.kube.store import Store, Transaction
from lateen.kube.validation import check_declared, check_fields
from lateen.util.times import rfc3339

__all__ = ["PROTECTED_NAMESPACES", "Registry", "Surroundings", "Written"]

PROTECTED_NAMESPACES = ("default", "kube-system")
PLAIN = WriteOptions()
_Change = Callable[[JsonObject], JsonObject]
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

    def create(self, target: Target, raw: JsonObject, options: WriteOptions = PLAIN, owners: Sequence[Entry] = ()) -> Written:
        """Store a new object in the target's collection; `raw` becomes ours. Without `owners` its fields are the writer's."""
        info = target.info
        resource = resource_id(info)
        self._prepare_new(target, raw)
        if causes := check_metadata(resource, section(raw, "metadata")):
            raise errors.invalid(info, str(section(raw, "metadata").get("name") or ""), causes)
        if causes := _check_content(resource, raw):
            raise errors.invalid(info, str(section(raw, "metadata")["name"]), causes)
        unknown = check_fields(info, target.version, raw, options)
        raw, warnings = self._admit("CREATE", info, raw, None)
        ref = Ref(resource, target.namespace if info.namespaced else "", str(section(raw, "metadata")["name"]))
        with self._store.transaction(dry_run=options.dry_run) as txn:
            self._check_namespace(txn, info, ref)
            if (existing := txn.get(ref)) is not None:
                raise errors.already_exists(info, ref.name, deleting=existing.deleting)
            self._allocate(txn, info, ref, raw)
            section(raw, "metadata").pop("managedFields", None)
            self._own(target, {}, raw, None, owners, options)
            stored = self._put_new(txn, ref, raw)
            deletion = Deletion(txn, self._around.now())
            deletion.adopt(stored)
            deletion.drain()
            return Written(stored, _kept(txn, options), created=True, warnings=unknown + warnings)

    def _prepare_new(self, target: Target, raw: JsonObject) -> None:
        info, namespace, version = target.info, target.namespace, target.version
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
        if resource == DEFINITIONS:
            fill_definition(raw)
        elif resource != "nodes" and has_status(info, version):
            raw.pop("status", None)
        if resource == "pods":
            raw["status"] = {"phase": "Pending", "qosClass": "BestEffort"}
        if resource == "secrets":
            merge_string_data(raw)
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
        for name in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generation"):
            meta.pop(name, None)
        meta["uid"] = self._around.new_uid()
        if has_generation(ref.resource):
            meta["generation"] = 1
        meta["creationTimestamp"] = rfc3339(self._around.now().timestamp())
        meta["resourceVersion"] = str(txn.next_revision)
        stored = store(ref, obj)
        txn.put(stored)
        return stored

    # -- update ----------------------------------------------------------------------------------------------------

    def modify(self, target: Target, change: _Change, options: WriteOptions = PLAIN) -> Written:
        """Replace an object, or its status, by what `change` makes of it."""
        return self._modify(target, lambda live: Applied(change(live), ()), options)

    def _modify(self, target: Target, change: Callable[[JsonObject], Applied], options: WriteOptions) -> Written:
        info, ref = target.info, target.ref
        with self._store.transaction(dry_run=options.dry_run) as txn:
            stored = txn.get(ref)
            if stored is None:
                raise errors.not_found(info, ref.name)
            old = load(stored.body)
            applied = change(load(stored.body))
            new = applied.object
            check_identity(info, stored, new)
            given = section(new, "metadata").pop("managedFields", None)
            warnings: tuple[str, ...] = ()
            if target.subresource == "status":
                new = _with_status(old, new)
                if isinstance(info, DefinedKind):
                    warnings = check_fields(info, target.version, new, options, old)
            else:
                if target.subresource == "ephemeralcontainers":
                    new = with_ephemeral(info, old, new)
                self._carry_over(target, old, new)
                warnings = check_fields(info, target.version, new, options, old)
                self._check_update(info, ref, old, new)
                new, more = self._admit("UPDATE", info, new, old)
                warnings += more
                _bump_generation(ref.resource, old, new)
            self._own(target, old, new, given, applied.entries, options)
            if not _changed(old, new, target.subresource):
                return Written(stored, (), warnings=warnings)
            return self._put(txn, ref, new, warnings, options)

    def _put(self, txn: Transaction, ref: Ref, new: JsonObject, warnings: tuple[str, ...], options: WriteOptions) -> Written:
        section(new, "metadata")["resourceVersion"] = str(txn.next_revision)
        updated = store(ref, new)
        txn.put(updated)
        deletion = Deletion(txn, self._around.now())
        deletion.adopt(updated)
        updated = deletion.settle(updated)
        deletion.drain()
        return Written(updated, _kept(txn, options), warnings=warnings)

    def _own(
        self, target: Target, old: JsonObject, new: JsonObject, given: object, applied: Sequence[Entry], options: WriteOptions
    ) -> None:
        """Write down in `new` who owns what; `given` are the entries that the writer sent, which replace what was written."""
        present = section(old, "metadata").get("managedFields")
        meta = section(new, "metadata")
        entries = decode_entries(old)
        base = entries if not given or given == present else decode_entries({"metadata": {"managedFields": given}})
        if applied:
            after: Sequence[Entry] = applied
        elif base or options.manager:
            part = target.subresource
            before = owned_view(old, part), owned_view(new, part)
            custom = is_custom(target.info)
            after = record_update(target.ref.resource, base, *before, self._writer(target, UPDATE, options), self._time(), custom=custom)
        else:
            after = base
        if not same_owners(entries, after):
            meta["managedFields"] = encode_entries(after)
        elif present is not None:
            meta["managedFields"] = present

    def _writer(self, target: Target, operation: str, options: WriteOptions) -> Writer:
        return Writer(options.manager, operation, target.info.api_version_of(target.version), target.subresource)

    def _time(self) -> str:
        return rfc3339(self._around.now().timestamp())

    def _carry_over(self, target: Target, old: JsonObject, new: JsonObject) -> None:
        resource = target.ref.resource
        if not has_status(target.info, target.version):
            pass  # an ordinary field
        elif "status" in old:
            new["status"] = old["status"]
        else:
            new.pop("status", None)
        before, after = section(old, "metadata"), section(new, "metadata")
        for name in _SYSTEM_METADATA:
            if name in before:
                after[name] = before[name]
            else:
                after.pop(name, None)
        if resource == "secrets":
            merge_string_data(new)
        if resource == "namespaces":
            new["spec"] = old.get("spec", {})

    def _check_update(self, info: KindInfo, ref: Ref, old: JsonObject, new: JsonObject) -> None:
        apply_defaults(ref.resource, new)
        causes = check_metadata(ref.resource, section(new, "metadata"))
        if ref.resource == DEFINITIONS:
            causes.extend(check_definition(new))
        if ref.resource in ("secrets", "configmaps"):
            causes.extend((*check_held(ref.resource, new), *check_frozen(ref.resource, old, new)))
        if ref.resource == "services":
            causes.extend(check_service(new))
            if cause := check_unchanged(old, new):
                causes.append(cause)
        if ref.resource.endswith(".apps"):
            causes.extend(check_selector(old, new))
        if "deletionTimestamp" in section(old, "metadata"):
            causes.extend(check_finalizers(old, new))
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
        """Make the object agree with a configuration, or create it; ApiError 409 where others own what it says differently."""
        given = section(configuration, "metadata").get("name", target.name)
        if given != target.name:
            raise errors.bad_request(f"the name of the object ({given}) does not match the name on the URL ({target.name})")
        info = target.info
        check_configuration(info, target.version, configuration)
        check_declared(info, target.version, configuration)
        configuration = configuration | {"metadata": section(configuration, "metadata") | {"name": target.name}}
        writer = self._writer(target, APPLY, options)
        if self.has(target.ref):
            force = bool(options.force)
            return self._modify(
                target,
                lambda live: apply_configuration(info, live, configuration, decode_entries(live), writer, self._time(), force=force),
                options,
            )
        if target.subresource:
            raise errors.not_found(info, target.name)
        return self.create(target, configuration, options, (first_owner(info, configuration, writer, self._time()),))

    def has(self, ref: Ref) -> bool:
        """Whether the newest state, durable or not, has the object."""
        with self._store.transaction(dry_run=True) as txn:
            return txn.get(ref) is not None

    def _hold(self, txn: Transaction, stored: Stored) -> Stored:
        """A definition waits for its objects to go."""
        held = terminating(load(stored.body), self._time())
        section(held, "metadata")["resourceVersion"] = str(txn.next_revision)
        kept = store(stored.ref, held)
        txn.put(kept)
        return kept

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
            check_preconditions(info, stored, options)
            result = self._around.admission("DELETE", info, None, load(stored.body))
            if result.errors:
                raise errors.forbidden(info, ref.name, "; ".join(e.message for e in result.errors))
            if ref.resource == DEFINITIONS and not stored.deleting and not is_built_in(load(stored.body)):
                stored = self._hold(txn, stored)
            deletion = Deletion(txn, self._around.now())
            last = deletion.delete(stored, policy=options.policy, grace=options.grace_period_seconds)
            deletion.drain()
            gone = txn.get(ref) is None and options.policy == "Background"
            return Written(last, _kept(txn, options), gone=gone, warnings=result.warnings)


def has_status(info: KindInfo, version: str) -> bool:
    """Whether `status` has a door of its own, so that the main one leaves it alone."""
    form = form_of(info, version)
    return form is None or form.status


def _kept(txn: Transaction, options: WriteOptions | DeleteOptions) -> Sequence[Change]:
    return () if options.dry_run else tuple(txn.changes)


def _check_content(resource: str, obj: JsonObject) -> list[Cause]:
    if resource == DEFINITIONS:
        return check_definition(obj)
    if resource == "services":
        return list(check_service(obj))
    if resource in ("secrets", "configmaps"):
        return list(check_held(resource, obj))
    return check_template(obj) if resource in ("deployments.apps", "replicasets.apps", "statefulsets.apps", "daemonsets.apps") else []


def _with_status(old: JsonObject, new: JsonObject) -> JsonObject:
    """The old object with the new one's status: nothing else may change through that door."""
    result = old | {"metadata": dict(section(old, "metadata"))}
    if (status := new.get("status")) is None:
        result.pop("status", None)
    else:
        result["status"] = status
    return result


def _changed(old: JsonObject, new: JsonObject, subresource: str) -> bool:
    if subresource == "status" and section(old, "metadata").get("managedFields") == section(new, "metadata").get("managedFields"):
        return canonical({"status": old.get("status")}) != canonical({"status": new.get("status")})
    section(new, "metadata")["resourceVersion"] = section(old, "metadata").get("resourceVersion")
    return canonical(old) != canonical(new)


def _bump_generation(resource: str, old: JsonObject, new: JsonObject) -> None:
    if not has_generation(resource):
        return
    before = canonical({k: v for k, v in old.items() if k not in ("metadata", "status")})
    after = canonical({k: v for k, v in new.items() if k not in ("metadata", "status")})
    generation = section(old, "metadata").get("generation", 1)
    section(new, "metadata")["generation"] = generation + 1 if before != after and isinstance(generation, int) else generation
