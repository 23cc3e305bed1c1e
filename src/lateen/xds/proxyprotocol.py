"""Prints the PROXY protocol towards endpoints: it goes before whatever else the connection carries."""

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import base_pb2, proxy_protocol_pb2
from envoy.extensions.transport_sockets.proxy_protocol.v3 import upstream_proxy_protocol_pb2
from envoy.extensions.transport_sockets.raw_buffer.v3 import raw_buffer_pb2

__all__ = ["add_proxy_protocol"]


def add_proxy_protocol(cluster: cluster_pb2.Cluster, version: str) -> None:
    """Wrap every transport socket that the cluster has; `version` is V1 or V2."""
    for match in cluster.transport_socket_matches:
        match.transport_socket.CopyFrom(_wrapped(match.transport_socket, version))
    if cluster.HasField("transport_socket"):
        cluster.transport_socket.CopyFrom(_wrapped(cluster.transport_socket, version))
    elif not cluster.transport_socket_matches:
        plain = base_pb2.TransportSocket(name="envoy.transport_sockets.raw_buffer")
        plain.typed_config.Pack(raw_buffer_pb2.RawBuffer())
        cluster.transport_socket.CopyFrom(_wrapped(plain, version))


def _wrapped(inner: base_pb2.TransportSocket, version: str) -> base_pb2.TransportSocket:
    config = proxy_protocol_pb2.ProxyProtocolConfig(version=proxy_protocol_pb2.ProxyProtocolConfig.Version.Value(version))
    wrapper = upstream_proxy_protocol_pb2.ProxyProtocolUpstreamTransport(config=config, transport_socket=inner)
    socket = base_pb2.TransportSocket(name="envoy.transport_sockets.upstream_proxy_protocol")
    socket.typed_config.Pack(wrapper, deterministic=True)
    return socket
