"""Which VirtualServices a gateway's server carries, and for which hosts.

A server host may name the namespace whose VirtualServices it is for (`ns/host`); a VirtualService must name the Gateway, and its
hosts must overlap with the server's.
"""

from collections.abc import Iterable

from lateen.model.gateway import MergedServer
from lateen.model.route import VirtualRoutes
from lateen.util.hosts import more_specific_first, overlaps

__all__ = ["bound_hosts", "bound_routes"]


def bound_routes(server: MergedServer, routes: Iterable[VirtualRoutes]) -> tuple[tuple[VirtualRoutes, tuple[str, ...]], ...]:
    """Each VirtualService of `routes` that the server carries, with its hosts there; the order is kept."""
    found = ((one, bound_hosts(server, one)) for one in routes if server.gateway in one.gateways)
    return tuple((one, hosts) for one, hosts in found if hosts)


def bound_hosts(server: MergedServer, routes: VirtualRoutes) -> tuple[str, ...]:
    """What the VirtualService's hosts and the server's for its namespace have in common: of two that overlap the narrower."""
    allowed = [host.host for host in server.hosts if host.namespace in ("*", routes.key.namespace)]
    common = (min(mine, host, key=more_specific_first) for host in routes.hosts for mine in allowed if overlaps(mine, host))
    return tuple(dict.fromkeys(common))
