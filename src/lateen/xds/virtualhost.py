"""Prints virtual hosts, and joins printed ones to a route configuration.

A route configuration is sent whole at every change; joining cached virtual hosts instead of building it again is what makes that
cheap: a repeated field of a message may be written as concatenated occurrences.
"""

from collections.abc import Iterable

from envoy.config.core.v3 import base_pb2
from envoy.config.route.v3 import route_components_pb2 as pb
from envoy.config.route.v3 import route_pb2

from lateen.model.routeplan import VirtualHostPlan
from lateen.util.wire import length_delimited
from lateen.xds.pack import serialise
from lateen.xds.route import build_route

__all__ = ["build_virtual_host", "host_entry", "join_route_configuration"]

_MAX_BODY = 1_048_576  # bytes of a direct response; Envoy's own limit is 4096
_VIRTUAL_HOSTS = 2  # field number in RouteConfiguration


def build_virtual_host(plan: VirtualHostPlan) -> pb.VirtualHost:
    """The virtual host message of `plan`."""
    host = pb.VirtualHost(
        name=plan.name, domains=plan.domains, routes=[build_route(route) for route in plan.routes], include_request_attempt_count=True
    )
    if plan.require_tls:
        host.require_tls = pb.VirtualHost.ALL
    if plan.http3_port:
        host.response_headers_to_add.add().header.CopyFrom(base_pb2.HeaderValue(key="alt-svc", value=f'h3=":{plan.http3_port}"; ma=86400'))
    return host


def host_entry(plan: VirtualHostPlan) -> bytes:
    """The virtual host of `plan` as it stands in a serialised route configuration."""
    return length_delimited(_VIRTUAL_HOSTS, serialise(build_virtual_host(plan)))


def join_route_configuration(name: str, entries: Iterable[bytes]) -> bytes:
    """The serialised route configuration `name` of these `host_entry`s, in order."""
    head = route_pb2.RouteConfiguration(name=name, ignore_port_in_host_matching=True)
    head.validate_clusters.value = False
    head.max_direct_response_body_size_bytes.value = _MAX_BODY
    serialised: bytes = head.SerializeToString(deterministic=True)
    return b"".join((serialised, *entries))
