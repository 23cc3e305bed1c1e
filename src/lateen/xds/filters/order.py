"""Which HTTP filters stand in a chain, in which order, and why there.

The order is Istio's (reference 3.6); what upstream Envoy lacks is left out or has a stand-in (docs/decisions/002).
"""

from collections.abc import Callable, Iterable

from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2
from msgspec import Struct

from lateen.model.listenerplan import HttpPlan
from lateen.xds.dynamicdns import build_http_lookup
from lateen.xds.filters.alpn import build_alpn
from lateen.xds.filters.common import build_cors, build_fault, build_grpc_stats, build_grpc_web, build_router
from lateen.xds.filters.extensions import build_extension_slots
from lateen.xds.filters.slots import build_rule_slots, build_service_slots, build_token_slot

__all__ = ["build_http_filters"]

Filters = Iterable[hcm_pb2.HttpFilter]


class Place(Struct, frozen=True):
    """What a chain has at one place of the order, and the roles whose chains have it."""

    build: Callable[[HttpPlan], Filters]
    roles: tuple[str, ...] = ("inbound", "outbound", "gateway")


def _always(build: Callable[[], hcm_pb2.HttpFilter]) -> Callable[[HttpPlan], Filters]:
    return lambda _plan: (build(),)


ORDER = (
    Place(lambda _plan: build_service_slots(), ("inbound", "gateway")),  # an outside service may refuse before any work
    Place(lambda plan: build_extension_slots(plan, "AUTHN")),  # users' filters, by the phase that they ask for
    Place(_always(build_token_slot), ("inbound", "gateway")),  # before the rules, which may ask for claims
    Place(lambda plan: build_extension_slots(plan, "AUTHZ")),
    Place(lambda _plan: build_rule_slots(), ("inbound", "gateway")),  # knows peer and token now
    Place(lambda plan: build_extension_slots(plan, "STATS")),
    Place(lambda plan: build_extension_slots(plan, "UNSPECIFIED_PHASE")),
    Place(lambda plan: (build_grpc_web(),) if plan.grpc_web else ()),  # the filters behind it see plain gRPC
    Place(_always(build_grpc_stats)),  # before anything that may answer, so that every call is counted
    Place(_always(build_fault)),  # after what identifies the call, before anything leaves the proxy
    Place(_always(build_cors)),  # answers preflights itself, so it stands behind faults as in Istio
    # Reads the route's cluster, so behind all that may have the route chosen anew (claims, authorizers) and behind a filter that then asks
    # for it; before the router opens the upstream connection. Servers need none.
    Place(_always(build_alpn), ("outbound", "gateway")),
    Place(lambda plan: (build_http_lookup(),) if plan.looks_up else ()),  # just before the router: nothing changes the host any more
    Place(_always(build_router)),  # always last: it forwards
)


def build_http_filters(plan: HttpPlan) -> list[hcm_pb2.HttpFilter]:
    """The filters of a chain."""
    return [http_filter for place in ORDER if plan.role in place.roles for http_filter in place.build(plan)]
