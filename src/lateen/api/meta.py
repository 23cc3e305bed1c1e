"""What every object carries: its metadata, conditions, and the key that names it.

Why: one `ObjectMeta` for all kinds, as Kubernetes has it. Must not know any kind.
"""

from collections.abc import Mapping
from typing import NamedTuple

from msgspec import field

from lateen.api.base import JsonObject, Message, OpenMessage

__all__ = [
    "Condition",
    "IstioStatus",
    "Key",
    "LabelSelector",
    "LabelSelectorRequirement",
    "ObjectMeta",
    "OwnerReference",
    "PolicyTargetReference",
    "TemplateMeta",
    "WorkloadLabels",
    "WorkloadSelector",
]


class Key(NamedTuple):
    """Names one object in the mesh; `kind` is unique among the kinds of `api.kinds` (bare, such as "Service")."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        place = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {place}" if place else self.kind


class OwnerReference(Message, frozen=True):
    """The object this one belongs to; it goes when its owner goes."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool = False
    block_owner_deletion: bool = False


class ObjectMeta(OpenMessage, frozen=True):
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


class TemplateMeta(ObjectMeta, frozen=True, forbid_unknown_fields=True):
    """The metadata of a template, written by people only."""


class Condition(OpenMessage, frozen=True):
    """One entry of `status.conditions`."""

    type: str = ""
    status: str = ""  # "True", "False" or "Unknown"
    observed_generation: int | str = 0  # proto JSON writes int64 as a string
    last_transition_time: str = ""
    last_probe_time: str = ""
    last_update_time: str = ""
    reason: str = ""
    message: str = ""


class IstioStatus(OpenMessage, frozen=True):
    """The status of all of Istio's kinds."""

    conditions: tuple[Condition, ...] = ()
    validation_messages: tuple[JsonObject, ...] = ()
    observed_generation: int | str = 0


class LabelSelectorRequirement(Message, frozen=True):
    """One `matchExpressions` entry; evaluate it with `util.selectors.satisfies`."""

    key: str = ""
    operator: str = ""
    values: tuple[str, ...] = ()


class LabelSelector(Message, frozen=True):
    """Kubernetes' label selector: all labels and all expressions must hold."""

    match_labels: Mapping[str, str] = field(default_factory=dict)
    match_expressions: tuple[LabelSelectorRequirement, ...] = ()


class WorkloadSelector(Message, frozen=True):
    """Istio's selector of policies and DestinationRule (`istio.type`): labels that a workload must all have."""

    match_labels: Mapping[str, str] = field(default_factory=dict)


class WorkloadLabels(Message, frozen=True):
    """Istio's older selector of ServiceEntry and Sidecar (`istio.networking`), spelt `labels`."""

    labels: Mapping[str, str] = field(default_factory=dict)


class PolicyTargetReference(Message, frozen=True):
    """What a policy is attached to: a Gateway, GatewayClass, Service or ServiceEntry of its namespace."""

    group: str = ""
    kind: str = ""
    name: str = ""
    namespace: str = ""
