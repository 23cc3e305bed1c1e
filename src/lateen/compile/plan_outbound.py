"""The outbound side of a sidecar: which listeners it has, and where each sends a connection.

HTTP ports share one wildcard listener per port, as the host is in the request; everything else is told apart by address. Services
without an address share a wildcard listener and are told apart by server name or by range. Where HTTP and TCP want one listener,
both get it and the first bytes decide; of two TCP services the older keeps it and the other gets a problem.
"""

from collections.abc import Callable, Iterable
from ipaddress import ip_network

from msgspec import Struct
from msgspec.structs import replace

from lateen.api.virtualservice import Destination
from lateen.compile.l4routes import Carried, L4Target, tcp_plan, tcp_targets, tls_targets
from lateen.compile.matches import Place
from lateen.compile.routenames import UNKNOWN_HOSTS, bound_route, sniffed_route, wildcard_route
from lateen.model.listenerplan import AccessLogPlan, ChainMatch, ChainPlan, HttpPlan, InspectorPlan, ListenerPlan, TcpPlan
from lateen.model.names import BLACK_HOLE, DYNAMIC_DNS, PASSTHROUGH, UNIX, outbound_cluster
from lateen.model.route import VirtualRoutes
from lateen.model.service import Port, Protocol, Resolution, Service
from lateen.model.sidecar import Imports
from lateen.util.problem import Problem

__all__ = ["OutboundContext", "plan_bound", "plan_interception", "plan_outbound"]

OUTBOUND_PORT = 15001
_DETECTION = 100_000_000  # nanoseconds
_WILDCARD = "0.0.0.0"  # noqa: S104 - an address to match, none is bound
_PLAIN_HTTP = ChainMatch(transport="raw_buffer", protocols=("http/1.1", "h2c"))


class OutboundContext(Struct, frozen=True, kw_only=True):
    """What outbound listeners ask of the mesh."""

    allow_any: bool
    unknown: str = PASSTHROUGH  # the cluster of traffic that passes though its destination is unknown
    routes_for: Callable[[str], tuple[VirtualRoutes, ...]]  # host -> VirtualServices of the mesh that speak of it, oldest first
    place: Callable[[int], Place]  # port -> where rules are compiled for
    cluster: Callable[[Destination, int], str]  # destination, listener port -> cluster
    carried: Carried
    pods: Callable[[Service], tuple[str, ...]]  # addresses of a headless service's endpoints
    access_logs: tuple[AccessLogPlan, ...] = ()
    dynamic_dns: bool = False  # unknown hosts of HTTP are looked up
    looks_up: bool = False


class _Draft:
    """A listener while services are added to it."""

    def __init__(self, address: str, port: int) -> None:
        self.address, self.port = address, port
        self.http: HttpPlan | None = None
        self.chains: list[ChainPlan] = []
        self.default: ChainPlan | None = None
        self.catch_all: Service | None = None  # the TCP service that takes every other connection

    @property
    def name(self) -> str:
        return f"{self.address}_{self.port}" if self.port else self.address.removeprefix(UNIX)


def plan_outbound(services: Iterable[Service], context: OutboundContext) -> tuple[tuple[ListenerPlan, ...], tuple[Problem, ...]]:
    """All listeners for the services a proxy sees, oldest service first; `virtualOutbound` is `plan_interception`'s."""
    drafts: dict[str, _Draft] = {}
    problems: list[Problem] = []
    for service in sorted(services, key=lambda s: (s.creation, s.name, s.namespace)):
        for port in service.ports:
            for address in _addresses(service, port, context):
                draft = drafts.setdefault(f"{address}_{port.number}", _Draft(address, port.number))
                problems += _add(draft, service, port, context)
    return tuple(_finish(drafts[name], context) for name in sorted(drafts)), tuple(problems)


def plan_bound(bound: Iterable[tuple[Imports, list[Service]]], context: OutboundContext) -> tuple[ListenerPlan, ...]:
    """The egress listeners of a Sidecar that listen themselves; each serves the services that have its port."""
    found = []
    for imports, services in bound:
        draft = _Draft(imports.bind, 0 if imports.bind.startswith(UNIX) else imports.port)
        for service in sorted(services, key=lambda s: (s.creation, s.name, s.namespace)):
            own = service.port(imports.port)
            if own is not None and not service.external_name:
                _add(draft, service, replace(own, protocol=imports.protocol), context, bound_route(imports.bind, imports.port))
        if draft.http is not None or draft.chains or draft.default is not None:
            found.append(replace(_finish(draft, context), bind=True))
    return tuple(found)


def _addresses(service: Service, port: Port, context: OutboundContext) -> tuple[str, ...]:
    """The addresses of the listeners that serve the port; none for what no listener can serve."""
    if port.protocol == Protocol.UDP or service.external_name:
        return ()
    if port.protocol.is_http:
        return (_WILDCARD,)
    if service.headless:
        return context.pods(service)
    single = tuple(address for address in service.addresses if "/" not in address)
    return single if len(single) == len(service.addresses) and single else (*single, _WILDCARD)


def _add(draft: _Draft, service: Service, port: Port, context: OutboundContext, route: str = "") -> list[Problem]:
    if port.protocol.is_http:
        web = port.protocol == Protocol.GRPC_WEB or (draft.http is not None and draft.http.grpc_web)
        draft.http = replace(_http(draft, route or wildcard_route(port.number), context), grpc_web=web)
        return []
    targets = _targets(draft, service, port, context)
    if port.protocol == Protocol.AUTO:
        shared = draft.address == _WILDCARD
        route = route or (wildcard_route(port.number) if shared else sniffed_route(service.hostname, port.number))
        draft.http = draft.http or _http(draft, route, context)
    return _add_targets(draft, service, port, targets, context)


def _http(draft: _Draft, route: str, context: OutboundContext) -> HttpPlan:
    return HttpPlan(
        role="outbound",
        stat_prefix=f"outbound_{draft.name};",
        route_name=route,
        access_logs=context.access_logs,
        looks_up=context.looks_up,
    )


def _targets(draft: _Draft, service: Service, port: Port, context: OutboundContext) -> tuple[L4Target, ...]:
    place = context.place(port.number)
    prefixes = _ranges(service) if draft.address == _WILDCARD else ()
    found: list[L4Target] = []
    targets_of = tls_targets if port.protocol.is_tls else tcp_targets
    for routes in context.routes_for(service.hostname):
        own = targets_of(routes, place, lambda d: context.cluster(d, port.number))
        known = {(target.server_names, target.prefixes) for target in found}
        found += [target for target in own if (target.server_names, target.prefixes) not in known]
        if not port.protocol.is_tls and any(not target.prefixes for target in own):
            break
    if not _closed(found, port, prefixes):
        cluster = outbound_cluster(port.number, "", service.hostname)
        hosts = (service.hostname, *(alias.hostname for alias in service.aliases))
        names = hosts if port.protocol.is_tls and draft.address == _WILDCARD else ()
        found.append(L4Target(clusters=((cluster, 1),), label=service.name, server_names=names))
    return tuple(L4Target(clusters=t.clusters, label=t.label, server_names=t.server_names, prefixes=t.prefixes or prefixes) for t in found)


def _closed(found: list[L4Target], port: Port, prefixes: tuple[str, ...]) -> bool:
    """Whether rules leave nothing for the service itself: any rule for TLS, otherwise one for every address, or for the service's."""
    if port.protocol.is_tls:
        return bool(found)
    return any(not target.prefixes or sorted(target.prefixes) == sorted(prefixes) for target in found)


def _ranges(service: Service) -> tuple[str, ...]:
    """The CIDRs of a service, without insignificant bits, each once."""
    return tuple(dict.fromkeys(str(ip_network(address, strict=False)) for address in service.addresses if "/" in address))


def _add_targets(draft: _Draft, service: Service, port: Port, targets: tuple[L4Target, ...], context: OutboundContext) -> list[Problem]:
    problems: list[Problem] = []
    taken = {key for chain in draft.chains if chain.match is not None for key in _matched(chain.match.server_names, chain.match.prefixes)}
    own: set[tuple[str, str]] = set()  # of the service's earlier rules, which count before its later ones
    for target in targets:
        application = tcp_plan(target, context.access_logs, context.carried)
        if service.resolution == Resolution.DYNAMIC_DNS and port.protocol.is_tls:
            application = replace(application, looks_up=port.number)
        if target.server_names or target.prefixes:
            names = tuple(name for name in target.server_names or ("",) if own.isdisjoint(_matched((name,), target.prefixes)))
            if not names:
                continue
            if not taken.isdisjoint(_matched(names, target.prefixes)):
                problems.append(_conflict(draft, service, port))
                continue
            own.update(_matched(names, target.prefixes))
            match = ChainMatch(server_names=tuple(filter(None, names)), prefixes=target.prefixes)
            draft.chains.append(ChainPlan(match=match, application=application, connect_timeout=True))
        elif draft.catch_all is not None:
            problems.append(_conflict(draft, service, port))
        else:
            draft.catch_all = service
            draft.default = ChainPlan(application=application, connect_timeout=True)
    return problems


def _matched(names: tuple[str, ...], prefixes: tuple[str, ...]) -> Iterable[tuple[str, str]]:
    """What a chain takes, each by itself: Envoy refuses two chains that share any of it."""
    return ((name, prefix) for name in names or ("",) for prefix in prefixes or ("",))


def _conflict(draft: _Draft, service: Service, port: Port) -> Problem:
    holder = draft.catch_all.hostname if draft.catch_all is not None else "an older service"
    return Problem(
        code="listener-conflict",
        message=(
            f"port {port.number} of {service.hostname} is not reachable by its listener {draft.name}: {holder} holds it; "
            "give the service an address of its own or another port"
        ),
        kind=service.origin.kind,
        namespace=service.origin.namespace,
        name=service.origin.name,
        path="spec.ports",
        severity="warning",
    )


def _finish(draft: _Draft, context: OutboundContext) -> ListenerPlan:
    """Chains in order; what no chain takes goes to the default: a TCP service, or on unchanged (or nowhere)."""
    chains = list(draft.chains)
    default = draft.default
    if draft.http is not None:
        chains.insert(0, ChainPlan(match=_PLAIN_HTTP, application=draft.http, connect_timeout=True))
    elif not chains and default is not None:
        chains, default = [default], None
    if default is None and draft.address == _WILDCARD:
        default = _passthrough(context)
    return ListenerPlan(
        name=draft.name,
        address=draft.address,
        port=draft.port,
        direction="OUTBOUND",
        chains=tuple(chains),
        default=default,
        bind=False,
        inspectors=_inspectors(draft),
    )


def _inspectors(draft: _Draft) -> tuple[InspectorPlan, ...]:
    names = any(chain.match is not None and chain.match.server_names for chain in draft.chains)
    tls = (InspectorPlan(kind="tls"),) if names else ()
    return (*tls, InspectorPlan(kind="http")) if draft.http is not None else tls


def _fallback(context: OutboundContext) -> TcpPlan:
    cluster = context.unknown if context.allow_any else BLACK_HOLE
    return TcpPlan(stat_prefix=cluster, clusters=((cluster, 1),), access_logs=context.access_logs)


def _passthrough(context: OutboundContext) -> ChainPlan:
    return ChainPlan(name="PassthroughFilterChain", match=ChainMatch(), application=_fallback(context))


def plan_interception(context: OutboundContext) -> ListenerPlan:
    """`virtualOutbound`: takes all redirected connections and hands each to the listener of its destination.

    Where unknown hosts are looked up, HTTP is told apart here: docs/decisions/016.
    """
    loop = TcpPlan(stat_prefix=BLACK_HOLE, clusters=((BLACK_HOLE, 1),), access_logs=context.access_logs)
    return ListenerPlan(
        name="virtualOutbound",
        address=_WILDCARD,
        port=OUTBOUND_PORT,
        direction="OUTBOUND",
        intercepts="redirect",
        inspectors=(InspectorPlan(kind="http"),) if context.dynamic_dns else (),
        patience=_DETECTION if context.dynamic_dns else 0,
        chains=(
            ChainPlan(name="virtualOutbound-blackhole", match=ChainMatch(port=OUTBOUND_PORT), application=loop),
            *((_looked_up(context),) if context.dynamic_dns else ()),
            ChainPlan(
                name="virtualOutbound-catchall-tcp" if context.allow_any else "virtualOutbound-blackhole",
                application=_fallback(context),
            ),
        ),
    )


def _looked_up(context: OutboundContext) -> ChainPlan:
    application = HttpPlan(
        role="outbound", stat_prefix=f"{DYNAMIC_DNS};", route_name=UNKNOWN_HOSTS, access_logs=context.access_logs, looks_up=True
    )
    return ChainPlan(name="virtualOutbound-catchall-tcp-http", match=ChainMatch(protocols=_PLAIN_HTTP.protocols), application=application)
