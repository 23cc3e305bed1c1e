"""HTTP rules of a VirtualService become routes of one place.

Rules follow one another in the order written; whatever follows a route that takes every request is left out. A rule whose blocks
all belong to other places disappears. Functions get what they need of the mesh as a `Lookup`.
"""

from base64 import b64decode
from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from lateen.api.virtualservice import (
    Destination,
    HTTPDirectResponse,
    HTTPMatchRequest,
    HTTPRedirect,
    HTTPRetry,
    HTTPRoute,
    HTTPRouteDestination,
)
from lateen.compile.headers import authority_of, merged, plan_headers
from lateen.compile.matches import Place, applies, plan_match
from lateen.compile.policies import plan_cors, plan_fault, plan_mirrors, plan_retry
from lateen.model.names import outbound_cluster
from lateen.model.route import VirtualRoutes
from lateen.model.routeplan import HashPlan, MatchPlan, RedirectPlan, ResponsePlan, RoutePlan, TargetPlan
from lateen.model.service import Service
from lateen.util.durations import parse

__all__ = ["Lookup", "cluster_for", "default_route", "plan_rules"]

_UNKNOWN = "UnknownService"
_STANDARD_PORTS = {("http", 80), ("https", 443)}


class Lookup(Struct, frozen=True, kw_only=True):
    """What rules ask of the mesh. `service` knows the services that a port-less destination may mean."""

    service: Callable[[str], Service | None]
    hashes: Callable[[str, str, int], tuple[HashPlan, ...]]  # host, subset, port (0: not said) -> hash policy of its DestinationRule
    retries: HTTPRetry | None = None  # of rules that say nothing of them; None: Istio's
    target: Callable[[str], str] = str  # a host, or what it is an alias of


def plan_rules(routes: VirtualRoutes, place: Place, lookup: Lookup) -> tuple[RoutePlan, ...]:
    """All routes of the VirtualService at `place`."""
    plans: list[RoutePlan] = []
    for rule in routes.http:
        for match in rule.match or (None,):
            if match is not None and not applies(match, place):
                continue
            plan = _route(routes, rule, match, place, lookup)
            plans.append(plan)
            if plan.match.takes_all:
                return tuple(plans)
    return tuple(plans)


def default_route(cluster: str, host: str, port: int, hashes: tuple[HashPlan, ...], retries: HTTPRetry | None = None) -> RoutePlan:
    """The route of a service that no VirtualService speaks of."""
    return RoutePlan(
        name="default",
        operation=f"{host}:{port}/*",
        targets=(TargetPlan(cluster=cluster),),
        retry=plan_retry(retries, hashed=False),
        hashes=hashes,
    )


def cluster_for(destination: Destination, place_port: int, lookup: Lookup) -> str:
    """The cluster of a destination: its port, else the only port of its service, else the port of the place."""
    if not destination.host:
        return _UNKNOWN
    return outbound_cluster(_port(destination, place_port, lookup), destination.subset, lookup.target(destination.host))


def _port(destination: Destination, place_port: int, lookup: Lookup) -> int:
    if destination.port is not None and destination.port.number:
        return destination.port.number
    service = lookup.service(destination.host)
    return service.ports[0].number if service is not None and len(service.ports) == 1 else place_port


def _route(routes: VirtualRoutes, rule: HTTPRoute, match: HTTPMatchRequest | None, place: Place, lookup: Lookup) -> RoutePlan:
    plan = MatchPlan() if match is None else plan_match(match)
    common = RoutePlan(
        match=plan,
        name=_name(rule, match),
        operation=f"{routes.key.name}:{place.port}{_pattern(plan)}",
        config=routes.key,
        stat_prefix=match.stat_prefix if match is not None else "",
        headers=plan_headers(rule.headers),
        fault=plan_fault(rule.fault),
        cors=plan_cors(rule.cors_policy),
    )
    if rule.redirect is not None:
        return replace(common, redirect=_redirect(rule.redirect, place))
    if rule.direct_response is not None:
        return replace(common, response=_response(rule.direct_response))
    return _forward(common, rule, place, lookup)


def _name(rule: HTTPRoute, match: HTTPMatchRequest | None) -> str:
    return f"{rule.name}.{match.name}" if match is not None and match.name else rule.name


def _pattern(match: MatchPlan) -> str:
    return match.path.value + ("*" if match.path.kind == "prefix" else "")


def _forward(common: RoutePlan, rule: HTTPRoute, place: Place, lookup: Lookup) -> RoutePlan:
    alone = len(rule.route) == 1
    destinations = rule.route if alone else tuple(d for d in rule.route if d.weight > 0)
    targets = tuple(_target(destination, place, lookup) for destination in destinations) or (TargetPlan(cluster=_UNKNOWN),)
    hashes = _hashes(destinations, lookup)
    changes: dict[str, object] = {
        "targets": targets,
        "timeout": parse(rule.timeout) if rule.timeout else 0,
        "retry": plan_retry(rule.retries or lookup.retries, hashed=len(rule.route) == 1 and bool(hashes)),
        "mirrors": plan_mirrors(rule, lambda destination: cluster_for(destination, place.port, lookup)),
        "hashes": hashes,
        "authority": authority_of(rule.headers),
    }
    if rule.rewrite is not None:
        rewrite = rule.rewrite.uri_regex_rewrite
        changes["regex_rewrite"] = (rewrite.match, rewrite.rewrite) if rewrite is not None else None
        changes["prefix_rewrite"] = rule.rewrite.uri if rewrite is None else ""
        changes["authority"] = rule.rewrite.authority or changes["authority"]
    if alone:
        (target,) = targets
        host, port = destinations[0].destination, target.cluster.split("|")
        changes["operation"] = f"{port[3]}:{port[1]}{_pattern(common.match)}" if host and len(port) == 4 else common.operation
        changes["headers"] = merged(common.headers, target.headers)
        changes["authority"] = changes["authority"] or target.authority
        changes["targets"] = (TargetPlan(cluster=target.cluster),)
    return replace(common, **changes)


def _target(destination: HTTPRouteDestination, place: Place, lookup: Lookup) -> TargetPlan:
    return TargetPlan(
        cluster=cluster_for(destination.destination or Destination(), place.port, lookup),
        weight=destination.weight,
        headers=plan_headers(destination.headers),
        authority=authority_of(destination.headers),
    )


def _hashes(destinations: tuple[HTTPRouteDestination, ...], lookup: Lookup) -> tuple[HashPlan, ...]:
    found: list[HashPlan] = []
    for destination in (d.destination for d in destinations if d.destination is not None):
        found += lookup.hashes(destination.host, destination.subset, destination.port.number if destination.port is not None else 0)
    return tuple(found)


def _redirect(redirect: HTTPRedirect, place: Place) -> RedirectPlan:
    port = redirect.port or (place.port if redirect.derive_port == "FROM_REQUEST_PORT" else 0)
    scheme = redirect.scheme or ("https" if place.tls else "http")
    return RedirectPlan(
        code=redirect.redirect_code or 301,
        scheme=redirect.scheme,
        authority=redirect.authority,
        port=0 if (scheme, port) in _STANDARD_PORTS else port,
        path="" if redirect.prefix_rewrite else redirect.uri,
        prefix=redirect.prefix_rewrite,
    )


def _response(response: HTTPDirectResponse) -> ResponsePlan:
    if response.body is None:
        return ResponsePlan(response.status)
    text, encoded = response.body.string, response.body.bytes
    return ResponsePlan(response.status, text.encode() if text is not None else b64decode(encoded or ""))
