"""What the store keeps and what its persistence reads and writes.

Why: an object is kept once, as JSON bytes without `kind` and `apiVersion`, so that lists and watch events are joins of ready bytes
in any served version; only what selectors, owners and deletion need is beside it. Must not do I/O.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

import msgspec

from lateen.api.kinds import KindInfo

__all__ = [
    "Change",
    "ChangeType",
    "JsonObject",
    "Persistence",
    "Ref",
    "Saved",
    "SavedChange",
    "Stored",
    "canonical",
    "dicts",
    "field_text",
    "has_generation",
    "is_custom",
    "load",
    "render",
    "resource_id",
    "section",
    "selectable",
    "store",
    "strings",
]

JsonObject = dict[str, object]
ChangeType = Literal["ADDED", "MODIFIED", "DELETED"]

_decoder = msgspec.json.Decoder(JsonObject)
_encoder = msgspec.json.Encoder()
_canonical = msgspec.json.Encoder(order="deterministic")

_BUILTIN_GROUPS = frozenset(
    {
        "",
        "apps",
        "batch",
        "autoscaling",
        "policy",
        "discovery.k8s.io",
        "coordination.k8s.io",
        "networking.k8s.io",
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
        "rbac.authorization.k8s.io",
        "events.k8s.io",
    }
)

_SELECTABLE: Mapping[str, tuple[str, ...]] = {
    "pods": (
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.nominatedNodeName",
    ),
    "events": (
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ),
    "secrets": ("type",),
    "namespaces": ("status.phase",),
    "nodes": ("spec.unschedulable",),
    "services": ("spec.clusterIP", "spec.type"),
    "replicasets.apps": ("status.replicas",),
}


_WITHOUT_GENERATION = frozenset(
    {
        "namespaces",
        "nodes",
        "services",
        "serviceaccounts",
        "secrets",
        "configmaps",
        "events",
        "endpoints",
        "leases.coordination.k8s.io",
        "ingressclasses.networking.k8s.io",
    }
)


class Ref(NamedTuple):
    """Names one object of the store; `resource` is `plural` or `plural.group`."""

    resource: str
    namespace: str
    name: str


class Stored(msgspec.Struct, frozen=True):
    """One version of one object. `body` is its JSON without `kind` and `apiVersion`."""

    ref: Ref
    rv: int
    uid: str
    labels: Mapping[str, str]
    fields: Mapping[str, str]
    owners: tuple[str, ...]
    deleting: bool
    body: bytes


class Change(msgspec.Struct, frozen=True):
    """One step of the store: a DELETED change carries the last state under the deletion's own revision."""

    type: ChangeType
    stored: Stored
    previous: Stored | None


class SavedChange(NamedTuple):
    """A change as it was written."""

    type: ChangeType
    ref: Ref
    body: bytes
    previous: bytes | None


class Saved(NamedTuple):
    """Everything that was written, in order of revision."""

    revision: int
    objects: Iterable[tuple[Ref, bytes]]
    changes: Iterable[SavedChange]
    floors: Mapping[str, int]


class Persistence(Protocol):
    """Where changes become durable. `write` returns only when a crash can no longer undo it, and is all or nothing."""

    def load(self) -> Saved: ...
    def write(self, changes: Sequence[Change], revision: int, floors: Mapping[str, int]) -> None: ...


def resource_id(info: KindInfo) -> str:
    """The store's name for a kind, the same for all its versions."""
    return f"{info.plural}.{info.group}" if info.group else info.plural


def selectable(resource: str) -> tuple[str, ...]:
    """The fields, beside name and namespace, that a fieldSelector may name."""
    return _SELECTABLE.get(resource, ())


def has_generation(resource: str) -> bool:
    """Whether the kind counts the changes of what is wished for."""
    return resource not in _WITHOUT_GENERATION


def is_custom(info: KindInfo) -> bool:
    """Whether the kind would be a custom resource on Kubernetes; those have stricter updates and no strategic merge."""
    return info.group not in _BUILTIN_GROUPS


def canonical(obj: Mapping[str, object]) -> bytes:
    """The same bytes for the same object, whatever the order of its keys; unlike Python's `==` it tells 1 from true."""
    return _canonical.encode({k: v for k, v in obj.items() if k not in ("kind", "apiVersion")})


def section(obj: Mapping[str, object], name: str) -> JsonObject:
    """A map inside an object; empty where it is absent or of another type."""
    value = obj.get(name)
    return value if isinstance(value, dict) else {}


def dicts(value: object) -> list[JsonObject]:
    """The maps of a JSON list; empty where it is absent or of another type."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def strings(value: object) -> dict[str, str]:
    """A JSON map as a map of strings; what is not a string is left out."""
    return {k: v for k, v in value.items() if isinstance(v, str)} if isinstance(value, dict) else {}


def load(body: bytes) -> JsonObject:
    """The object again, a fresh copy."""
    return _decoder.decode(body)


def render(stored: Stored, kind: str, version: str) -> bytes:
    """The object's JSON with its `kind` and `apiVersion`."""
    return b'{"kind":"%s","apiVersion":"%s",%s' % (kind.encode(), version.encode(), stored.body[1:])


def store(ref: Ref, obj: Mapping[str, object], body: bytes | None = None) -> Stored:
    """The record of an object that carries its final metadata."""
    meta = section(obj, "metadata")
    if body is None:
        body = _encoder.encode({"metadata": meta} | {k: v for k, v in obj.items() if k not in ("kind", "apiVersion", "metadata")})
    owners = meta.get("ownerReferences")
    return Stored(
        ref=ref,
        rv=int(str(meta.get("resourceVersion", "0"))),
        uid=str(meta.get("uid", "")),
        labels=strings(meta.get("labels")),
        fields={path: field_text(obj, path) for path in _SELECTABLE.get(ref.resource, ())},
        owners=tuple(str(o.get("uid", "")) for o in owners if isinstance(o, dict)) if isinstance(owners, list) else (),
        deleting="deletionTimestamp" in meta,
        body=body,
    )


def field_text(obj: Mapping[str, object], path: str) -> str:
    """A field as a selector compares it."""
    value: object = obj
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, bool):
        return "true" if value else "false"
    if path == "source" and isinstance(value, dict):
        value = value.get("component")
    return "" if value is None or isinstance(value, (dict, list)) else str(value)
