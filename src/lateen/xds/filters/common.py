"""Filters that every chain carries with empty or fixed settings; routes switch them on (`xds.perroute`)."""

from envoy.extensions.filters.http.cors.v3 import cors_pb2
from envoy.extensions.filters.http.fault.v3 import fault_pb2
from envoy.extensions.filters.http.grpc_stats.v3 import config_pb2 as grpc_stats_pb2
from envoy.extensions.filters.http.grpc_web.v3 import grpc_web_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2
from google.protobuf import message

__all__ = ["build_cors", "build_fault", "build_grpc_stats", "build_grpc_web", "build_router"]


def build_grpc_stats() -> hcm_pb2.HttpFilter:
    """Counts gRPC messages, by service and not by method."""
    config = grpc_stats_pb2.FilterConfig(emit_filter_state=True)
    config.stats_for_all_methods.value = False
    return _filter("envoy.filters.http.grpc_stats", config)


def build_grpc_web() -> hcm_pb2.HttpFilter:
    """Makes plain gRPC of what browsers can send."""
    return _filter("envoy.filters.http.grpc_web", grpc_web_pb2.GrpcWeb())


def build_fault() -> hcm_pb2.HttpFilter:
    return _filter("envoy.filters.http.fault", fault_pb2.HTTPFault())


def build_cors() -> hcm_pb2.HttpFilter:
    return _filter("envoy.filters.http.cors", cors_pb2.Cors())


def build_router() -> hcm_pb2.HttpFilter:
    return _filter("envoy.filters.http.router", router_pb2.Router())


def _filter(name: str, config: message.Message) -> hcm_pb2.HttpFilter:
    http_filter = hcm_pb2.HttpFilter(name=name)
    http_filter.typed_config.Pack(config)
    return http_filter
