"""Prints the HTTP connection manager: how HTTP is read, traced, logged and handed to the filters.

Settings that differ by role (a sidecar's inbound and outbound side, a gateway) are one table.
"""

from envoy.config.listener.v3 import listener_components_pb2 as chain_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as pb
from envoy.extensions.request_id.uuid.v3 import uuid_pb2
from envoy.type.tracing.v3 import custom_tag_pb2

from lateen.model.listenerplan import HttpPlan
from lateen.xds.accesslog import build_access_log
from lateen.xds.filters.order import build_http_filters
from lateen.xds.inboundroutes import build_inbound_routes
from lateen.xds.values import set_duration

__all__ = ["build_http"]

_SAMPLING = 1.0  # percent of requests that are traced when the client does not decide
_DRY_RUN = ("allow", "deny")
_RBAC = "envoy.filters.http.rbac"


def build_http(plan: HttpPlan) -> chain_pb2.Filter:
    """The network filter that serves HTTP on a chain."""
    hcm = pb.HttpConnectionManager(
        stat_prefix=plan.stat_prefix,
        http_filters=build_http_filters(plan),
        proxy_100_continue=True,
        upgrade_configs=[pb.HttpConnectionManager.UpgradeConfig(upgrade_type="websocket")],
        access_log=[build_access_log(log) for log in plan.access_logs],
    )
    _set_path_normalization(hcm, plan.path_normalization)
    hcm.use_remote_address.value = plan.role == "gateway"
    set_duration(hcm.stream_idle_timeout, 0)
    hcm.request_id_extension.typed_config.Pack(_request_id())
    _set_routes(hcm, plan)
    _set_tracing(hcm)
    _set_role(hcm, plan)
    if plan.http3:
        hcm.codec_type = pb.HttpConnectionManager.HTTP3
        hcm.http3_protocol_options.SetInParent()
    network_filter = chain_pb2.Filter(name="envoy.filters.network.http_connection_manager")
    network_filter.typed_config.Pack(hcm, deterministic=True)
    return network_filter


def _request_id() -> uuid_pb2.UuidRequestIdConfig:
    config = uuid_pb2.UuidRequestIdConfig()
    config.use_request_id_for_trace_sampling.value = True
    return config


def _set_routes(hcm: pb.HttpConnectionManager, plan: HttpPlan) -> None:
    if plan.inbound is None:
        hcm.rds.route_config_name = plan.route_name
        hcm.rds.config_source.ads.SetInParent()
        hcm.rds.config_source.resource_api_version = 2
        set_duration(hcm.rds.config_source.initial_fetch_timeout, 0)
        return
    hcm.route_config.CopyFrom(build_inbound_routes(plan.route_name, plan.inbound))


def _set_role(hcm: pb.HttpConnectionManager, plan: HttpPlan) -> None:
    if plan.role == "outbound":
        return
    hcm.server_name = "istio-envoy"
    told = "APPEND_FORWARD" if plan.role == "inbound" else plan.client_certificates
    hcm.forward_client_cert_details = pb.HttpConnectionManager.ForwardClientCertDetails.Value(told)
    if told in ("APPEND_FORWARD", "SANITIZE_SET"):
        details = hcm.set_current_client_cert_details
        details.subject.value, details.dns, details.uri = True, True, True
        details.cert = plan.role == "gateway"
    if plan.role == "inbound":
        return
    hcm.xff_num_trusted_hops = plan.trusted_proxies
    hcm.http_protocol_options.SetInParent()


def _set_path_normalization(hcm: pb.HttpConnectionManager, wanted: str) -> None:
    hcm.normalize_path.value = wanted != "NONE"
    hcm.merge_slashes = wanted in ("MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES")
    decode = wanted == "DECODE_AND_MERGE_SLASHES"
    hcm.path_with_escaped_slashes_action = (
        pb.HttpConnectionManager.UNESCAPE_AND_FORWARD if decode else pb.HttpConnectionManager.KEEP_UNCHANGED
    )


def _set_tracing(hcm: pb.HttpConnectionManager) -> None:
    # No tags of the own workload: docs/decisions/018.
    tracing = hcm.tracing
    tracing.client_sampling.value, tracing.random_sampling.value, tracing.overall_sampling.value = 100.0, _SAMPLING, 100.0
    for policy in _DRY_RUN:
        for suffix, field in (("name", "effective_policy_id"), ("result", "engine_result")):
            tag = custom_tag_pb2.CustomTag(tag=f"istio.authorization.dry_run.{policy}_policy.{suffix}")
            tag.metadata.kind.request.SetInParent()
            tag.metadata.metadata_key.key = _RBAC
            tag.metadata.metadata_key.path.add(key=f"istio_dry_run_{policy}_shadow_{field}")
            tracing.custom_tags.append(tag)
