"""Prints the settings that a route gives to HTTP filters: faults and cross-origin rules.

The filters themselves stand in every outbound chain and do nothing without these.
"""

from envoy.config.route.v3 import route_components_pb2 as pb
from envoy.extensions.filters.common.fault.v3 import fault_pb2 as common_fault_pb2
from envoy.extensions.filters.http.cors.v3 import cors_pb2
from envoy.extensions.filters.http.fault.v3 import fault_pb2
from envoy.type.v3 import percent_pb2

from lateen.model.routeplan import CorsPlan, FaultPlan, RoutePlan
from lateen.xds.routematch import string_matcher
from lateen.xds.values import set_duration

__all__ = ["add_filter_settings"]


def add_filter_settings(route: pb.Route, plan: RoutePlan) -> None:
    """Put fault and CORS settings, where the plan has them, on the route."""
    if plan.fault is not None:
        route.typed_per_filter_config["envoy.filters.http.fault"].Pack(_fault(plan.fault), deterministic=True)
    if plan.cors is not None:
        route.typed_per_filter_config["envoy.filters.http.cors"].Pack(_cors(plan.cors), deterministic=True)


def _fault(plan: FaultPlan) -> fault_pb2.HTTPFault:
    fault = fault_pb2.HTTPFault()
    if plan.delay is not None:
        delay = common_fault_pb2.FaultDelay(percentage=_millionths(plan.delay_share))
        set_duration(delay.fixed_delay, plan.delay)
        fault.delay.CopyFrom(delay)
    if plan.abort_status is not None:
        fault.abort.http_status = plan.abort_status
    elif plan.abort_grpc is not None:
        fault.abort.grpc_status = plan.abort_grpc
    if fault.HasField("abort") and plan.abort_share is not None:
        fault.abort.percentage.CopyFrom(_millionths(plan.abort_share))
    return fault


def _millionths(share: int | None) -> percent_pb2.FractionalPercent:
    if share is None:
        return percent_pb2.FractionalPercent()
    return percent_pb2.FractionalPercent(numerator=share, denominator=percent_pb2.FractionalPercent.MILLION)


def _cors(plan: CorsPlan) -> cors_pb2.CorsPolicy:
    policy = cors_pb2.CorsPolicy(
        allow_origin_string_match=[string_matcher(origin) for origin in plan.origins],
        allow_methods=plan.methods,
        allow_headers=plan.headers,
        expose_headers=plan.expose,
        max_age=plan.max_age,
    )
    policy.filter_enabled.default_value.numerator = 100
    if plan.credentials is not None:
        policy.allow_credentials.value = plan.credentials
    if plan.forward_unmatched_preflights is not None:
        policy.forward_not_matching_preflights.value = plan.forward_unmatched_preflights
    return policy
