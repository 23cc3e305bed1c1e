"""Routes of a sidecar: per route configuration, which virtual hosts it has, and what stands in each.

Two steps, so that a change costs what it concerns: a table names the hosts of a configuration (it reads names only), and each host is
planned on its own, shared by all proxies for which its key is the same.
"""

from collections.abc import Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from lateen.api.meta import Key
from lateen.compile.domains import service_domains
from lateen.compile.matches import Place
from lateen.compile.rules import Lookup, default_route, plan_rules
from lateen.model.names import PASSTHROUGH, outbound_cluster
from lateen.model.route import MESH, VirtualRoutes
from lateen.model.routeplan import ResponsePlan, RoutePlan, TargetPlan, VirtualHostPlan
from lateen.model.scope import Selector
from lateen.model.service import Service
from lateen.util.hosts import is_wildcard, matches, more_specific_first

__all__ = ["HostKey", "RouteHead", "catch_all", "head_of", "plan_host", "plan_table"]

_ANY = "*"
_HTTP_PORT = 80
_BAD_GATEWAY = 502


class HostKey(Struct, frozen=True, order=True, cache_hash=True):
    """All that a virtual host's plan depends on besides the objects it names."""

    port: int
    host: str
    service_namespace: str  # "" where no service has the host
    routes: tuple[Key, ...]  # VirtualServices in order: the first with rules for this place counts
    namespace: str  # of the clients, where short names or rules tell it apart; else ""
    selectors: tuple[Selector, ...] = ()  # of the clients, as far as the rules look at them
    dropped: tuple[str, ...] = ()  # domains that an earlier host of the configuration has
    alone: bool = False  # a configuration of this one service: every host name means it


class RouteHead(Struct, frozen=True, kw_only=True):
    """Of a VirtualService what decides where it applies; it stays equal when only its rules change."""

    key: Key
    age: tuple[str, str, str]
    hosts: tuple[str, ...]
    export_to: tuple[str, ...]
    mesh: bool
    http: bool
    selectors: tuple[Selector, ...]  # source labels that rules ask for
    by_namespace: bool  # rules ask for the source namespace
    always: bool  # some rule applies everywhere


def head_of(routes: VirtualRoutes) -> RouteHead:
    """The head of `routes`."""
    blocks = [match for rule in routes.http for match in rule.match]
    labels = [match.source_labels for match in blocks]
    labels += [match.source_labels for rule in routes.tls for match in rule.match]
    labels += [match.source_labels for rule in routes.tcp for match in rule.match]
    gateways = {name for match in blocks for name in match.gateways}
    return RouteHead(
        key=routes.key,
        age=routes.age,
        hosts=routes.hosts,
        export_to=routes.export_to,
        mesh=MESH in routes.gateways or MESH in gateways,
        http=bool(routes.http),
        selectors=tuple(sorted({tuple(sorted(each.items())) for each in labels if each})),
        by_namespace=any(match.source_namespace for match in blocks),
        always=any(not rule.match for rule in routes.http),
    )


def plan_table(
    port: int,
    services: Iterable[Service],
    heads: Iterable[RouteHead],
    *,
    namespace: str,
    selectors: tuple[Selector, ...],
    domain: str,
    alone: bool = False,
) -> tuple[HostKey, ...]:
    """The hosts of the configuration of `port`: `services` are those with HTTP on it, `heads` all visible ones, oldest first."""
    by_host = {service.hostname: service for service in sorted(services, key=lambda s: s.key)}
    chosen = _choose(by_host, tuple(heads))
    keys = [_host_key(port, by_host[host], chosen.get(host, ()), namespace, selectors, alone=alone) for host in sorted(by_host)]
    if not alone:
        keys += [_unknown_key(port, host, found, namespace, selectors) for host, found in _unknown_hosts(port, by_host, heads)]
    with_rules_first = sorted(keys, key=lambda key: (not key.routes, more_specific_first(key.host)))
    return _without_duplicates(with_rules_first, by_host, namespace, domain)


def _choose(services: Mapping[str, Service], heads: tuple[RouteHead, ...]) -> dict[str, tuple[RouteHead, ...]]:
    """For each host the VirtualServices that speak of it: all that name it, oldest first, else the most specific wildcard."""
    chosen: dict[str, tuple[RouteHead, ...]] = {}
    exact: dict[str, list[RouteHead]] = {}
    wild: list[tuple[str, RouteHead]] = []
    for head in heads:
        for host in head.hosts:
            if is_wildcard(host):
                wild.append((host, head))
            else:
                exact.setdefault(host, []).append(head)
    wild.sort(key=lambda item: more_specific_first(item[0]))
    for name in services:
        found = exact.get(name) or [head for host, head in wild if matches(host, name)][:1]
        if found:
            chosen[name] = _needed(found)
    return chosen


def _needed(heads: Iterable[RouteHead]) -> tuple[RouteHead, ...]:
    """Up to the first that has a rule for every place."""
    needed: list[RouteHead] = []
    for head in heads:
        needed.append(head)
        if head.always:
            break
    return tuple(needed)


def _unknown_hosts(port: int, services: Mapping[str, Service], heads: Iterable[RouteHead]) -> list[tuple[str, tuple[RouteHead, ...]]]:
    """Hosts that no service has: beside the services that their VirtualService also names, and on HTTP's own port."""
    found: dict[str, list[RouteHead]] = {}
    for head in heads:
        unknown = [host for host in head.hosts if host != _ANY and not _known(host, services)]
        if port == _HTTP_PORT or len(unknown) < len(head.hosts):
            for host in unknown:
                found.setdefault(host, []).append(head)
    return [(host, _needed(found[host])) for host in sorted(found)]


def _known(host: str, services: Mapping[str, Service]) -> bool:
    return host in services or (is_wildcard(host) and any(matches(host, name) for name in services))


def _host_key(
    port: int, service: Service, heads: tuple[RouteHead, ...], namespace: str, selectors: tuple[Selector, ...], *, alone: bool
) -> HostKey:
    near = namespace if namespace == service.namespace or any(head.by_namespace for head in heads) else ""
    return HostKey(
        port=port,
        host=service.hostname,
        service_namespace=service.namespace,
        routes=tuple(head.key for head in heads),
        namespace=near,
        selectors=_relevant(heads, selectors),
        alone=alone,
    )


def _unknown_key(port: int, host: str, heads: tuple[RouteHead, ...], namespace: str, selectors: tuple[Selector, ...]) -> HostKey:
    near = namespace if any(head.by_namespace for head in heads) else ""
    return HostKey(port, host, "", tuple(head.key for head in heads), near, _relevant(heads, selectors))


def _relevant(heads: tuple[RouteHead, ...], selectors: tuple[Selector, ...]) -> tuple[Selector, ...]:
    asked = {selector for head in heads for selector in head.selectors}
    return tuple(selector for selector in selectors if selector in asked)


def _without_duplicates(keys: Iterable[HostKey], services: Mapping[str, Service], namespace: str, domain: str) -> tuple[HostKey, ...]:
    """Envoy refuses a domain that stands twice: the first host keeps it."""
    taken: set[str] = set()
    out: list[HostKey] = []
    for key in keys:
        service = services.get(key.host) if key.service_namespace else None
        domains = service_domains(service, namespace, domain) if service is not None and not key.alone else (key.host,)
        dropped = () if taken.isdisjoint(domains) else tuple(name for name in domains if name in taken)
        taken.update(domains)
        if len(dropped) < len(domains):
            out.append(replace(key, dropped=dropped) if dropped else key)
    return tuple(out)


def plan_host(
    key: HostKey, service: Service | None, routes: Iterable[VirtualRoutes], lookup: Lookup, *, domain: str
) -> VirtualHostPlan | None:
    """The virtual host of `key`; None when no service has the host and the rules of its VirtualServices leave nothing here."""
    place = Place(port=key.port, namespace=key.namespace, selectors=key.selectors)
    planned = ((plan_rules(one, place, lookup), one.owners) for one in routes)
    plans, owners = next((found for found in planned if found[0]), ((), ()))
    if not plans:
        if service is None:
            return None
        cluster = outbound_cluster(key.port, "", key.host)
        plans = (default_route(cluster, key.host, key.port, lookup.hashes(key.host, "", key.port), lookup.retries),)
    return VirtualHostPlan(
        name=f"{key.host}:{key.port}",
        domains=_domains(key, service, domain),
        routes=plans,
        owners=owners,
    )


def _domains(key: HostKey, service: Service | None, domain: str) -> tuple[str, ...]:
    if key.alone:
        return ("*",)
    domains = service_domains(service, key.namespace, domain) if service is not None else (key.host,)
    return tuple(name for name in domains if name not in key.dropped)


def catch_all(*, allow_any: bool, cluster: str = PASSTHROUGH) -> VirtualHostPlan:
    """What happens to hosts that no virtual host has: passed on (as they are, or to an egress proxy's `cluster`), or refused."""
    if allow_any:
        route = RoutePlan(name="allow_any", targets=(TargetPlan(cluster=cluster),))
        return VirtualHostPlan(name="allow_any", domains=("*",), routes=(route,))
    refusal = RoutePlan(name="block_all", response=ResponsePlan(_BAD_GATEWAY))
    return VirtualHostPlan(name="block_all", domains=("*",), routes=(refusal,))
