"""Kubernetes' Service and EndpointSlice.

Fields are Kubernetes'; must not hold any behaviour.
"""

from collections.abc import Mapping
from typing import Literal

from msgspec import field

from lateen.api.base import IntOrString, JsonObject, Message, OpenMessage
from lateen.api.meta import Condition, ObjectMeta
from lateen.api.objects import ObjectReference

__all__ = [
    "ClientIPConfig",
    "Endpoint",
    "EndpointConditions",
    "EndpointPort",
    "EndpointSlice",
    "LoadBalancerIngress",
    "LoadBalancerStatus",
    "Service",
    "ServicePort",
    "ServiceSpec",
    "ServiceStatus",
    "SessionAffinityConfig",
]


class ServicePort(Message, frozen=True):
    """A port of the service; `target_port` unset means the same number."""

    name: str = ""
    protocol: Literal["TCP", "UDP", "SCTP"] = "TCP"
    app_protocol: str | None = None
    port: int = 0
    target_port: IntOrString | None = None
    node_port: int = 0


class ClientIPConfig(Message, frozen=True):
    """How long a client stays with its endpoint."""

    timeout_seconds: int | None = None


class SessionAffinityConfig(Message, frozen=True):
    """Settings of session affinity."""

    client_ip: ClientIPConfig | None = field(name="clientIP", default=None)


class ServiceSpec(Message, frozen=True):
    """Ports, selector and addresses."""

    ports: tuple[ServicePort, ...] = ()
    selector: Mapping[str, str] = field(default_factory=dict)
    cluster_ip: str = field(name="clusterIP", default="")
    cluster_ips: tuple[str, ...] = field(name="clusterIPs", default=())
    type: Literal["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"] = "ClusterIP"
    external_ips: tuple[str, ...] = field(name="externalIPs", default=())
    session_affinity: str = ""
    session_affinity_config: SessionAffinityConfig | None = None
    load_balancer_ip: str = field(name="loadBalancerIP", default="")
    load_balancer_source_ranges: tuple[str, ...] = ()
    load_balancer_class: str | None = None
    external_name: str = ""
    external_traffic_policy: str = ""
    health_check_node_port: int = 0
    publish_not_ready_addresses: bool = False
    ip_families: tuple[str, ...] = ()
    ip_family_policy: str | None = None
    allocate_load_balancer_node_ports: bool | None = None
    internal_traffic_policy: str | None = None
    traffic_distribution: str | None = None


class LoadBalancerIngress(OpenMessage, frozen=True):
    """An address at which the service is reached from outside."""

    ip: str = ""
    hostname: str = ""


class LoadBalancerStatus(OpenMessage, frozen=True):
    """Addresses at which the service is reached from outside."""

    ingress: tuple[LoadBalancerIngress, ...] = ()


class ServiceStatus(OpenMessage, frozen=True):
    """What a load balancer reports."""

    load_balancer: LoadBalancerStatus = LoadBalancerStatus()
    conditions: tuple[Condition, ...] = ()


class Service(Message, frozen=True):
    """v1 Service."""

    api_version: str = "v1"
    kind: Literal["Service"] = "Service"
    metadata: ObjectMeta = ObjectMeta()
    spec: ServiceSpec = ServiceSpec()
    status: ServiceStatus | None = None


class EndpointConditions(Message, frozen=True):
    """Unset means ready, by Kubernetes' rule."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class Endpoint(Message, frozen=True):
    """One endpoint; only the first of its addresses counts."""

    addresses: tuple[str, ...] = ()
    conditions: EndpointConditions = EndpointConditions()
    hostname: str | None = None
    target_ref: ObjectReference | None = None
    node_name: str | None = None
    zone: str | None = None
    hints: JsonObject | None = None
    deprecated_topology: Mapping[str, str] = field(default_factory=dict)


class EndpointPort(Message, frozen=True):
    """A port that all endpoints of the slice have."""

    name: str = ""
    protocol: Literal["TCP", "UDP", "SCTP"] = "TCP"
    port: int | None = None
    app_protocol: str | None = None


class EndpointSlice(Message, frozen=True):
    """discovery.k8s.io/v1 EndpointSlice; its service is the label `kubernetes.io/service-name`."""

    api_version: str = "discovery.k8s.io/v1"
    kind: Literal["EndpointSlice"] = "EndpointSlice"
    metadata: ObjectMeta = ObjectMeta()
    address_type: Literal["IPv4", "IPv6", "FQDN"] = "IPv4"
    endpoints: tuple[Endpoint, ...] = ()
    ports: tuple[EndpointPort, ...] = ()
