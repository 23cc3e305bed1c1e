"""Routes of a gateway: the HTTP servers of a port, or one HTTPS server, with the VirtualServices bound to them.

Several VirtualServices for one host are merged in the order of their creation, with whatever takes every request moved to the end.
A host without any VirtualService is not found, except where the server redirects to HTTPS.
"""

from collections.abc import Callable, Iterable

from msgspec.structs import replace

from lateen.compile.bindings import bound_routes
from lateen.compile.matches import Place
from lateen.compile.rules import Lookup, plan_rules
from lateen.model.frame import Owner
from lateen.model.gateway import MergedServer
from lateen.model.route import VirtualRoutes
from lateen.model.routeplan import RoutePlan, VirtualHostPlan

__all__ = ["plan_gateway_hosts"]

_BLACK_HOLE = "blackhole"


def plan_gateway_hosts(
    servers: Iterable[MergedServer], routes: Iterable[VirtualRoutes], place: Callable[[MergedServer], Place], lookup: Lookup
) -> tuple[VirtualHostPlan, ...]:
    """The virtual hosts of one route configuration; `routes` are the VirtualServices of its Gateways, oldest first."""
    servers, routes = tuple(servers), tuple(routes)
    hosts: dict[str, VirtualHostPlan] = {}
    compiled: dict[tuple[object, Place], tuple[RoutePlan, ...]] = {}
    seen: set[tuple[str, object, str]] = set()
    for server in servers:
        for one, names in bound_routes(server, routes):
            at = place(server)
            plans = compiled.setdefault((one.key, at), plan_rules(one, at, lookup))
            for name in names:
                if (name, one.key, server.gateway) not in seen:
                    seen.add((name, one.key, server.gateway))
                    hosts[name] = _extended(hosts.get(name), name, server, plans, one.owners)
    for server in servers:
        if server.redirects:
            _redirect(hosts, server)
    if not hosts:
        return (VirtualHostPlan(name=f"{_BLACK_HOLE}:{servers[0].number}", domains=("*",), routes=()),)
    return _collapsed(replace(host, routes=_last_things_last(host.routes)) for host in hosts.values())


def _extended(
    host: VirtualHostPlan | None, name: str, server: MergedServer, plans: tuple[RoutePlan, ...], owners: tuple[Owner, ...]
) -> VirtualHostPlan:
    if host is None:
        return VirtualHostPlan(name=f"{name}:{server.number}", domains=(name,), routes=plans, owners=owners)
    return replace(host, routes=host.routes + plans, owners=tuple(dict.fromkeys(host.owners + owners)))


def _redirect(hosts: dict[str, VirtualHostPlan], server: MergedServer) -> None:
    for name in (host.host for host in server.hosts):
        present = hosts.get(name) or VirtualHostPlan(name=f"{name}:{server.number}", domains=(name,), routes=())
        hosts[name] = replace(present, require_tls=True)


def _last_things_last(routes: tuple[RoutePlan, ...]) -> tuple[RoutePlan, ...]:
    """What takes every request hides whatever follows, so it goes to the end."""
    return tuple(sorted(routes, key=lambda route: route.match.takes_all))


def _collapsed(hosts: Iterable[VirtualHostPlan]) -> tuple[VirtualHostPlan, ...]:
    """Hosts with the same routes share one virtual host, named after the first."""
    groups: dict[object, VirtualHostPlan] = {}
    for host in sorted(hosts, key=lambda h: h.name):
        key = (host.routes, host.require_tls) if host.routes else host.name
        known = groups.get(key)
        groups[key] = host if known is None else replace(known, domains=known.domains + host.domains)
    return tuple(groups.values())
