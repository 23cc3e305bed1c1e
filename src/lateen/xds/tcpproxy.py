"""Prints the TCP proxy: bytes to one cluster, or to several by weight."""

from envoy.config.listener.v3 import listener_components_pb2 as chain_pb2
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2 as pb

from lateen.model.listenerplan import TcpPlan
from lateen.xds.accesslog import build_access_log
from lateen.xds.values import set_duration

__all__ = ["build_tcp"]

_EARLY_DATA = 65536  # bytes of the client's kept meanwhile; Envoy asks for a number


def build_tcp(plan: TcpPlan, *, waits: bool = False) -> chain_pb2.Filter:
    """The network filter that forwards bytes; `waits` until the TLS handshake is over before it contacts the server."""
    proxy = pb.TcpProxy(stat_prefix=plan.stat_prefix, access_log=[build_access_log(log) for log in plan.access_logs])
    if waits:
        proxy.upstream_connect_mode = pb.ON_DOWNSTREAM_TLS_HANDSHAKE
        proxy.max_early_data_bytes.value = _EARLY_DATA
    if len(plan.clusters) == 1:
        proxy.cluster = plan.clusters[0][0]
    else:
        for cluster, weight in plan.clusters:
            proxy.weighted_clusters.clusters.add(name=cluster, weight=weight)
    if plan.tunnel is not None:
        proxy.tunneling_config.hostname, proxy.tunneling_config.use_post = plan.tunnel.target, plan.tunnel.post
    if plan.idle_timeout is not None:
        set_duration(proxy.idle_timeout, plan.idle_timeout)
    if plan.max_duration is not None:
        set_duration(proxy.max_downstream_connection_duration, plan.max_duration)
    if plan.by_source:
        proxy.hash_policy.add().source_ip.SetInParent()
    network_filter = chain_pb2.Filter(name="envoy.filters.network.tcp_proxy")
    network_filter.typed_config.Pack(proxy, deterministic=True)
    return network_filter
