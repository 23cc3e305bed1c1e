"""Istio's Sidecar: what one workload's proxy takes in and may reach."""

from typing import Literal

from lateen.api.base import Message, UInt32
from lateen.api.destinationrule import ConnectionPoolSettings
from lateen.api.gateway import ServerTLSSettings
from lateen.api.meta import IstioStatus, ObjectMeta, WorkloadLabels
from lateen.api.virtualservice import Destination

__all__ = [
    "CaptureMode",
    "IstioEgressListener",
    "IstioIngressListener",
    "Sidecar",
    "SidecarOutboundTrafficPolicy",
    "SidecarPort",
    "SidecarSpec",
]

CaptureMode = Literal["DEFAULT", "IPTABLES", "NONE"]


class SidecarPort(Message, frozen=True):
    """A port that the proxy listens on."""

    number: UInt32 = 0
    protocol: str = ""
    name: str = ""
    target_port: UInt32 = 0  # deprecated


class IstioIngressListener(Message, frozen=True):
    """A port of the workload; given once, it replaces what its services say."""

    port: SidecarPort | None = None
    bind: str = ""
    capture_mode: CaptureMode = "DEFAULT"
    default_endpoint: str = ""
    tls: ServerTLSSettings | None = None
    connection_pool: ConnectionPoolSettings | None = None


class IstioEgressListener(Message, frozen=True):
    """What may be reached, as `namespace/host`."""

    port: SidecarPort | None = None
    bind: str = ""
    capture_mode: CaptureMode = "DEFAULT"
    hosts: tuple[str, ...] = ()


class SidecarOutboundTrafficPolicy(Message, frozen=True):
    """What happens to traffic for unknown destinations."""

    mode: Literal["REGISTRY_ONLY", "ALLOW_ANY"] = "REGISTRY_ONLY"
    egress_proxy: Destination | None = None


class SidecarSpec(Message, frozen=True):
    """Selector, ingress and egress listeners."""

    workload_selector: WorkloadLabels | None = None
    ingress: tuple[IstioIngressListener, ...] = ()
    egress: tuple[IstioEgressListener, ...] = ()
    inbound_connection_pool: ConnectionPoolSettings | None = None
    outbound_traffic_policy: SidecarOutboundTrafficPolicy | None = None


class Sidecar(Message, frozen=True):
    """networking.istio.io Sidecar, all versions."""

    api_version: str = "networking.istio.io/v1"
    kind: Literal["Sidecar"] = "Sidecar"
    metadata: ObjectMeta = ObjectMeta()
    spec: SidecarSpec = SidecarSpec()
    status: IstioStatus | None = None
