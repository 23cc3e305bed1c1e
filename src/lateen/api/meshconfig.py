"""Istio's MeshConfig and ProxyConfig, with the defaults that istiod has.

Why: the file `mesh` is the installation's settings, and users bring theirs from Istio. Keys that Lateen does not act on
are listed as plain JSON, so that a misspelt key is found.
"""

from collections.abc import Mapping
from typing import Literal

from msgspec import field

from lateen.api.base import Duration, Int32, JsonObject, Message, OneOf, UInt32
from lateen.api.destinationrule import (
    ClientTLSSettings,
    ConnectionPoolSettings,
    LocalityLoadBalancerSetting,
    OutlierDetection,
    TcpKeepalive,
    ZoneAwareLoadBalancerSetting,
)
from lateen.api.extensionproviders import ExtensionProvider
from lateen.api.gateway import TLSProtocol
from lateen.api.meta import LabelSelector
from lateen.api.virtualservice import HTTPRetry

__all__ = [
    "CertificateData",
    "ConfigSource",
    "DefaultProviders",
    "DefaultTrafficPolicy",
    "InboundTrafficPolicy",
    "MeshConfig",
    "OutboundTrafficPolicy",
    "ProxyConfig",
    "ProxyPathNormalization",
    "ProxyStatsMatcher",
    "RemoteService",
    "ServiceEntryVisibility",
    "ServiceSettings",
    "TLSConfig",
    "Topology",
    "VisibilityPolicy",
    "VisibilityRule",
]


class OutboundTrafficPolicy(Message, frozen=True):
    """What happens to traffic for unknown destinations."""

    mode: Literal["REGISTRY_ONLY", "ALLOW_ANY", "ALLOW_ANY_DYNAMIC_DNS"] = "ALLOW_ANY"
    tls: ClientTLSSettings | None = None


class InboundTrafficPolicy(Message, frozen=True):
    """Whether a port that no service names is passed to the pod's address or to localhost."""

    mode: Literal["PASSTHROUGH", "LOCALHOST"] = "PASSTHROUGH"


class ProxyPathNormalization(Message, frozen=True):
    """How paths are made canonical before they are matched; DEFAULT is BASE."""

    normalization: Literal["DEFAULT", "NONE", "BASE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES"] = "DEFAULT"


class TLSConfig(Message, frozen=True):
    """Limits of TLS."""

    min_protocol_version: TLSProtocol = "TLS_AUTO"
    ecdh_curves: tuple[str, ...] = ()
    cipher_suites: tuple[str, ...] = ()


class CertificateData(OneOf, frozen=True):
    """A further root certificate."""

    one_of = (("pem", "spiffe_bundle_url"),)

    pem: str | None = None
    spiffe_bundle_url: str | None = None
    cert_signers: tuple[str, ...] = ()
    trust_domains: tuple[str, ...] = ()


class ConfigSource(Message, frozen=True):
    """Where configuration comes from besides the API."""

    address: str = ""
    tls_settings: ClientTLSSettings | None = None
    subscribed_resources: tuple[str, ...] = ()


class DefaultProviders(Message, frozen=True):
    """The providers of telemetry that are used where no Telemetry object says otherwise."""

    tracing: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    access_logging: tuple[str, ...] = ()


class DefaultTrafficPolicy(Message, frozen=True):
    """Fills the blocks that a DestinationRule leaves unset."""

    connection_pool: ConnectionPoolSettings | None = None
    outlier_detection: OutlierDetection | None = None


class ServiceSettingsSettings(Message, frozen=True):
    """`cluster_local`: reachable from its own cluster only."""

    cluster_local: bool = False


class ServiceSettings(Message, frozen=True):
    """Settings of some hosts."""

    settings: ServiceSettingsSettings | None = None
    hosts: tuple[str, ...] = ()


class RemoteService(Message, frozen=True):
    """A service that proxies send reports to."""

    address: str = ""
    tls_settings: ClientTLSSettings | None = None
    tcp_keepalive: TcpKeepalive | None = None


class ProxyStatsMatcher(Message, frozen=True):
    """Statistics that a proxy makes besides the standard ones."""

    inclusion_prefixes: tuple[str, ...] = ()
    inclusion_suffixes: tuple[str, ...] = ()
    inclusion_regexps: tuple[str, ...] = ()


class Topology(Message, frozen=True):
    """What stands in front of a gateway."""

    num_trusted_proxies: UInt32 = 0
    forward_client_cert_details: Literal[
        "UNDEFINED", "SANITIZE", "FORWARD_ONLY", "APPEND_FORWARD", "SANITIZE_SET", "ALWAYS_FORWARD_ONLY"
    ] = "UNDEFINED"
    proxy_protocol: JsonObject | None = None


class ProxyConfig(OneOf, frozen=True):
    """Settings of proxies; `proxy.istio.io/config` on a pod overrides them for one."""

    one_of = (("service_cluster", "tracing_service_name"),)

    config_path: str = "./etc/istio/proxy"
    binary_path: str = "/usr/local/bin/envoy"
    service_cluster: str | None = None  # istio-proxy, where no naming scheme is given
    tracing_service_name: Literal["APP_LABEL_AND_NAMESPACE", "CANONICAL_NAME_ONLY", "CANONICAL_NAME_AND_NAMESPACE"] | None = None
    drain_duration: Duration = "45s"
    termination_drain_duration: Duration = "5s"
    discovery_address: str = "istiod.istio-system.svc:15012"
    zipkin_address: str = ""  # deprecated
    statsd_udp_address: str = ""
    proxy_admin_port: Int32 = 15000
    control_plane_auth_policy: Literal["NONE", "MUTUAL_TLS"] = "MUTUAL_TLS"
    custom_config_file: str = ""
    stat_name_length: Int32 = 189
    concurrency: Int32 | None = None
    proxy_bootstrap_template_path: str = ""
    interception_mode: Literal["REDIRECT", "TPROXY", "NONE"] = "REDIRECT"
    tracing: JsonObject | None = None
    sds: JsonObject | None = None
    envoy_access_log_service: RemoteService | None = None
    envoy_metrics_service: RemoteService | None = None
    proxy_metadata: Mapping[str, str] = field(default_factory=dict)
    runtime_values: Mapping[str, str] = field(default_factory=dict)
    status_port: Int32 = 15020
    extra_stat_tags: tuple[str, ...] = ()
    gateway_topology: Topology | None = None
    mesh_id: str = ""
    readiness_probe: JsonObject | None = None
    proxy_stats_matcher: ProxyStatsMatcher | None = None
    hold_application_until_proxy_starts: bool | None = None
    ca_certificates_pem: tuple[str, ...] = ()
    image: JsonObject | None = None
    private_key_provider: JsonObject | None = None
    proxy_headers: JsonObject | None = None
    file_flush_interval: Duration | None = None
    file_flush_min_size_kb: UInt32 | None = None
    stats_compression: bool | None = None
    connection_settings: JsonObject | None = None


Visibility = Literal["UNSPECIFIED", "PUBLIC", "NAMESPACE", "NONE"]


class VisibilityRule(Message, frozen=True):
    """What a policy asks of a ServiceEntry's namespace; without a selector nothing fits."""

    namespace_selector: LabelSelector | None = None


class VisibilityPolicy(Message, frozen=True):
    """Who sees the ServiceEntries that fit all rules."""

    visibility: Visibility = "UNSPECIFIED"
    matching_rules: tuple[VisibilityRule, ...] = ()


class ServiceEntryVisibility(Message, frozen=True):
    """Who sees ServiceEntries, whatever they export themselves to; sidecars and gateways heed it with `apply_to_sidecars`."""

    default_visibility: Visibility = "UNSPECIFIED"
    policies: tuple[VisibilityPolicy, ...] = ()
    apply_to_sidecars: bool = False


class MeshConfig(Message, frozen=True):
    """Settings of the whole mesh."""

    proxy_listen_port: Int32 = 15001
    proxy_inbound_listen_port: Int32 = 15006
    proxy_http_port: Int32 = 0
    connect_timeout: Duration = "10s"
    protocol_detection_timeout: Duration = "0s"
    tcp_keepalive: TcpKeepalive | None = None
    dns_refresh_rate: Duration = "60s"
    ingress_class: str = "istio"
    ingress_service: str = "istio-ingressgateway"
    ingress_controller_mode: Literal["UNSPECIFIED", "OFF", "DEFAULT", "STRICT"] = "STRICT"
    ingress_selector: str = ""
    enable_tracing: bool = True
    access_log_file: str = ""
    access_log_format: str = ""
    access_log_encoding: Literal["TEXT", "JSON"] = "TEXT"
    enable_envoy_access_log_service: bool = False
    disable_envoy_listener_log: bool = False
    default_config: ProxyConfig = ProxyConfig()
    outbound_traffic_policy: OutboundTrafficPolicy = OutboundTrafficPolicy()
    inbound_traffic_policy: InboundTrafficPolicy = InboundTrafficPolicy()
    enable_auto_mtls: bool = True
    trust_domain: str = "cluster.local"
    trust_domain_aliases: tuple[str, ...] = ()
    ca_certificates: tuple[CertificateData, ...] = ()
    ca: JsonObject | None = None
    certificates: tuple[JsonObject, ...] = ()  # deprecated
    default_service_export_to: tuple[str, ...] = ("*",)
    default_virtual_service_export_to: tuple[str, ...] = ("*",)
    default_destination_rule_export_to: tuple[str, ...] = ("*",)
    root_namespace: str = "istio-system"
    locality_lb_setting: LocalityLoadBalancerSetting = LocalityLoadBalancerSetting(enabled=True)
    zone_aware_lb_setting: ZoneAwareLoadBalancerSetting | None = None
    h2_upgrade_policy: Literal["DO_NOT_UPGRADE", "UPGRADE"] = "DO_NOT_UPGRADE"
    inbound_cluster_stat_name: str = ""
    outbound_cluster_stat_name: str = ""
    enable_prometheus_merge: bool = True
    verify_certificate_at_client: bool | None = None  # deprecated
    config_sources: tuple[ConfigSource, ...] = ()
    extension_providers: tuple[ExtensionProvider, ...] = ()
    default_providers: DefaultProviders = DefaultProviders()
    discovery_selectors: tuple[LabelSelector, ...] = ()
    service_settings: tuple[ServiceSettings, ...] = ()
    service_scope_configs: tuple[JsonObject, ...] = ()
    service_entry_visibility: ServiceEntryVisibility | None = None
    path_normalization: ProxyPathNormalization = ProxyPathNormalization()
    default_http_retry_policy: HTTPRetry | None = None
    default_inbound_http_retry_policy: HTTPRetry | None = None
    default_traffic_policy: DefaultTrafficPolicy | None = None
    mesh_mtls: TLSConfig = field(name="meshMTLS", default=TLSConfig())
    tls_defaults: TLSConfig = TLSConfig()
    hbone_idle_timeout: Duration | None = None
