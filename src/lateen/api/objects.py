"""Kubernetes' small kinds: Namespace, Node, ServiceAccount, Secret, ConfigMap, Event.

Fields are Kubernetes'; must not hold any behaviour.
"""

from collections.abc import Mapping
from typing import Literal

from msgspec import field

from lateen.api.base import JsonObject, Message, OpenMessage
from lateen.api.meta import Condition, ObjectMeta
from lateen.util.redact import Secret as Redacted

__all__ = [
    "ConfigMap",
    "Event",
    "Namespace",
    "NamespaceSpec",
    "NamespaceStatus",
    "Node",
    "NodeAddress",
    "NodeSpec",
    "NodeStatus",
    "ObjectReference",
    "PlainText",
    "Secret",
    "ServiceAccount",
]


class PlainText(Redacted):
    """A secret written as text (`stringData`), where `data` has base64."""

    __slots__ = ()


class ObjectReference(OpenMessage, frozen=True):
    """Names another object."""

    api_version: str = ""
    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    resource_version: str = ""
    field_path: str = ""


class NamespaceSpec(Message, frozen=True):
    """What must be gone before the namespace is."""

    finalizers: tuple[str, ...] = ()


class NamespaceStatus(OpenMessage, frozen=True):
    """Active or Terminating."""

    phase: str = ""


class Namespace(Message, frozen=True):
    """v1 Namespace."""

    api_version: str = "v1"
    kind: Literal["Namespace"] = "Namespace"
    metadata: ObjectMeta = ObjectMeta()
    spec: NamespaceSpec | None = None
    status: NamespaceStatus | None = None


class NodeAddress(OpenMessage, frozen=True):
    """An address of the machine."""

    type: str = ""
    address: str = ""


class NodeSpec(OpenMessage, frozen=True):
    """Address range and readiness for work."""

    pod_cidr: str = field(name="podCIDR", default="")
    provider_id: str = field(name="providerID", default="")
    unschedulable: bool = False


class NodeStatus(OpenMessage, frozen=True):
    """Addresses and conditions."""

    addresses: tuple[NodeAddress, ...] = ()
    conditions: tuple[Condition, ...] = ()
    capacity: Mapping[str, str] = field(default_factory=dict)
    allocatable: Mapping[str, str] = field(default_factory=dict)
    node_info: JsonObject | None = None


class Node(Message, frozen=True):
    """v1 Node."""

    api_version: str = "v1"
    kind: Literal["Node"] = "Node"
    metadata: ObjectMeta = ObjectMeta()
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()


class ServiceAccount(Message, frozen=True):
    """v1 ServiceAccount: the identity that pods run under."""

    api_version: str = "v1"
    kind: Literal["ServiceAccount"] = "ServiceAccount"
    metadata: ObjectMeta = ObjectMeta()
    secrets: tuple[JsonObject, ...] = ()
    image_pull_secrets: tuple[JsonObject, ...] = ()
    automount_service_account_token: bool | None = None


class Secret(Message, frozen=True):
    """v1 Secret; its values never print."""

    api_version: str = "v1"
    kind: Literal["Secret"] = "Secret"
    metadata: ObjectMeta = ObjectMeta()
    type: str = ""
    data: Mapping[str, Redacted] = field(default_factory=dict)
    string_data: Mapping[str, PlainText] = field(default_factory=dict)
    immutable: bool | None = None


class ConfigMap(Message, frozen=True):
    """v1 ConfigMap."""

    api_version: str = "v1"
    kind: Literal["ConfigMap"] = "ConfigMap"
    metadata: ObjectMeta = ObjectMeta()
    data: Mapping[str, str] = field(default_factory=dict)
    binary_data: Mapping[str, str] = field(default_factory=dict)  # base64
    immutable: bool | None = None


class Event(OpenMessage, frozen=True):
    """v1 Event: something that happened to an object."""

    api_version: str = "v1"
    kind: Literal["Event"] = "Event"
    metadata: ObjectMeta = ObjectMeta()
    involved_object: ObjectReference = ObjectReference()
    reason: str = ""
    message: str = ""
    type: str = ""
    count: int = 0
    first_timestamp: str = ""
    last_timestamp: str = ""
    event_time: str = ""
    reporting_component: str = ""
    reporting_instance: str = ""
    source: JsonObject | None = None
