"""Istio's EnvoyFilter: changes to what Envoy is sent, in Envoy's own words."""

from collections.abc import Mapping
from typing import Literal

from msgspec import field

from lateen.api.base import Int32, JsonObject, Message, OneOf, UInt32
from lateen.api.meta import IstioStatus, ObjectMeta, PolicyTargetReference, WorkloadLabels

__all__ = [
    "ClusterMatch",
    "ConfigPatch",
    "EnvoyFilter",
    "EnvoyFilterSpec",
    "FilterChainMatch",
    "FilterMatch",
    "ListenerMatch",
    "ObjectMatch",
    "Patch",
    "ProxyMatch",
    "RouteConfigurationMatch",
    "RouteMatch",
    "SubFilterMatch",
    "TransportSocketMatch",
    "VirtualHostMatch",
    "WaypointMatch",
]


class ProxyMatch(Message, frozen=True):
    """Proxies of a version (a regular expression) that have this metadata."""

    proxy_version: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


class ClusterMatch(Message, frozen=True):
    """Clusters; what is left out matches all."""

    port_number: UInt32 = 0
    service: str = ""
    subset: str = ""
    name: str = ""


class SubFilterMatch(Message, frozen=True):
    """A filter within a filter: an HTTP filter."""

    name: str = ""


class FilterMatch(Message, frozen=True):
    """A network filter."""

    name: str = ""
    sub_filter: SubFilterMatch | None = None


class TransportSocketMatch(Message, frozen=True):
    """The transport socket of a filter chain."""

    name: str = ""


class FilterChainMatch(Message, frozen=True):
    """Filter chains; what is left out matches all."""

    name: str = ""
    sni: str = ""
    transport_protocol: str = ""
    application_protocols: str = ""
    destination_port: UInt32 = 0
    filter: FilterMatch | None = None
    transport_socket: TransportSocketMatch | None = None


class ListenerMatch(Message, frozen=True):
    """Listeners; what is left out matches all."""

    port_number: UInt32 = 0
    port_name: str = ""
    name: str = ""
    filter_chain: FilterChainMatch | None = None
    listener_filter: str = ""


class RouteMatch(Message, frozen=True):
    """Routes of a virtual host."""

    name: str = ""
    action: Literal["ANY", "ROUTE", "REDIRECT", "DIRECT_RESPONSE"] = "ANY"


class VirtualHostMatch(Message, frozen=True):
    """Virtual hosts of a route configuration."""

    name: str = ""
    domain_name: str = ""
    route: RouteMatch | None = None


class RouteConfigurationMatch(Message, frozen=True):
    """Route configurations; what is left out matches all."""

    port_number: UInt32 = 0
    port_name: str = ""
    gateway: str = ""
    vhost: VirtualHostMatch | None = None
    name: str = ""


class WaypointMatch(Message, frozen=True):
    """What a waypoint has."""

    port_number: UInt32 = 0
    filter: FilterMatch | None = None
    route: RouteMatch | None = None


class ObjectMatch(OneOf, frozen=True):
    """Where a patch applies."""

    one_of = (("listener", "route_configuration", "cluster", "waypoint"),)

    context: Literal["ANY", "SIDECAR_INBOUND", "SIDECAR_OUTBOUND", "GATEWAY", "WAYPOINT"] = "ANY"
    proxy: ProxyMatch | None = None
    listener: ListenerMatch | None = None
    route_configuration: RouteConfigurationMatch | None = None
    cluster: ClusterMatch | None = None
    waypoint: WaypointMatch | None = None


class Patch(Message, frozen=True):
    """What is done, with which text of Envoy's."""

    operation: Literal[
        "INVALID",
        "MERGE",
        "ADD",
        "REMOVE",
        "INSERT_BEFORE",
        "INSERT_AFTER",
        "INSERT_FIRST",
        "REPLACE",
        "MERGE_AND_REPLACE_LIST",
    ] = "INVALID"
    value: JsonObject | None = None
    filter_class: Literal["UNSPECIFIED", "AUTHN", "AUTHZ", "STATS"] = "UNSPECIFIED"


class ConfigPatch(Message, frozen=True):
    """One change."""

    apply_to: Literal[
        "INVALID",
        "LISTENER",
        "FILTER_CHAIN",
        "NETWORK_FILTER",
        "HTTP_FILTER",
        "ROUTE_CONFIGURATION",
        "VIRTUAL_HOST",
        "HTTP_ROUTE",
        "CLUSTER",
        "EXTENSION_CONFIG",
        "BOOTSTRAP",
        "LISTENER_FILTER",
    ] = "INVALID"
    match: ObjectMatch | None = None
    patch: Patch | None = None


class EnvoyFilterSpec(Message, frozen=True):
    """Which workloads, the changes in their order, and when among other EnvoyFilters."""

    workload_selector: WorkloadLabels | None = None
    target_refs: tuple[PolicyTargetReference, ...] = ()
    config_patches: tuple[ConfigPatch, ...] = ()
    priority: Int32 = 0


class EnvoyFilter(Message, frozen=True):
    """networking.istio.io EnvoyFilter, all versions."""

    api_version: str = "networking.istio.io/v1alpha3"
    kind: Literal["EnvoyFilter"] = "EnvoyFilter"
    metadata: ObjectMeta = ObjectMeta()
    spec: EnvoyFilterSpec = EnvoyFilterSpec()
    status: IstioStatus | None = None
