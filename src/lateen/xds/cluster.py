"""Prints clusters."""

from envoy.config.cluster.v3 import circuit_breaker_pb2, outlier_detection_pb2
from envoy.config.cluster.v3 import cluster_pb2 as pb
from envoy.config.core.v3 import address_pb2, protocol_pb2
from envoy.extensions.network.dns_resolver.cares.v3 import cares_dns_resolver_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2

from lateen.model.clusterplan import BreakerPlan, ClusterPlan, LoadBalancerPlan, OutlierPlan, PassthroughPlan, PoolPlan
from lateen.model.names import LOOPBACK
from lateen.xds.dynamicdns import set_dynamic
from lateen.xds.endpoint import build_load_assignment
from lateen.xds.proxyprotocol import add_proxy_protocol
from lateen.xds.upstreamtls import add_tls
from lateen.xds.values import ALPN_FIELD, ALPN_HTTP1, ALPN_HTTP2, METADATA, set_duration

__all__ = ["build_cluster", "build_passthrough"]

_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_LOOPBACK = "127.0.0.6"
_NEVER = 9_223_372_035
_DNS_QUERIES = 100
_DNS_JITTER = 100_000_000
_PASSTHROUGH_IDLE = 300_000_000_000
_V3 = 2
_ALPN = {"default": ALPN_HTTP1, "http2": ALPN_HTTP2}  # what "client" speaks is known with each request (docs/decisions/002)


def build_cluster(plan: ClusterPlan) -> pb.Cluster:
    """The cluster message of `plan`."""
    cluster = pb.Cluster(name=plan.name, alt_stat_name=f"{plan.name};")
    if plan.kind != "DYNAMIC_DNS":
        cluster.type = pb.Cluster.DiscoveryType.Value(plan.kind)
    set_duration(cluster.connect_timeout, plan.pool.connect_timeout)
    cluster.circuit_breakers.thresholds.append(_breaker(plan.breaker))
    _add_load_balancer(cluster, plan.load_balancer)
    _add_metadata(cluster, plan)
    _add_http(cluster, plan)
    _add_pool(cluster, plan.pool)
    if plan.inbound:
        _add_inbound(cluster, plan)
    else:
        cluster.common_lb_config.healthy_panic_threshold.value = plan.outlier.min_health_percent if plan.outlier is not None else 0
    if plan.weighted:
        cluster.common_lb_config.locality_weighted_lb_config.SetInParent()
    if plan.zones is not None:
        zones = cluster.common_lb_config.zone_aware_lb_config
        zones.routing_enabled.value = 100 if plan.zones.enabled else 0
        if plan.zones.min_endpoints is not None:
            zones.min_cluster_size.value = plan.zones.min_endpoints
    if plan.outlier is not None:
        cluster.outlier_detection.CopyFrom(_outlier(plan.outlier))
    if plan.tls is not None:
        add_tls(cluster, plan.tls)
    if plan.proxy_protocol:
        add_proxy_protocol(cluster, plan.proxy_protocol)
    _add_discovery(cluster, plan)
    return cluster


def build_passthrough(plan: PassthroughPlan) -> pb.Cluster:
    """A cluster that exists in every proxy."""
    cluster = pb.Cluster(name=plan.name, alt_stat_name=f"{plan.stat_name};")
    set_duration(cluster.connect_timeout, plan.pool.connect_timeout)
    if plan.dynamic:
        set_dynamic(cluster)
    elif plan.original_destination:
        cluster.type, cluster.lb_policy = pb.Cluster.ORIGINAL_DST, pb.Cluster.CLUSTER_PROVIDED
    else:
        cluster.type = pb.Cluster.STATIC
        return cluster
    cluster.circuit_breakers.thresholds.append(_breaker(plan.breaker))
    _add_pool(cluster, plan.pool)
    for source in plan.sources[:1]:
        cluster.upstream_bind_config.source_address.CopyFrom(address_pb2.SocketAddress(address=source, port_value=0))
    options = http_protocol_options_pb2.HttpProtocolOptions()
    set_duration(options.common_http_protocol_options.idle_timeout, _PASSTHROUGH_IDLE)
    _follow_client(options)
    cluster.typed_extension_protocol_options[_HTTP_OPTIONS].Pack(options)
    return cluster


def _breaker(plan: BreakerPlan) -> circuit_breaker_pb2.CircuitBreakers.Thresholds:
    threshold = circuit_breaker_pb2.CircuitBreakers.Thresholds()
    threshold.max_connections.value, threshold.max_pending_requests.value = plan.connections, plan.pending
    threshold.max_requests.value, threshold.max_retries.value = plan.requests, plan.retries
    if plan.budget_percent is not None:
        threshold.retry_budget.budget_percent.value = plan.budget_percent
        threshold.retry_budget.min_retry_concurrency.value = plan.budget_concurrency
    return threshold


def _add_load_balancer(cluster: pb.Cluster, plan: LoadBalancerPlan) -> None:
    cluster.lb_policy = pb.Cluster.LbPolicy.Value(plan.policy)
    if plan.policy == "RING_HASH" and plan.ring_size:
        cluster.ring_hash_lb_config.minimum_ring_size.value = plan.ring_size
    elif plan.policy == "MAGLEV" and plan.table_size:
        cluster.maglev_lb_config.table_size.value = plan.table_size
    elif plan.warmup is not None:
        config = cluster.round_robin_lb_config if plan.policy == "ROUND_ROBIN" else cluster.least_request_lb_config
        set_duration(config.slow_start_config.slow_start_window, plan.warmup)
        config.slow_start_config.aggression.default_value = plan.warmup_aggression
        config.slow_start_config.aggression.runtime_key = "("
        config.slow_start_config.min_weight_percent.value = plan.warmup_percent


def _add_metadata(cluster: pb.Cluster, plan: ClusterPlan) -> None:
    istio = cluster.metadata.filter_metadata["istio"]
    services = istio.get_or_create_list("services")
    for name, host, namespace in plan.services:
        services.add_struct().update({"name": name, "host": host, "namespace": namespace})
    if plan.subset:
        istio["subset"] = plan.subset
    if plan.config is not None:
        istio["config"] = f"/apis/networking.istio.io/v1/namespaces/{plan.config.namespace}/destination-rule/{plan.config.name}"
    if plan.external:
        istio["external"] = True
    foreign = plan.tls is not None and plan.tls.mode in ("SIMPLE", "MUTUAL")
    if foreign:
        istio["alpn_override"] = "false"
    if plan.tls is not None and plan.protocol in _ALPN:
        cluster.metadata.filter_metadata[METADATA][ALPN_FIELD] = "" if foreign else _ALPN[plan.protocol]


def _add_http(cluster: pb.Cluster, plan: ClusterPlan) -> None:
    options = http_protocol_options_pb2.HttpProtocolOptions()
    common = options.common_http_protocol_options
    if plan.pool.idle_timeout is not None:
        set_duration(common.idle_timeout, plan.pool.idle_timeout)
    if plan.pool.requests_per_connection:
        common.max_requests_per_connection.value = plan.pool.requests_per_connection
    if plan.pool.max_connection_duration is not None:
        set_duration(common.max_connection_duration, plan.pool.max_connection_duration)
    if plan.tls is not None and plan.tls.auto_sni:
        options.upstream_http_protocol_options.auto_sni = True
        options.upstream_http_protocol_options.auto_san_validation = plan.tls.auto_names
    if plan.protocol == "client":
        _follow_client(options)
    elif plan.protocol == "http2":
        _http2(options.explicit_http_config.http2_protocol_options, plan.pool)
    elif options.ByteSize() or plan.pool.concurrent_streams:
        options.explicit_http_config.http_protocol_options.SetInParent()
    if options.ByteSize():
        cluster.typed_extension_protocol_options[_HTTP_OPTIONS].Pack(options, deterministic=True)


def _follow_client(options: http_protocol_options_pb2.HttpProtocolOptions) -> None:
    options.use_downstream_protocol_config.http_protocol_options.SetInParent()
    options.use_downstream_protocol_config.http2_protocol_options.SetInParent()


def _http2(options: protocol_pb2.Http2ProtocolOptions, plan: PoolPlan) -> None:
    options.SetInParent()
    if plan.concurrent_streams:
        options.max_concurrent_streams.value = plan.concurrent_streams
    if plan.ping_interval is not None:
        set_duration(options.connection_keepalive.interval, plan.ping_interval)
    if plan.ping_timeout is not None:
        set_duration(options.connection_keepalive.timeout, plan.ping_timeout)


def _add_pool(cluster: pb.Cluster, plan: PoolPlan) -> None:
    if plan.keepalive is not None:
        probes, time, interval = plan.keepalive
        keepalive = cluster.upstream_connection_options.tcp_keepalive
        keepalive.SetInParent()
        for field, value in (("keepalive_probes", probes), ("keepalive_time", time), ("keepalive_interval", interval)):
            if value:
                getattr(keepalive, field).value = value


def _add_inbound(cluster: pb.Cluster, plan: ClusterPlan) -> None:
    """Connections to the application are made from an address whose packets are not redirected; to loopback none are."""
    cluster.common_lb_config.SetInParent()
    places = plan.endpoints.localities if plan.endpoints is not None else ()
    if not any(endpoint.address == LOOPBACK for place in places for endpoint in place.endpoints):
        cluster.upstream_bind_config.source_address.CopyFrom(address_pb2.SocketAddress(address=_LOOPBACK, port_value=0))
    if plan.kind == "ORIGINAL_DST":
        cluster.cleanup_interval.seconds = _NEVER


def _outlier(plan: OutlierPlan) -> outlier_detection_pb2.OutlierDetection:
    outlier = outlier_detection_pb2.OutlierDetection()
    outlier.enforcing_success_rate.value = 0
    _count(outlier, "consecutive_5xx", plan.consecutive_5xx)
    _count(outlier, "consecutive_gateway_failure", plan.consecutive_gateway)
    outlier.split_external_local_origin_errors = plan.split_local
    if plan.split_local:
        _count(outlier, "consecutive_local_origin_failure", plan.consecutive_local or None)
        outlier.enforcing_local_origin_success_rate.value = 0
    if plan.interval is not None:
        set_duration(outlier.interval, plan.interval)
    if plan.base_ejection is not None:
        set_duration(outlier.base_ejection_time, plan.base_ejection)
    if plan.max_percent:
        outlier.max_ejection_percent.value = plan.max_percent
    return outlier


def _count(outlier: outlier_detection_pb2.OutlierDetection, name: str, value: int | None) -> None:
    """A number of failures, and whether it is enforced: 0 switches it off."""
    if value is not None:
        getattr(outlier, name).value = value
        getattr(outlier, f"enforcing_{name}").value = 100 if value > 0 else 0


def _add_discovery(cluster: pb.Cluster, plan: ClusterPlan) -> None:
    if plan.kind == "EDS":
        cluster.eds_cluster_config.service_name = plan.name
        config = cluster.eds_cluster_config.eds_config
        config.ads.SetInParent()
        config.resource_api_version = _V3
        set_duration(config.initial_fetch_timeout, 0)
    elif plan.kind in ("STRICT_DNS", "LOGICAL_DNS"):
        _add_dns(cluster, plan)
    elif plan.kind == "DYNAMIC_DNS":
        set_dynamic(cluster)
    if plan.endpoints is not None:
        cluster.load_assignment.CopyFrom(build_load_assignment(plan.endpoints))


def _add_dns(cluster: pb.Cluster, plan: ClusterPlan) -> None:
    set_duration(cluster.dns_refresh_rate, plan.dns_refresh)
    set_duration(cluster.dns_jitter, _DNS_JITTER)
    cluster.dns_lookup_family, cluster.respect_dns_ttl = pb.Cluster.V4_ONLY, True
    resolver = cares_dns_resolver_pb2.CaresDnsResolverConfig()
    resolver.udp_max_queries.value = _DNS_QUERIES
    cluster.typed_dns_resolver_config.name = "envoy.network.dns_resolver.cares"
    cluster.typed_dns_resolver_config.typed_config.Pack(resolver)
