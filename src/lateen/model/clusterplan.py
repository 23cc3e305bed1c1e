"""Plans of clusters and of their endpoints.

Why: a plan is the only argument of its printer and so its only cache key. Durations are nanoseconds. Must not name an Envoy type.
"""

from typing import Literal

from msgspec import Struct

from lateen.api.meta import Key
from lateen.model.endpoint import Endpoint, Locality
from lateen.model.frame import Owner

__all__ = [
    "BreakerPlan",
    "ClusterPlan",
    "ClusterTls",
    "EndpointsPlan",
    "LoadBalancerPlan",
    "LocalityPlan",
    "OutlierPlan",
    "PassthroughPlan",
    "PoolPlan",
]

UNLIMITED = 2**32 - 1


class BreakerPlan(Struct, frozen=True, kw_only=True):
    """Circuit breaker thresholds."""

    connections: int = UNLIMITED
    pending: int = UNLIMITED
    requests: int = UNLIMITED
    retries: int = UNLIMITED
    budget_percent: float | None = None
    budget_concurrency: int = 0


class PoolPlan(Struct, frozen=True, kw_only=True):
    """Connection settings beyond the thresholds; None and 0 are Envoy's own."""

    connect_timeout: int = 10_000_000_000
    idle_timeout: int | None = None
    max_connection_duration: int | None = None
    tcp_idle_timeout: int | None = None
    keepalive: tuple[int, int, int] | None = None  # probes, time (s), interval (s); 0 = the kernel's own
    requests_per_connection: int = 0
    concurrent_streams: int = 0
    ping_interval: int | None = None
    ping_timeout: int | None = None


class LoadBalancerPlan(Struct, frozen=True, kw_only=True):
    """Which endpoint takes the next request."""

    policy: Literal["LEAST_REQUEST", "ROUND_ROBIN", "RANDOM", "RING_HASH", "MAGLEV", "CLUSTER_PROVIDED"] = "LEAST_REQUEST"
    ring_size: int = 0
    table_size: int = 0
    warmup: int | None = None
    warmup_percent: float = 10.0
    warmup_aggression: float = 1.0


class OutlierPlan(Struct, frozen=True, kw_only=True):
    """Ejection of endpoints that fail; None is Envoy's own default."""

    consecutive_5xx: int | None = None
    consecutive_gateway: int | None = None
    split_local: bool = False
    consecutive_local: int | None = None
    interval: int | None = None
    base_ejection: int | None = None
    max_percent: int = 0
    min_health_percent: int = 0


class ClusterTls(Struct, frozen=True, kw_only=True):
    """TLS towards the endpoints. `mode` AUTO: mutual TLS to those with a sidecar, plaintext to the others."""

    mode: Literal["AUTO", "ISTIO_MUTUAL", "SIMPLE", "MUTUAL"]
    names: tuple[str, ...] = ()  # subject alternative names that are accepted, exactly
    sni: str = ""
    alpn: tuple[str, ...] = ()
    certificate: str = ""  # SDS name, "default" is the workload's own
    root: str = ""  # SDS name
    auto_sni: bool = False
    auto_names: bool = False
    min_version: str = "TLSV1_2"
    curves: tuple[str, ...] = ()
    ciphers: tuple[str, ...] = ()
    crl: str = ""  # file of revoked certificates


class PassthroughPlan(Struct, frozen=True):
    """A cluster that exists in every proxy: black hole or pass-through. `sources`: addresses it connects from."""

    name: str
    stat_name: str
    original_destination: bool
    sources: tuple[str, ...] = ()
    breaker: BreakerPlan = BreakerPlan()
    pool: PoolPlan = PoolPlan()
    dynamic: bool = False  # the endpoint is the host that a request asks for


class ZonesPlan(Struct, frozen=True, kw_only=True):
    """Whether Envoy keeps requests in its own zone as far as the zone's share of clients goes; with fewer endpoints it does not."""

    enabled: bool
    min_endpoints: int | None = None


class ClusterPlan(Struct, frozen=True, kw_only=True):
    """A cluster of a service port, of a subset of it, or of an inbound port."""

    name: str
    kind: Literal["EDS", "STATIC", "ORIGINAL_DST", "STRICT_DNS", "LOGICAL_DNS", "DYNAMIC_DNS"]
    services: tuple[tuple[str, str, str], ...] = ()  # (name, host, namespace), for metadata
    subset: str = ""
    config: Key | None = None  # the DestinationRule
    external: bool = False
    inbound: bool = False
    protocol: Literal["default", "http2", "client"] = "default"
    load_balancer: LoadBalancerPlan = LoadBalancerPlan()
    weighted: bool = False  # localities share traffic by their weights
    zones: ZonesPlan | None = None
    breaker: BreakerPlan = BreakerPlan()
    pool: PoolPlan = PoolPlan()
    outlier: OutlierPlan | None = None
    tls: ClusterTls | None = None
    proxy_protocol: Literal["", "V1", "V2"] = ""
    dns_refresh: int = 60_000_000_000
    endpoints: "EndpointsPlan | None" = None  # of DNS and static clusters, inside the cluster
    owners: tuple[Owner, ...] = ()


class LocalityPlan(Struct, frozen=True, kw_only=True):
    """Endpoints of one place; weight is the sum of theirs unless distributed otherwise."""

    locality: Locality
    endpoints: tuple[Endpoint, ...]
    priority: int = 0
    weight: int = 0


class EndpointsPlan(Struct, frozen=True, kw_only=True):
    """The endpoints of a cluster."""

    cluster: str
    localities: tuple[LocalityPlan, ...] = ()
    owners: tuple[Owner, ...] = ()
