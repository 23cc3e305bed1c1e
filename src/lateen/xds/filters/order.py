"""Which HTTP filters stand in a chain, in which order, and why there.

The order is Istio's (reference 3.6); what upstream Envoy lacks is left out or has a stand-in (docs/decisions/002).
"""

from collections.abc import Callable

from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2
from msgspec import Struct

from lateen.xds.filters.alpn import build_alpn
from lateen.xds.filters.common import build_cors, build_fault, build_grpc_stats, build_router

__all__ = ["build_http_filters"]


class Place(Struct, frozen=True):
    """One filter of the order and the roles whose chains carry it."""

    build: Callable[[], hcm_pb2.HttpFilter]
    roles: tuple[str, ...] = ("inbound", "outbound", "gateway")


ORDER = (
    Place(build_grpc_stats),  # before anything that may answer, so that every call is counted
    Place(build_alpn, ("outbound", "gateway")),  # before the router opens the upstream connection; servers need none
    Place(build_fault),  # after what identifies the call, before anything leaves the proxy
    Place(build_cors),  # answers preflights itself, so it stands behind faults as in Istio
    Place(build_router),  # always last: it forwards
)


def build_http_filters(role: str) -> list[hcm_pb2.HttpFilter]:
    """The filters of a chain of this role."""
    return [place.build() for place in ORDER if role in place.roles]
