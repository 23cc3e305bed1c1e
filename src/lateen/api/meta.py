"""What every object carries: its metadata, and the key that names it.

Why: one `ObjectMeta` for all kinds, as Kubernetes has it. Must not know any kind.
"""

from collections.abc import Mapping
from typing import NamedTuple

from msgspec import Struct, field

__all__ = ["Condition", "Key", "LabelSelector", "LabelSelectorRequirement", "ObjectMeta", "OwnerReference"]


class Key(NamedTuple):
    """Names one object in the mesh; `kind` is unique among the kinds of `api.kinds` (bare, such as "Service")."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        place = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {place}"


class OwnerReference(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The object this one belongs to; it goes when its owner goes."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool = False
    block_owner_deletion: bool = False


class ObjectMeta(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Kubernetes' ObjectMeta; `managedFields` and `selfLink` are left to the raw object."""

    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str = ""  # RFC 3339
    deletion_timestamp: str = ""
    deletion_grace_period_seconds: int | None = None
    owner_references: tuple[OwnerReference, ...] = ()
    finalizers: tuple[str, ...] = ()


class Condition(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One entry of `status.conditions`."""

    type: str = ""
    status: str = ""  # "True", "False" or "Unknown"
    observed_generation: int = 0
    last_transition_time: str = ""
    last_probe_time: str = ""
    last_update_time: str = ""
    reason: str = ""
    message: str = ""


class LabelSelectorRequirement(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One `matchExpressions` entry; evaluate it with `util.selectors.satisfies`."""

    key: str = ""
    operator: str = ""
    values: tuple[str, ...] = ()


class LabelSelector(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Kubernetes' label selector: all labels and all expressions must hold."""

    match_labels: Mapping[str, str] = field(default_factory=dict)
    match_expressions: tuple[LabelSelectorRequirement, ...] = ()
