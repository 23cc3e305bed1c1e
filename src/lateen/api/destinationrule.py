"""Istio's DestinationRule, and the traffic policy messages that Sidecar and MeshConfig share with it."""

from collections.abc import Mapping
from typing import Literal

from msgspec import field

from lateen.api.base import Duration, Int32, JsonObject, Message, OneOf, UInt32, UInt64
from lateen.api.meta import IstioStatus, ObjectMeta, WorkloadSelector
from lateen.api.virtualservice import PortSelector

__all__ = [
    "ClientTLSSettings",
    "ConnectionPoolHTTP",
    "ConnectionPoolSettings",
    "ConnectionPoolTCP",
    "ConsistentHashLB",
    "DestinationRule",
    "DestinationRuleSpec",
    "HTTP2KeepAlive",
    "HTTPCookie",
    "HTTPCookieAttribute",
    "LoadBalancerSettings",
    "LocalityDistribute",
    "LocalityFailover",
    "LocalityLoadBalancerSetting",
    "Maglev",
    "OutlierDetection",
    "PortTrafficPolicy",
    "ProxyProtocol",
    "RetryBudget",
    "RingHash",
    "Subset",
    "TcpKeepalive",
    "TrafficPolicy",
    "TunnelSettings",
    "WarmupConfiguration",
    "ZoneAwareLoadBalancerSetting",
]


class HTTPCookieAttribute(Message, frozen=True):
    """A further attribute of the cookie that Envoy sets."""

    name: str = ""
    value: str = ""


class HTTPCookie(Message, frozen=True):
    """The cookie that is hashed; with a `ttl` (also 0s) Envoy makes it where it is missing."""

    name: str = ""
    path: str = ""
    ttl: Duration | None = None
    attributes: tuple[HTTPCookieAttribute, ...] = ()


class RingHash(Message, frozen=True):
    """Ring hash; Envoy's least ring is 1024."""

    minimum_ring_size: UInt64 = 0


class Maglev(Message, frozen=True):
    """Maglev; Envoy's table is 65537."""

    table_size: UInt64 = 0


class ConsistentHashLB(OneOf, frozen=True):
    """Sends equal keys to the same endpoint."""

    one_of = (("http_header_name", "http_cookie", "use_source_ip", "http_query_parameter_name"), ("ring_hash", "maglev"))

    http_header_name: str | None = None
    http_cookie: HTTPCookie | None = None
    use_source_ip: bool | None = None
    http_query_parameter_name: str | None = None
    ring_hash: RingHash | None = None
    maglev: Maglev | None = None
    minimum_ring_size: UInt64 = 0  # deprecated


class LocalityDistribute(Message, frozen=True):
    """Shares, in percent, of the traffic from one locality to others."""

    from_: str = field(name="from", default="")
    to: Mapping[str, UInt32] = field(default_factory=dict)


class LocalityFailover(Message, frozen=True):
    """The region that takes over for another."""

    from_: str = field(name="from", default="")
    to: str = ""


class LocalityLoadBalancerSetting(Message, frozen=True):
    """Prefers endpoints near the caller; `enabled` unset means as the mesh has it."""

    distribute: tuple[LocalityDistribute, ...] = ()
    failover: tuple[LocalityFailover, ...] = ()
    failover_priority: tuple[str, ...] = ()
    enabled: bool | None = None


class ZoneAwareLoadBalancerSetting(Message, frozen=True):
    """Envoy's zone aware routing."""

    enabled: bool | None = None
    failover: tuple[LocalityFailover, ...] = ()
    failover_priority: tuple[str, ...] = ()
    min_cluster_size: UInt64 | None = None


class WarmupConfiguration(Message, frozen=True):
    """Lets new endpoints start slowly."""

    duration: Duration | None = None
    minimum_percent: float | None = None
    aggression: float | None = None


class LoadBalancerSettings(OneOf, frozen=True):
    """Which endpoint takes the next request."""

    one_of = (("simple", "consistent_hash", "backend_utilization"), ("locality_lb_setting", "zone_aware_lb_setting"))

    simple: Literal["UNSPECIFIED", "LEAST_CONN", "RANDOM", "PASSTHROUGH", "ROUND_ROBIN", "LEAST_REQUEST"] | None = None
    consistent_hash: ConsistentHashLB | None = None
    backend_utilization: JsonObject | None = None  # not consumed by istiod either
    locality_lb_setting: LocalityLoadBalancerSetting | None = None
    zone_aware_lb_setting: ZoneAwareLoadBalancerSetting | None = None
    warmup_duration_secs: Duration | None = None  # deprecated
    warmup: WarmupConfiguration | None = None


class TcpKeepalive(Message, frozen=True):
    """SO_KEEPALIVE's numbers."""

    probes: UInt32 = 0
    time: Duration | None = None
    interval: Duration | None = None


class ConnectionPoolTCP(Message, frozen=True):
    """Limits of connections; 0 means the default."""

    max_connections: Int32 = 0
    connect_timeout: Duration | None = None
    tcp_keepalive: TcpKeepalive | None = None
    max_connection_duration: Duration | None = None
    idle_timeout: Duration | None = None


class HTTP2KeepAlive(Message, frozen=True):
    """HTTP/2 PING."""

    interval: Duration | None = None
    timeout: Duration | None = None


class ConnectionPoolHTTP(Message, frozen=True):
    """Limits of requests; 0 means the default."""

    http1_max_pending_requests: Int32 = 0
    http2_max_requests: Int32 = 0
    max_requests_per_connection: Int32 = 0
    max_retries: Int32 = 0
    idle_timeout: Duration | None = None
    h2_upgrade_policy: Literal["DEFAULT", "DO_NOT_UPGRADE", "UPGRADE"] = "DEFAULT"
    use_client_protocol: bool = False
    max_concurrent_streams: Int32 = 0
    http2_keep_alive: HTTP2KeepAlive | None = None


class ConnectionPoolSettings(Message, frozen=True):
    """Circuit breakers and connection settings."""

    tcp: ConnectionPoolTCP | None = None
    http: ConnectionPoolHTTP | None = None


class OutlierDetection(Message, frozen=True):
    """Ejects endpoints that fail."""

    consecutive_errors: Int32 = 0  # deprecated
    split_external_local_origin_errors: bool = False
    consecutive_local_origin_failures: UInt32 | None = None
    consecutive_gateway_errors: UInt32 | None = None
    consecutive_5xx_errors: UInt32 | None = field(name="consecutive5xxErrors", default=None)
    interval: Duration | None = None
    base_ejection_time: Duration | None = None
    max_ejection_percent: Int32 = 0
    min_health_percent: Int32 = 0
    outlier_detection_http_error_codes: tuple[UInt32, ...] = ()


class ClientTLSSettings(Message, frozen=True):
    """TLS towards the destination."""

    mode: Literal["DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"] = "DISABLE"
    client_certificate: str = ""
    private_key: str = ""
    ca_certificates: str = ""
    credential_name: str = ""
    subject_alt_names: tuple[str, ...] = ()
    sni: str = ""
    insecure_skip_verify: bool | None = None
    ca_crl: str = ""


class TunnelSettings(Message, frozen=True):
    """Carries TCP through an HTTP proxy; `protocol` is CONNECT (default) or POST."""

    protocol: str = ""
    target_host: str = ""
    target_port: UInt32 = 0


class ProxyProtocol(Message, frozen=True):
    """The PROXY protocol towards the destination."""

    version: Literal["V1", "V2"] = "V1"


class RetryBudget(Message, frozen=True):
    """Limits concurrent retries to a share of the active requests."""

    percent: float | None = None
    min_retry_concurrency: UInt32 | None = None
    budget_interval: Duration | None = None


class PortTrafficPolicy(Message, frozen=True):
    """The policy for one port; it replaces the four blocks of the destination's policy wholly."""

    port: PortSelector | None = None
    load_balancer: LoadBalancerSettings | None = None
    connection_pool: ConnectionPoolSettings | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTLSSettings | None = None


class TrafficPolicy(Message, frozen=True):
    """What happens after routing: load balancing, limits, outliers, TLS."""

    load_balancer: LoadBalancerSettings | None = None
    connection_pool: ConnectionPoolSettings | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTLSSettings | None = None
    port_level_settings: tuple[PortTrafficPolicy, ...] = ()
    tunnel: TunnelSettings | None = None
    proxy_protocol: ProxyProtocol | None = None
    retry_budget: RetryBudget | None = None


class Subset(Message, frozen=True):
    """A named part of a service's endpoints."""

    name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    traffic_policy: TrafficPolicy | None = None


class DestinationRuleSpec(Message, frozen=True):
    """Subsets and policies of one host."""

    host: str = ""
    traffic_policy: TrafficPolicy | None = None
    subsets: tuple[Subset, ...] = ()
    export_to: tuple[str, ...] = ()
    workload_selector: WorkloadSelector | None = None


class DestinationRule(Message, frozen=True):
    """networking.istio.io DestinationRule, all versions."""

    api_version: str = "networking.istio.io/v1"
    kind: Literal["DestinationRule"] = "DestinationRule"
    metadata: ObjectMeta = ObjectMeta()
    spec: DestinationRuleSpec = DestinationRuleSpec()
    status: IstioStatus | None = None
