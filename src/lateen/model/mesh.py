"""What holds for the whole mesh: names fixed for the life of a control plane, and what MeshConfig says of every cluster."""

from msgspec import Struct

from lateen.api.destinationrule import (
    ConnectionPoolSettings,
    LocalityLoadBalancerSetting,
    OutlierDetection,
    TcpKeepalive,
    ZoneAwareLoadBalancerSetting,
)

__all__ = ["ClusterDefaults", "Settings"]


class Settings(Struct, frozen=True, kw_only=True):
    """Istio's defaults. `domain` "" leaves short names at `name.namespace`."""

    domain: str = "cluster.local"
    trust_domain: str = "cluster.local"
    root_namespace: str = "istio-system"
    cluster: str = "Kubernetes"
    quic: bool = False  # gateways serve HTTP/3 beside HTTPS
    reached_only: bool = False  # gateways get the clusters alone that their rules lead to
    streams_per_second: float = 0.0  # new xDS streams let in; 0: by the processors, after a burst


class ClusterDefaults(Struct, frozen=True, kw_only=True):
    """Of MeshConfig what every cluster takes over where no DestinationRule says otherwise. Durations are nanoseconds."""

    connect_timeout: int = 10_000_000_000
    dns_refresh: int = 60_000_000_000
    h2_upgrade: bool = False
    keepalive: TcpKeepalive | None = None
    dynamic_dns: bool = False  # unknown hosts of HTTP are looked up anew
    inbound_localhost: bool = False  # applications are reached at the loopback address
    connection_pool: ConnectionPoolSettings | None = None
    outlier_detection: OutlierDetection | None = None
    locality: LocalityLoadBalancerSetting | None = None
    zones: ZoneAwareLoadBalancerSetting | None = None
    ecdh_curves: tuple[str, ...] = ()
    cipher_suites: tuple[str, ...] = ()
