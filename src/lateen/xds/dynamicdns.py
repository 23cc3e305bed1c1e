"""Prints what looks hosts up when they are asked for: a cluster, and the filters before it that name the host.

All share one cache of addresses, whose settings Envoy wants equal wherever its name stands.
"""

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.listener.v3 import listener_components_pb2 as chain_pb2
from envoy.extensions.clusters.dynamic_forward_proxy.v3 import cluster_pb2 as dynamic_pb2
from envoy.extensions.common.dynamic_forward_proxy.v3 import dns_cache_pb2
from envoy.extensions.filters.http.dynamic_forward_proxy.v3 import dynamic_forward_proxy_pb2 as http_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2
from envoy.extensions.filters.network.sni_dynamic_forward_proxy.v3 import sni_dynamic_forward_proxy_pb2 as sni_pb2
from envoy.extensions.network.dns_resolver.cares.v3 import cares_dns_resolver_pb2

__all__ = ["build_http_lookup", "build_sni_lookup", "set_dynamic"]

_HOSTS = 1024
_V4_ONLY = 1
_QUERIES = 100


def set_dynamic(cluster: cluster_pb2.Cluster) -> None:
    """Make it a cluster whose endpoint is the host that was asked for."""
    cluster.lb_policy = cluster_pb2.Cluster.CLUSTER_PROVIDED
    cluster.cluster_type.name = "envoy.clusters.dynamic_forward_proxy"
    config = dynamic_pb2.ClusterConfig(dns_cache_config=_cache(), allow_insecure_cluster_options=True)  # plain text is what it is for
    cluster.cluster_type.typed_config.Pack(config, deterministic=True)


def build_http_lookup() -> hcm_pb2.HttpFilter:
    """Looks the request's host up, where its route leads to such a cluster."""
    http_filter = hcm_pb2.HttpFilter(name="envoy.filters.http.dynamic_forward_proxy")
    http_filter.typed_config.Pack(http_pb2.FilterConfig(dns_cache_config=_cache()), deterministic=True)
    return http_filter


def build_sni_lookup(port: int) -> chain_pb2.Filter:
    """Looks up the server name of a TLS connection; it is then connected to at `port`."""
    network_filter = chain_pb2.Filter(name="envoy.filters.network.sni_dynamic_forward_proxy")
    network_filter.typed_config.Pack(sni_pb2.FilterConfig(dns_cache_config=_cache(), port_value=port), deterministic=True)
    return network_filter


def _cache() -> dns_cache_pb2.DnsCacheConfig:
    cache = dns_cache_pb2.DnsCacheConfig(name="dynamic_dns", dns_lookup_family=_V4_ONLY)
    cache.max_hosts.value = _HOSTS
    resolver = cares_dns_resolver_pb2.CaresDnsResolverConfig()
    resolver.udp_max_queries.value = _QUERIES
    cache.typed_dns_resolver_config.name = "envoy.network.dns_resolver.cares"
    cache.typed_dns_resolver_config.typed_config.Pack(resolver)
    return cache
