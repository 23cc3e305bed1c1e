"""Envoy's messages as plain data in one canonical form: JSON of istiod or a frame of ours, both parsed and printed the same way.

An Any of a type that upstream Envoy does not have is kept as plain data. Listeners of a snapshot are given as they act: with the filters
that come as resources of their own put in.
"""

import importlib
import json
from typing import Any

from google.protobuf import descriptor_pool, json_format, symbol_database
from google.protobuf.message import Message

from lateen.model.frame import Frame, Snapshot
from lateen.xds.filters.slots import put_in
from lateen.xds.resources import CLUSTER, ENDPOINTS, EXTENSION, LISTENER, ROUTES, SECRET

__all__ = ["KINDS", "frame_message", "kind_messages", "load_types", "parse", "plain", "snapshot_messages"]

_STRUCT = "type.googleapis.com/google.protobuf.Struct"
_WELL_KNOWN = ("google.protobuf.Struct", "google.protobuf.StringValue", "google.protobuf.BytesValue")

# the folder of a recorded proxy -> type
KINDS = {"clusters": CLUSTER, "endpoints": ENDPOINTS, "listeners": LISTENER, "routes": ROUTES, "secrets": SECRET}

# Modules whose messages occur inside an Any: parsing needs them loaded.
_MODULES = (
    "envoy.config.cluster.v3.cluster_pb2",
    "envoy.config.core.v3.extension_pb2",
    "envoy.config.endpoint.v3.endpoint_pb2",
    "envoy.config.listener.v3.listener_pb2",
    "envoy.config.route.v3.route_pb2",
    "envoy.extensions.access_loggers.file.v3.file_pb2",
    "envoy.extensions.access_loggers.filters.cel.v3.cel_pb2",
    "envoy.extensions.access_loggers.stream.v3.stream_pb2",
    "envoy.extensions.access_loggers.grpc.v3.als_pb2",
    "envoy.extensions.filters.common.matcher.action.v3.skip_action_pb2",
    "envoy.extensions.clusters.dynamic_forward_proxy.v3.cluster_pb2",
    "envoy.extensions.filters.http.dynamic_forward_proxy.v3.dynamic_forward_proxy_pb2",
    "envoy.extensions.filters.network.sni_dynamic_forward_proxy.v3.sni_dynamic_forward_proxy_pb2",
    "envoy.extensions.filters.http.cors.v3.cors_pb2",
    "envoy.extensions.filters.http.ext_authz.v3.ext_authz_pb2",
    "envoy.extensions.filters.http.fault.v3.fault_pb2",
    "envoy.extensions.filters.http.grpc_stats.v3.config_pb2",
    "envoy.extensions.filters.http.grpc_web.v3.grpc_web_pb2",
    "envoy.extensions.filters.http.jwt_authn.v3.config_pb2",
    "envoy.extensions.filters.http.lua.v3.lua_pb2",
    "envoy.extensions.filters.http.rbac.v3.rbac_pb2",
    "envoy.extensions.filters.http.router.v3.router_pb2",
    "envoy.extensions.filters.http.set_filter_state.v3.set_filter_state_pb2",
    "envoy.extensions.filters.listener.http_inspector.v3.http_inspector_pb2",
    "envoy.extensions.filters.listener.original_dst.v3.original_dst_pb2",
    "envoy.extensions.filters.listener.proxy_protocol.v3.proxy_protocol_pb2",
    "envoy.extensions.filters.listener.tls_inspector.v3.tls_inspector_pb2",
    "envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2",
    "envoy.extensions.filters.network.rbac.v3.rbac_pb2",
    "envoy.extensions.filters.network.set_filter_state.v3.set_filter_state_pb2",
    "envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2",
    "envoy.extensions.formatter.cel.v3.cel_pb2",
    "envoy.extensions.network.dns_resolver.cares.v3.cares_dns_resolver_pb2",
    "envoy.extensions.path.match.uri_template.v3.uri_template_match_pb2",
    "envoy.extensions.path.rewrite.uri_template.v3.uri_template_rewrite_pb2",
    "envoy.extensions.request_id.uuid.v3.uuid_pb2",
    "envoy.extensions.retry.host.previous_hosts.v3.previous_hosts_pb2",
    "envoy.extensions.retry.priority.previous_priorities.v3.previous_priorities_config_pb2",
    "envoy.extensions.transport_sockets.raw_buffer.v3.raw_buffer_pb2",
    "envoy.extensions.transport_sockets.tls.v3.tls_pb2",
    "envoy.extensions.upstreams.http.v3.http_protocol_options_pb2",
    "udpa.type.v1.typed_struct_pb2",
)


def load_types() -> None:
    """Make the messages above known to the parser."""
    for name in _MODULES:
        importlib.import_module(name)


def parse(raw: Any, type_url: str) -> Message:  # noqa: ANN401 - JSON
    """The message that recorded JSON stands for; what upstream Envoy does not know becomes a Struct inside its Any."""
    load_types()
    message = _new(type_url)
    json_format.ParseDict(_tame(raw), message)
    return message


def frame_message(frame: Frame) -> Message:
    """The message inside a frame."""
    load_types()
    from envoy.service.discovery.v3 import discovery_pb2  # noqa: PLC0415 - heavy, and only tests need it

    response = discovery_pb2.DeltaDiscoveryResponse.FromString(frame.entry)
    if len(response.resources) != 1:
        raise ValueError(f"the frame of {frame.name} holds {len(response.resources)} resources, expected one")
    resource = response.resources[0].resource
    if resource.type_url != frame.type_url:
        raise ValueError(f"the frame of {frame.name} says {frame.type_url} and holds {resource.type_url}")
    message = _new(frame.type_url)
    message.ParseFromString(resource.value)
    return message


def snapshot_messages(snapshot: Snapshot) -> dict[str, dict[str, Message]]:
    """Everything of a proxy, by kind (`clusters`, `listeners`, ...) and name; listeners as they act."""
    return {kind: kind_messages(snapshot, kind) for kind in KINDS}


def kind_messages(snapshot: Snapshot, kind: str) -> dict[str, Message]:
    """A proxy's resources of one kind, by name."""
    found = {name: frame_message(frame) for name, frame in snapshot.get(KINDS[kind], {}).items()}
    extensions: Any = {name: frame_message(frame) for name, frame in snapshot.get(EXTENSION, {}).items()}
    for listener in found.values() if kind == "listeners" else ():
        put_in(listener, extensions)
    return found


def plain(message: Message) -> dict[str, Any]:
    """JSON data in proto field names."""
    load_types()
    data: dict[str, Any] = json.loads(json_format.MessageToJson(message, preserving_proto_field_name=True))
    return data


def _new(type_url: str) -> Message:
    message: Message = symbol_database.Default().GetSymbol(type_url.rpartition("/")[2])()
    return message


def _known(type_url: str) -> bool:
    name = type_url.rpartition("/")[2]
    if name in _WELL_KNOWN:
        return True
    try:
        descriptor_pool.Default().FindMessageTypeByName(name)
    except KeyError:
        return False
    return True


def _tame(raw: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(raw, list):
        return [_tame(one) for one in raw]
    if not isinstance(raw, dict):
        return raw
    type_url = raw.get("@type")
    if isinstance(type_url, str) and not _known(type_url):
        return {"@type": _STRUCT, "value": {"unknown": type_url, **{key: value for key, value in raw.items() if key != "@type"}}}
    return {key: _tame(value) for key, value in raw.items()}
