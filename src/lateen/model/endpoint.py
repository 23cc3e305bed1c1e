"""One address that serves one service port, with what the proxy must know of the workload behind it."""

from enum import StrEnum

from msgspec import Struct

__all__ = ["Endpoint", "Health", "Locality"]


class Health(StrEnum):
    UNKNOWN = "UNKNOWN"  # nobody reports it: counts as healthy
    HEALTHY = "HEALTHY"
    UNHEALTHY = "UNHEALTHY"
    DRAINING = "DRAINING"


class Locality(Struct, frozen=True, order=True):
    """Where a workload runs; "" = not known."""

    region: str = ""
    zone: str = ""
    subzone: str = ""


class Endpoint(Struct, frozen=True, kw_only=True):
    """An endpoint of a service port; `port` is the port on the workload."""

    address: str  # IP, FQDN (DNS resolution) or unix:// path
    port: int
    service_port: int  # the service's port number it serves
    health: Health = Health.HEALTHY
    weight: int = 0  # 0 = not set (counts as 1)
    locality: Locality = Locality()
    network: str = ""
    cluster: str = ""
    node: str = ""
    hostname: str = ""  # its own name under a headless service
    tls_mode: str = "disabled"  # "istio": its sidecar takes mutual TLS
    identity: str = ""  # SPIFFE URI of its service account, "" when unknown
    namespace: str = ""
    workload: str = ""  # name of the Deployment (or Pod) it belongs to
    tag: str = ""  # the workload as Istio writes it: name;namespace;canonical name;revision;cluster
    labels: tuple[tuple[str, str], ...] = ()
