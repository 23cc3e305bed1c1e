"""Prints the filters that ask an authorization service, for HTTP and for bytes. They ask only about what a shadow rule matched."""

from collections.abc import Iterable

from envoy.config.core.v3 import grpc_service_pb2
from envoy.config.listener.v3 import listener_components_pb2 as chain_pb2
from envoy.extensions.filters.http.ext_authz.v3 import ext_authz_pb2 as http_pb2
from envoy.extensions.filters.network.ext_authz.v3 import ext_authz_pb2 as network_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2
from envoy.type.matcher.v3 import metadata_pb2, string_pb2

from lateen.model.authz import ASKED_PREFIX, ExtAuthzPlan, Match
from lateen.xds.filters.rbac import string_matcher
from lateen.xds.values import set_duration

__all__ = ["build_http_ext_authz", "build_network_ext_authz"]

_MATCHED = f"{ASKED_PREFIX}shadow_effective_policy_id"
_V3 = 2


def build_http_ext_authz(plan: ExtAuthzPlan) -> hcm_pb2.HttpFilter:
    """The HTTP filter."""
    config = http_pb2.ExtAuthz(
        failure_mode_allow=plan.fail_open,
        transport_api_version=_V3,
        clear_route_cache=plan.clear_route_cache,
        filter_enabled_metadata=_asked_when(plan, "envoy.filters.http.rbac"),
    )
    config.status_on_error.code = plan.status_on_error
    if plan.body is not None:
        size, partial, raw = plan.body
        config.with_request_body.CopyFrom(http_pb2.BufferSettings(max_request_bytes=size, allow_partial_message=partial, pack_as_bytes=raw))
    if plan.http:
        _set_http_service(config, plan)
    else:
        config.grpc_service.CopyFrom(_grpc(plan))
    http_filter = hcm_pb2.HttpFilter(name="envoy.filters.http.ext_authz")
    http_filter.typed_config.Pack(config, deterministic=True)
    return http_filter


def build_network_ext_authz(plan: ExtAuthzPlan) -> chain_pb2.Filter:
    """The network filter; only gRPC services know connections."""
    config = network_pb2.ExtAuthz(
        stat_prefix="tcp.",
        failure_mode_allow=plan.fail_open,
        transport_api_version=_V3,
        filter_enabled_metadata=_asked_when(plan, "envoy.filters.network.rbac"),
        grpc_service=_grpc(plan),
    )
    network_filter = chain_pb2.Filter(name="envoy.filters.network.ext_authz")
    network_filter.typed_config.Pack(config, deterministic=True)
    return network_filter


def _asked_when(plan: ExtAuthzPlan, name: str) -> metadata_pb2.MetadataMatcher:
    matcher = metadata_pb2.MetadataMatcher(filter=name)
    matcher.path.add(key=_MATCHED)
    matcher.value.string_match.prefix = plan.asked_when
    return matcher


def _grpc(plan: ExtAuthzPlan) -> grpc_service_pb2.GrpcService:
    service = grpc_service_pb2.GrpcService()
    service.envoy_grpc.cluster_name, service.envoy_grpc.authority = plan.cluster, plan.authority
    set_duration(service.timeout, plan.timeout)
    return service


def _set_http_service(config: http_pb2.ExtAuthz, plan: ExtAuthzPlan) -> None:
    service = config.http_service
    service.server_uri.uri, service.server_uri.cluster = f"http://{plan.authority}", plan.cluster
    set_duration(service.server_uri.timeout, plan.timeout)
    service.path_prefix = plan.path_prefix
    for key, value in plan.added_headers.items():
        service.authorization_request.headers_to_add.add(key=key, value=value)
    answer = service.authorization_response
    for field, matches in (
        (answer.allowed_upstream_headers, plan.headers_on_allow),
        (answer.allowed_client_headers, plan.headers_to_client_on_deny),
        (answer.allowed_client_headers_on_success, plan.headers_to_client_on_allow),
        (config.allowed_headers, plan.request_headers),
    ):
        if matches:
            _set_patterns(field, matches)


def _set_patterns(field: string_pb2.ListStringMatcher, matches: Iterable[Match]) -> None:
    field.patterns.extend(string_matcher(match) for match in matches)
