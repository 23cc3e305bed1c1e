"""Prints the two listeners that an Envoy starts with: its metrics (15090) and its health, which its agent answers (15021)."""

from envoy.config.listener.v3 import listener_pb2
from envoy.extensions.compression.brotli.compressor.v3 import brotli_pb2
from envoy.extensions.compression.gzip.compressor.v3 import gzip_pb2
from envoy.extensions.compression.zstd.compressor.v3 import zstd_pb2
from envoy.extensions.filters.http.compressor.v3 import compressor_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2
from google.protobuf.message import Message

__all__ = ["build_health_listener", "build_prometheus_listener"]

_METRICS_TYPES = ("text/plain", "application/vnd.google.protobuf", "application/openmetrics-text", "application/openmetrics-protobuf")


def build_prometheus_listener(address: str, port: int) -> listener_pb2.Listener:
    """Envoy's own metrics, compressed as the client likes."""
    manager = _manager("stats", "/stats/prometheus", "prometheus_stats")
    for name, library in (("brotli", brotli_pb2.Brotli()), ("zstd", zstd_pb2.Zstd()), ("gzip", gzip_pb2.Gzip())):
        compressor = compressor_pb2.Compressor()
        compressor.compressor_library.name = f"stats_{name}"
        compressor.compressor_library.typed_config.Pack(library, deterministic=True)
        compressor.response_direction_config.common_config.content_type.extend(_METRICS_TYPES)
        _filter(manager, f"envoy.filters.http.compressor.{name}", compressor)
    return _listener(address, port, manager)


def build_health_listener(address: str, port: int) -> listener_pb2.Listener:
    """Whether this proxy is ready, as its agent says."""
    return _listener(address, port, _manager("agent", "/healthz/ready", "agent"))


def _manager(prefix: str, path: str, cluster: str) -> hcm_pb2.HttpConnectionManager:
    manager = hcm_pb2.HttpConnectionManager(codec_type=hcm_pb2.HttpConnectionManager.AUTO, stat_prefix=prefix)
    route = manager.route_config.virtual_hosts.add(name="backend", domains=["*"]).routes.add()
    route.match.prefix, route.route.cluster = path, cluster
    return manager


def _filter(manager: hcm_pb2.HttpConnectionManager, name: str, config: Message) -> None:
    manager.http_filters.add(name=name).typed_config.Pack(config, deterministic=True)


def _listener(address: str, port: int, manager: hcm_pb2.HttpConnectionManager) -> listener_pb2.Listener:
    _filter(manager, "envoy.filters.http.router", router_pb2.Router())
    listener = listener_pb2.Listener(name=f"{address}_{port}", ignore_global_conn_limit=True, bypass_overload_manager=True)
    listener.address.socket_address.address, listener.address.socket_address.port_value = address, port
    chain = listener.filter_chains.add().filters.add(name="envoy.filters.network.http_connection_manager")
    chain.typed_config.Pack(manager, deterministic=True)
    return listener
