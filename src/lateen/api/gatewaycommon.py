"""What the Gateway API's kinds share: names, references, backends (gateway-api v1.6, standard channel).

Texts, numbers and lists carry the limits of the project's own definitions, since nothing else checks them. Must not know any kind.
"""

from typing import Annotated, Literal, TypeVar

from msgspec import Meta

from lateen.api.base import Message

__all__ = [
    "GROUP",
    "NAME",
    "AbsoluteURI",
    "BackendObjectReference",
    "BackendRef",
    "Filled",
    "Fraction",
    "GatewayDuration",
    "Group",
    "HeaderName",
    "Hostname",
    "KindName",
    "LocalObjectReference",
    "MatchType",
    "NamespaceName",
    "ObjectName",
    "ObjectReference",
    "ParentRefs",
    "PathText",
    "PortNumber",
    "PreciseHostname",
    "SecretObjectReference",
    "SectionName",
    "UpTo8",
    "UpTo16",
    "UpTo64",
]

GROUP = "gateway.networking.k8s.io"
_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
NAME = rf"{_LABEL}(\.{_LABEL})*"

Hostname = Annotated[str, Meta(min_length=1, max_length=253, pattern=rf"^(\*\.)?{NAME}$")]
PreciseHostname = Annotated[str, Meta(min_length=1, max_length=253, pattern=rf"^{NAME}$")]
Group = Annotated[str, Meta(max_length=253, pattern=rf"^$|^{NAME}$")]
KindName = Annotated[str, Meta(min_length=1, max_length=63, pattern="^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$")]
ObjectName = Annotated[str, Meta(min_length=1, max_length=253)]
NamespaceName = Annotated[str, Meta(min_length=1, max_length=63, pattern=f"^{_LABEL}$")]
SectionName = Annotated[str, Meta(min_length=1, max_length=253, pattern=rf"^{NAME}$")]
HeaderName = Annotated[str, Meta(min_length=1, max_length=256, pattern=r"^[A-Za-z0-9!#$%&'*+\-.^_\x60|~]+$")]
PathText = Annotated[str, Meta(max_length=1024)]
AbsoluteURI = Annotated[str, Meta(min_length=1, max_length=253, pattern=r"^(([^:/?#]+):)(//([^/?#]*))([^?#]*)(\?([^#]*))?(#(.*))?")]
GatewayDuration = Annotated[str, Meta(pattern="^([0-9]{1,5}(h|m|s|ms)){1,4}$")]
PortNumber = Annotated[int, Meta(ge=1, le=65535)]

T = TypeVar("T")
UpTo8 = Annotated[tuple[T, ...], Meta(max_length=8)]
UpTo16 = Annotated[tuple[T, ...], Meta(max_length=16)]
UpTo64 = Annotated[tuple[T, ...], Meta(max_length=64)]


class Filled(Message, frozen=True, kw_only=True):
    """A message whose defaults are written into the objects that people create, as the project's definitions do."""


class ParentReference(Filled, frozen=True, kw_only=True):
    """What a route attaches to: a Gateway, ListenerSet or Service, one section of it, or one port."""

    group: Group = GROUP
    kind: KindName = "Gateway"
    namespace: NamespaceName | None = None
    name: ObjectName
    section_name: SectionName | None = None
    port: PortNumber | None = None


ParentRefs = Annotated[tuple[ParentReference, ...], Meta(max_length=32)]


class LocalObjectReference(Filled, frozen=True, kw_only=True):
    """An object of the same namespace."""

    group: Group
    kind: KindName
    name: ObjectName


class ObjectReference(Filled, frozen=True, kw_only=True):
    """An object of any namespace."""

    group: Group
    kind: KindName
    name: ObjectName
    namespace: NamespaceName | None = None


class SecretObjectReference(Filled, frozen=True, kw_only=True):
    """A Secret, unless said otherwise."""

    group: Group = ""
    kind: KindName = "Secret"
    name: ObjectName
    namespace: NamespaceName | None = None


class BackendObjectReference(Filled, frozen=True, kw_only=True):
    """A Service's port, unless said otherwise."""

    group: Group = ""
    kind: KindName = "Service"
    name: ObjectName
    namespace: NamespaceName | None = None
    port: PortNumber | None = None


class BackendRef(BackendObjectReference, frozen=True, kw_only=True):
    """A backend and its share."""

    weight: Annotated[int, Meta(ge=0, le=1_000_000)] = 1


class Fraction(Filled, frozen=True, kw_only=True):
    """A share; of 100 unless said otherwise."""

    numerator: Annotated[int, Meta(ge=0)]
    denominator: Annotated[int, Meta(ge=1)] = 100


MatchType = Literal["Exact", "RegularExpression"]
