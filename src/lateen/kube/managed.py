"""`metadata.managedFields`: who wrote which field last.

Why: server-side apply knows from it what is whose. An update gives its manager the fields it changed and takes them from the others.
Must not merge configurations (`apply` does).
"""

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from lateen.kube.fieldset import Difference, FieldSet, decode_fields, difference, encode_fields
from lateen.kube.records import JsonObject, dicts, section

__all__ = ["APPLY", "UPDATE", "Entry", "Writer", "decode_entries", "encode_entries", "owned_view", "record_update", "same_owners"]

APPLY, UPDATE = "Apply", "Update"
_OWNED_METADATA = ("labels", "annotations", "finalizers", "ownerReferences", "generateName")
_NEVER = ("apiVersion", "kind", "metadata")
_MOST_UPDATERS = 10
_ANCIENT = "ancient-changes"


class Writer(Struct, frozen=True):
    """Who writes, how, and through which version and part of the object."""

    manager: str
    operation: str
    api_version: str
    subresource: str = ""


class Entry(Struct, frozen=True):
    """One writer's fields."""

    writer: Writer
    fields: FieldSet
    time: str = ""


def decode_entries(obj: Mapping[str, object]) -> list[Entry]:
    """The entries of an object; those that make no sense are left out."""
    return [_decode(raw) for raw in dicts(section(obj, "metadata").get("managedFields")) if raw.get("operation") in (APPLY, UPDATE)]


def _decode(raw: JsonObject) -> Entry:
    names = [str(raw.get(name) or "") for name in ("manager", "operation", "apiVersion", "subresource")]
    return Entry(Writer(*names), decode_fields(section(raw, "fieldsV1")), str(raw.get("time") or ""))


def encode_entries(entries: Sequence[Entry]) -> list[JsonObject]:
    """The list for the object: applies first, then by time."""
    kept = [entry for entry in entries if entry.fields]
    return [_encode(entry) for entry in sorted(kept, key=lambda e: (e.writer.operation, e.time, e.writer.manager, e.writer.subresource))]


def _encode(entry: Entry) -> JsonObject:
    writer = entry.writer
    raw: JsonObject = {"manager": writer.manager, "operation": writer.operation, "apiVersion": writer.api_version}
    raw |= {"time": entry.time} if entry.time else {}
    raw |= {"fieldsType": "FieldsV1", "fieldsV1": encode_fields(entry.fields)}
    return raw | ({"subresource": writer.subresource} if writer.subresource else {})


def owned_view(obj: Mapping[str, object], subresource: str) -> JsonObject:
    """The part of an object whose fields are owned by those who write it through a subresource."""
    if subresource == "status":
        return {"status": obj["status"]} if "status" in obj else {}
    meta = section(obj, "metadata")
    owned = {name: meta[name] for name in _OWNED_METADATA if name in meta}
    rest = {name: value for name, value in obj.items() if name not in _NEVER and name != "status"}
    return ({"metadata": owned} if owned else {}) | rest


def record_update(
    resource: str, entries: Sequence[Entry], old: Mapping[str, object], new: Mapping[str, object], writer: Writer, now: str, *, custom: bool
) -> list[Entry]:
    """The entries after `writer` made `new` of `old`; the caller strips both to what is owned. An empty manager owns nothing."""
    found = difference(resource, old, new, custom=custom)
    lost = found.changed | found.removed
    others = [_without(entry, lost) for entry in entries if entry.writer != writer]
    mine = next((entry for entry in entries if entry.writer == writer), Entry(writer, frozenset()))
    fields = (mine.fields | found.changed | found.added) - found.removed
    if not writer.manager:
        return others
    changed = Entry(writer, fields, now if _any(found) else mine.time)
    return _limited([*others, changed])


def _any(found: Difference) -> bool:
    return bool(found.changed or found.added or found.removed)


def _without(entry: Entry, lost: FieldSet) -> Entry:
    return replace(entry, fields=entry.fields - lost) if lost & entry.fields else entry


def _limited(entries: list[Entry]) -> list[Entry]:
    """Managers that come and go must not grow an object without end: the oldest updates are told as one."""
    updates = sorted((e for e in entries if e.writer.operation == UPDATE and e.writer.manager != _ANCIENT), key=lambda e: e.time)
    for old in updates[: max(0, len(updates) - _MOST_UPDATERS)]:
        entries.remove(old)
        ancient = replace(old.writer, manager=_ANCIENT)
        before = next((e for e in entries if e.writer == ancient), Entry(ancient, frozenset()))
        entries = [e for e in entries if e.writer != ancient]
        entries.append(Entry(ancient, before.fields | old.fields, old.time))
    return entries


def same_owners(before: Sequence[Entry], after: Sequence[Entry]) -> bool:
    """Whether both lists say the same, whenever it was said."""
    return _owners(before) == _owners(after)


def _owners(entries: Sequence[Entry]) -> set[tuple[bytes, FieldSet]]:
    return {(msgspec.json.encode(entry.writer), entry.fields) for entry in entries if entry.fields}
