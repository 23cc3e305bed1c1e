"""Prints the four clusters that an Envoy starts with: its own admin interface, its agent, the agent's SDS, the control plane."""

from ipaddress import ip_address

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import address_pb2, base_pb2, config_source_pb2
from envoy.extensions.transport_sockets.tls.v3 import common_pb2, tls_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2
from msgspec import Struct

from lateen.model.names import LOCAL_CLUSTER
from lateen.xds.sds import from_agent
from lateen.xds.values import set_duration

__all__ = ["Pipe", "Tcp", "build_local_cluster", "build_peers_cluster", "build_sds_cluster", "build_xds_cluster"]

_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_MILLISECOND = 1_000_000
_MANY = 100_000


class Pipe(Struct, frozen=True, tag=True):
    """A control plane behind a Unix socket."""

    path: str


class Tcp(Struct, frozen=True, tag=True):
    """A control plane at an address; with `server_name`, over mutual TLS with the workload's own certificate, else in plaintext."""

    host: str
    port: int
    server_name: str = ""


def build_local_cluster(name: str, port: int) -> cluster_pb2.Cluster:
    """A port of this pod's loopback."""
    return _cluster(name, _socket("127.0.0.1", port), timeout=250 * _MILLISECOND)


def build_peers_cluster() -> cluster_pb2.Cluster:
    """The pods of this pod's own workload, whose endpoints the control plane tells."""
    cluster = cluster_pb2.Cluster(name=LOCAL_CLUSTER, alt_stat_name=f"{LOCAL_CLUSTER};", type=cluster_pb2.Cluster.EDS)
    set_duration(cluster.connect_timeout, 1000 * _MILLISECOND)
    source = cluster.eds_cluster_config.eds_config
    source.ads.SetInParent()
    set_duration(source.initial_fetch_timeout, 0)
    source.resource_api_version = config_source_pb2.ApiVersion.V3
    return cluster


def build_sds_cluster(path: str) -> cluster_pb2.Cluster:
    """The agent's secrets."""
    cluster = _cluster("sds-grpc", _pipe(path), timeout=1000 * _MILLISECOND)
    _http2(cluster)
    return cluster


def build_xds_cluster(server: Pipe | Tcp) -> cluster_pb2.Cluster:
    """The control plane."""
    address = _pipe(server.path) if isinstance(server, Pipe) else _socket(server.host, server.port)
    cluster = _cluster("xds-grpc", address, timeout=1000 * _MILLISECOND)
    if isinstance(server, Tcp) and not _is_address(server.host):
        cluster.type, cluster.dns_lookup_family = cluster_pb2.Cluster.STRICT_DNS, cluster_pb2.Cluster.V4_ONLY
        set_duration(cluster.dns_refresh_rate, 30_000 * _MILLISECOND)
        cluster.respect_dns_ttl = True
    if isinstance(server, Tcp) and server.server_name:
        _mutual_tls(cluster.transport_socket, server.server_name)
    for priority in (base_pb2.RoutingPriority.DEFAULT, base_pb2.RoutingPriority.HIGH):
        threshold = cluster.circuit_breakers.thresholds.add(priority=priority)
        for limit in (threshold.max_connections, threshold.max_pending_requests, threshold.max_requests):
            limit.value = _MANY
    cluster.upstream_connection_options.tcp_keepalive.keepalive_time.value = 300
    cluster.max_requests_per_connection.value = 1
    _http2(cluster)
    return cluster


def _cluster(name: str, address: address_pb2.Address, *, timeout: int) -> cluster_pb2.Cluster:
    cluster = cluster_pb2.Cluster(name=name, alt_stat_name=f"{name};", type=cluster_pb2.Cluster.STATIC)
    set_duration(cluster.connect_timeout, timeout)
    cluster.load_assignment.cluster_name = name
    cluster.load_assignment.endpoints.add().lb_endpoints.add().endpoint.address.CopyFrom(address)
    return cluster


def _http2(cluster: cluster_pb2.Cluster) -> None:
    options = http_protocol_options_pb2.HttpProtocolOptions()
    options.explicit_http_config.http2_protocol_options.SetInParent()
    cluster.typed_extension_protocol_options[_HTTP_OPTIONS].Pack(options, deterministic=True)


def _mutual_tls(socket: base_pb2.TransportSocket, server_name: str) -> None:
    context = tls_pb2.UpstreamTlsContext(sni=server_name)
    common = context.common_tls_context
    common.alpn_protocols.append("h2")
    common.tls_params.tls_minimum_protocol_version = common_pb2.TlsParameters.TLSv1_2
    common.tls_params.tls_maximum_protocol_version = common_pb2.TlsParameters.TLSv1_3
    common.tls_certificate_sds_secret_configs.append(from_agent("default"))
    validation = common.combined_validation_context
    names = validation.default_validation_context.match_typed_subject_alt_names.add(san_type=common_pb2.SubjectAltNameMatcher.DNS)
    names.matcher.exact = server_name
    validation.validation_context_sds_secret_config.CopyFrom(from_agent("ROOTCA"))
    socket.name = "envoy.transport_sockets.tls"
    socket.typed_config.Pack(context, deterministic=True)


def _pipe(path: str) -> address_pb2.Address:
    return address_pb2.Address(pipe=address_pb2.Pipe(path=path))


def _socket(host: str, port: int) -> address_pb2.Address:
    return address_pb2.Address(socket_address=address_pb2.SocketAddress(address=host, port_value=port))


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
