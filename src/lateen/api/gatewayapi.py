"""The Gateway API's gateways and policies: GatewayClass, Gateway, ListenerSet, ReferenceGrant, BackendTLSPolicy (gateway-api v1.6).

The routes are in `gatewayroutes`, rules between fields in `kube.gatewayrules`. Nothing compiles these kinds yet.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import Meta, field

from lateen.api.base import JsonObject
from lateen.api.gatewaycommon import (
    GROUP,
    NAME,
    AbsoluteURI,
    Filled,
    Group,
    Hostname,
    KindName,
    LocalObjectReference,
    NamespaceName,
    ObjectName,
    ObjectReference,
    PortNumber,
    PreciseHostname,
    SecretObjectReference,
    SectionName,
    UpTo8,
    UpTo16,
    UpTo64,
)
from lateen.api.meta import LabelSelector, ObjectMeta

__all__ = ["BackendTLSPolicy", "GatewayClass", "KubernetesGateway", "ListenerSet", "ReferenceGrant"]

_PATH = r"\/[A-Za-z0-9\/\-._~%!$&'()*+,;=:]+"
ControllerName = Annotated[str, Meta(min_length=1, max_length=253, pattern=rf"^{NAME}{_PATH}$")]
Protocol = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=255,
        pattern=rf"^[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?$|{NAME}\/[A-Za-z0-9]+$",
    ),
]
AddressType = Annotated[str, Meta(min_length=1, max_length=253, pattern=rf"^Hostname|IPAddress|NamedAddress|{NAME}{_PATH}$")]
Options = Annotated[Mapping[str, Annotated[str, Meta(max_length=4096)]], Meta(max_length=16)]
Labels = Annotated[
    Mapping[str, Annotated[str, Meta(max_length=63, pattern="^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")]], Meta(max_length=8)
]


class GatewayClassSpec(Filled, frozen=True, kw_only=True):
    """Who makes gateways of the class."""

    controller_name: ControllerName
    parameters_ref: ObjectReference | None = None
    description: Annotated[str, Meta(max_length=64)] | None = None


class GatewayClass(Filled, frozen=True, kw_only=True):
    """gateway.networking.k8s.io GatewayClass, all versions."""

    api_version: str = "gateway.networking.k8s.io/v1"
    kind: Literal["GatewayClass"] = "GatewayClass"
    metadata: ObjectMeta = ObjectMeta()
    spec: GatewayClassSpec
    status: JsonObject | None = None


class ListenerTLSConfig(Filled, frozen=True, kw_only=True):
    """TLS of a listener."""

    mode: Literal["Terminate", "Passthrough"] = "Terminate"
    certificate_refs: UpTo64[SecretObjectReference] = ()
    options: Options = field(default_factory=dict)


class RouteNamespaces(Filled, frozen=True, kw_only=True):
    """Whose routes may attach."""

    from_: Literal["All", "Selector", "Same"] = field(name="from", default="Same")
    selector: LabelSelector | None = None


class RouteGroupKind(Filled, frozen=True, kw_only=True):
    """A kind of routes."""

    group: Group = GROUP
    kind: KindName


class AllowedRoutes(Filled, frozen=True, kw_only=True):
    """Which routes may attach."""

    namespaces: RouteNamespaces = RouteNamespaces()
    kinds: UpTo8[RouteGroupKind] = ()


class Listener(Filled, frozen=True, kw_only=True):
    """One port for one host."""

    name: SectionName
    hostname: Hostname | None = None
    port: PortNumber
    protocol: Protocol
    tls: ListenerTLSConfig | None = None
    allowed_routes: AllowedRoutes = AllowedRoutes()


Listeners = Annotated[tuple[Listener, ...], Meta(min_length=1, max_length=64)]


class GatewayAddress(Filled, frozen=True, kw_only=True):
    """An address that is asked for."""

    type: AddressType = "IPAddress"
    value: Annotated[str, Meta(max_length=253)] | None = None


class GatewayInfrastructure(Filled, frozen=True, kw_only=True):
    """What the objects made for a gateway carry."""

    labels: Labels = field(default_factory=dict)
    annotations: Options = field(default_factory=dict)
    parameters_ref: LocalObjectReference | None = None


class ListenerNamespaces(Filled, frozen=True, kw_only=True):
    """Whose ListenerSets may attach."""

    from_: Literal["All", "Selector", "Same", "None"] = field(name="from", default="None")
    selector: LabelSelector | None = None


class AllowedListeners(Filled, frozen=True, kw_only=True):
    """Which ListenerSets may attach."""

    namespaces: ListenerNamespaces = ListenerNamespaces()


class FrontendTLSValidation(Filled, frozen=True, kw_only=True):
    """How clients' certificates are checked."""

    ca_certificate_refs: Annotated[tuple[ObjectReference, ...], Meta(min_length=1, max_length=8)]
    mode: Literal["AllowValidOnly", "AllowInsecureFallback"] = "AllowValidOnly"


class TLSConfig(Filled, frozen=True, kw_only=True):
    """TLS of all listeners, or of a port."""

    validation: FrontendTLSValidation | None = None


class TLSPortConfig(Filled, frozen=True, kw_only=True):
    """TLS of a port."""

    port: PortNumber
    tls: TLSConfig


class FrontendTLSConfig(Filled, frozen=True, kw_only=True):
    """Towards clients."""

    default: TLSConfig
    per_port: UpTo64[TLSPortConfig] = ()


class GatewayBackendTLS(Filled, frozen=True, kw_only=True):
    """Towards backends."""

    client_certificate_ref: SecretObjectReference | None = None


class GatewayTLSConfig(Filled, frozen=True, kw_only=True):
    """TLS of the whole gateway."""

    backend: GatewayBackendTLS | None = None
    frontend: FrontendTLSConfig | None = None


class GatewaySpec(Filled, frozen=True, kw_only=True):
    """Listeners of a class."""

    gateway_class_name: ObjectName
    listeners: Listeners
    addresses: UpTo16[GatewayAddress] = ()
    infrastructure: GatewayInfrastructure | None = None
    allowed_listeners: AllowedListeners | None = None
    tls: GatewayTLSConfig | None = None


class KubernetesGateway(Filled, frozen=True, kw_only=True):
    """gateway.networking.k8s.io Gateway, all versions."""

    api_version: str = "gateway.networking.k8s.io/v1"
    kind: Literal["Gateway"] = "Gateway"
    metadata: ObjectMeta = ObjectMeta()
    spec: GatewaySpec
    status: JsonObject | None = None


class ParentGatewayReference(Filled, frozen=True, kw_only=True):
    """The gateway of a ListenerSet."""

    group: Group = GROUP
    kind: KindName = "Gateway"
    name: ObjectName
    namespace: NamespaceName | None = None


class ListenerSetSpec(Filled, frozen=True, kw_only=True):
    """Listeners for another's gateway."""

    parent_ref: ParentGatewayReference
    listeners: Listeners


class ListenerSet(Filled, frozen=True, kw_only=True):
    """gateway.networking.k8s.io ListenerSet."""

    api_version: str = "gateway.networking.k8s.io/v1"
    kind: Literal["ListenerSet"] = "ListenerSet"
    metadata: ObjectMeta = ObjectMeta()
    spec: ListenerSetSpec
    status: JsonObject | None = None


class ReferenceGrantFrom(Filled, frozen=True, kw_only=True):
    """Who may refer."""

    group: Group
    kind: KindName
    namespace: NamespaceName


class ReferenceGrantTo(Filled, frozen=True, kw_only=True):
    """To what; without a name to all of the kind."""

    group: Group
    kind: KindName
    name: ObjectName | None = None


class ReferenceGrantSpec(Filled, frozen=True, kw_only=True):
    """Each of `from` may refer to each of `to`."""

    from_: Annotated[tuple[ReferenceGrantFrom, ...], Meta(min_length=1, max_length=16)] = field(name="from")
    to: Annotated[tuple[ReferenceGrantTo, ...], Meta(min_length=1, max_length=16)]


class ReferenceGrant(Filled, frozen=True, kw_only=True):
    """gateway.networking.k8s.io ReferenceGrant, all versions."""

    api_version: str = "gateway.networking.k8s.io/v1"
    kind: Literal["ReferenceGrant"] = "ReferenceGrant"
    metadata: ObjectMeta = ObjectMeta()
    spec: ReferenceGrantSpec | None = None


class PolicyTarget(Filled, frozen=True, kw_only=True):
    """What a policy is for, or one section of it."""

    group: Group
    kind: KindName
    name: ObjectName
    section_name: SectionName | None = None


class SubjectAltName(Filled, frozen=True, kw_only=True):
    """A name that a certificate must have."""

    type: Literal["Hostname", "URI"]
    hostname: Hostname | None = None
    uri: AbsoluteURI | None = None


class BackendTLSPolicyValidation(Filled, frozen=True, kw_only=True):
    """How backends' certificates are checked."""

    ca_certificate_refs: UpTo8[LocalObjectReference] = ()
    well_known_ca_certificates: Literal["System"] | None = field(name="wellKnownCACertificates", default=None)
    hostname: PreciseHostname
    subject_alt_names: Annotated[tuple[SubjectAltName, ...], Meta(max_length=5)] = ()


class BackendTLSPolicySpec(Filled, frozen=True, kw_only=True):
    """TLS towards backends."""

    target_refs: Annotated[tuple[PolicyTarget, ...], Meta(min_length=1, max_length=16)]
    validation: BackendTLSPolicyValidation
    options: Options = field(default_factory=dict)


class BackendTLSPolicy(Filled, frozen=True, kw_only=True):
    """gateway.networking.k8s.io BackendTLSPolicy, all versions."""

    api_version: str = "gateway.networking.k8s.io/v1"
    kind: Literal["BackendTLSPolicy"] = "BackendTLSPolicy"
    metadata: ObjectMeta = ObjectMeta()
    spec: BackendTLSPolicySpec
    status: JsonObject | None = None
