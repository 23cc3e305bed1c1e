"""Prints the inline routes of an inbound port: every request goes to the application."""

from envoy.config.route.v3 import route_components_pb2, route_pb2

from lateen.model.listenerplan import InboundRoutes
from lateen.xds.values import set_duration

__all__ = ["build_inbound_routes"]

_ATTEMPTS = 2


def build_inbound_routes(name: str, plan: InboundRoutes) -> route_pb2.RouteConfiguration:
    """The route configuration `name`. Time limits are the caller's business, so none are set here."""
    action = route_components_pb2.RouteAction(cluster=plan.cluster)
    set_duration(action.timeout, 0)
    set_duration(action.max_stream_duration.max_stream_duration, 0)
    set_duration(action.max_stream_duration.grpc_timeout_header_max, 0)
    if plan.retries:
        action.retry_policy.retry_on = "reset-before-request"
        action.retry_policy.num_retries.value = _ATTEMPTS
    route = route_components_pb2.Route(
        name="default",
        match=route_components_pb2.RouteMatch(prefix="/"),
        route=action,
        decorator=route_components_pb2.Decorator(operation=plan.operation),
    )
    host = route_components_pb2.VirtualHost(name=f"inbound|http|{plan.port}", domains=["*"], routes=[route])
    config = route_pb2.RouteConfiguration(name=name, virtual_hosts=[host])
    config.validate_clusters.value = False
    return config
