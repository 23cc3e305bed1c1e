"""Changes of route configurations, virtual hosts and routes."""

from functools import partial

from envoy.config.route.v3 import route_components_pb2, route_pb2

from lateen.xds.patches.lists import Used, change_list, change_whole, used
from lateen.xds.patches.parse import Ready
from lateen.xds.patches.select import Patches

__all__ = ["patch_route_configuration"]

_ACTIONS = {"ROUTE": "route", "REDIRECT": "redirect", "DIRECT_RESPONSE": "direct_response"}


def patch_route_configuration(routes: route_pb2.RouteConfiguration, patches: Patches, found: Used) -> None:
    """Change it in place."""
    merging = (ready for ready in patches.of("ROUTE_CONFIGURATION") if ready.merges)
    change_whole(routes, merging, lambda ready: _matches(routes.name, ready, patches.context), found)
    for index in reversed(range(len(routes.virtual_hosts))):
        if not _patch_host(routes.name, routes.virtual_hosts[index], patches, found):
            del routes.virtual_hosts[index]
    for ready in patches.of("VIRTUAL_HOST"):
        if ready.patch.operation == "ADD" and _matches(routes.name, ready, patches.context):
            routes.virtual_hosts.append(ready.value)
            used(ready, found)


def _patch_host(name: str, host: route_components_pb2.VirtualHost, patches: Patches, found: Used) -> bool:
    def matches(ready: Ready) -> bool:
        return _host_matches(name, host, ready, patches.context)

    if not change_whole(host, patches.of("VIRTUAL_HOST"), matches, found, replaces=True):
        return False
    _patch_routes(host, [ready for ready in patches.of("HTTP_ROUTE") if matches(ready)], found)
    return True


def _patch_routes(host: route_components_pb2.VirtualHost, chosen: list[Ready], found: Used) -> None:
    for index in reversed(range(len(host.routes))):
        route = host.routes[index]
        if not change_whole(route, chosen, partial(_route_matches, route=route), found):
            del host.routes[index]
    for ready in chosen:
        asked = ready.match.route is not None
        if ready.patch.operation == "INSERT_FIRST" and asked and not any(_route_matches(ready, one) for one in host.routes):
            continue
        if not ready.merges and ready.patch.operation not in ("REMOVE", "REPLACE"):
            change_list(host.routes, ready, partial(_route_matches, ready) if asked else None, found)


def _matches(name: str, ready: Ready, context: str) -> bool:
    match = ready.match
    if match.routes not in ("", name):
        return False
    if context != "GATEWAY":
        port = name.split("|")[1] if name.startswith("inbound|") else name
        return match.port == 0 or port == str(match.port)
    parts = name.split(".")
    port, port_name, gateway = parts[1], "", ""
    if parts[0] == "https" and len(parts) >= 5:
        port_name, gateway = parts[2], f"{parts[4]}/{parts[3]}"
    return match.port in (0, int(port or 0)) and match.port_name in ("", port_name) and match.gateway in ("", gateway)


def _host_matches(name: str, host: route_components_pb2.VirtualHost, ready: Ready, context: str) -> bool:
    match = ready.match
    return _matches(name, ready, context) and match.host in ("", host.name) and (not match.domain or match.domain in host.domains)


def _route_matches(ready: Ready, route: route_components_pb2.Route) -> bool:
    match = ready.match
    if match.route and match.route != route.name:
        return False
    return match.action == "ANY" or route.WhichOneof("action") == _ACTIONS.get(match.action)
