"""Listeners of a gateway: one per port, with a chain per TLS server, TCP rule or all of plaintext HTTP."""

from collections.abc import Callable, Iterable

from msgspec import Struct
from msgspec.structs import replace

from lateen.api.virtualservice import Destination
from lateen.compile.bindings import bound_routes
from lateen.compile.gateways import AUTO_PASSTHROUGH, has_http3
from lateen.compile.l4routes import Carried, L4Target, tcp_plan, tcp_targets, tls_targets
from lateen.compile.matches import Place
from lateen.compile.meshtls import MESH_PROTOCOLS
from lateen.compile.routenames import gateway_route, gateway_tls_route
from lateen.compile.servertls import server_tls
from lateen.model.gateway import GatewayPort, MergedServer
from lateen.model.listenerplan import (
    AccessLogPlan,
    ChainMatch,
    ChainPlan,
    ClientCertificates,
    CredentialTls,
    HttpPlan,
    InspectorPlan,
    ListenerPlan,
    PathNormalization,
    TcpPlan,
)
from lateen.model.route import VirtualRoutes
from lateen.model.security import WorkloadSecurity
from lateen.model.service import Protocol
from lateen.util.hosts import matches

__all__ = ["GatewayContext", "plan_gateway_listener", "plan_quic_listener"]

_ANY = "*"
_HTTP3 = ("h3",)


class GatewayContext(Struct, frozen=True, kw_only=True):
    """What gateway listeners ask of the mesh."""

    routes: tuple[VirtualRoutes, ...]  # all that name one of the proxy's Gateways, oldest first
    place: Callable[[MergedServer], Place]
    cluster: Callable[[Destination, int], str]
    carried: Carried
    looks_up: bool = False
    secrets_from: str = ""  # the cluster of the server that has the secrets named sds://
    trusted_proxies: int = 0
    proxy_protocol: bool = False
    client_certificates: ClientCertificates = "SANITIZE_SET"
    access_logs: tuple[AccessLogPlan, ...] = ()
    security: WorkloadSecurity = WorkloadSecurity()
    path_normalization: PathNormalization = "BASE"
    passed_on: tuple[tuple[str, str], ...] = ()  # hosts of services, and the server names that mean their clusters


def plan_gateway_listener(port: GatewayPort, context: GatewayContext) -> ListenerPlan | None:
    """The listener of one port; None when no server of it leads anywhere."""
    address = port.bind or "0.0.0.0"  # noqa: S104 - a gateway serves the outside
    name = f"{address}_{port.listen}"
    chains: list[ChainPlan] = []
    if port.servers[0].protocol.is_http:
        web = any(server.protocol == Protocol.GRPC_WEB for server in port.servers)
        chains.append(_http_chain(f"outbound_{name}", gateway_route(port.listen, port.bind), None, None, context, grpc_web=web))
    else:
        for server in port.servers:
            chains += _server_chains(name, port, server, context)
        chains = _without_overlap(sorted(chains, key=lambda chain: not isinstance(chain.application, HttpPlan)))
    if not chains:
        return None
    named = any((chain.match is not None and chain.match.server_names) or chain.tls is not None for chain in chains)
    return ListenerPlan(
        name=name,
        address=address,
        port=port.listen,
        direction="OUTBOUND",
        chains=tuple(chains),
        inspectors=(InspectorPlan(kind="tls"),) if named else (),
        waits=True,
        proxy_protocol=context.proxy_protocol,
        owners=tuple(dict.fromkeys(server.owner for server in port.servers)),
        rule_owners=context.security.owners,
    )


def plan_quic_listener(port: GatewayPort, context: GatewayContext) -> ListenerPlan | None:
    """The listener of HTTP/3 beside a port with HTTPS servers; None where it has none."""
    address = port.bind or "0.0.0.0"  # noqa: S104 - a gateway serves the outside
    servers = [server for server in port.servers if has_http3(server)]
    chains = [chain for server in servers for chain in _server_chains(f"{address}_{port.listen}", port, server, context)]
    if not chains:
        return None
    return ListenerPlan(
        name=f"udp_{address}_{port.listen}",
        address=address,
        port=port.listen,
        direction="OUTBOUND",
        chains=tuple(map(_over_quic, chains)),
        quic=True,
        waits=True,
        owners=tuple(dict.fromkeys(server.owner for server in servers)),
    )


def _over_quic(chain: ChainPlan) -> ChainPlan:
    tls, http = chain.tls, chain.application
    assert isinstance(tls, CredentialTls)  # noqa: S101 - HTTPS with a certificate
    assert isinstance(http, HttpPlan)  # noqa: S101
    return replace(chain, tls=replace(tls, alpn=_HTTP3), application=replace(http, http3=True), connect_timeout=False)


def _without_overlap(chains: Iterable[ChainPlan]) -> list[ChainPlan]:
    """Envoy refuses a server name that two chains have: the first chain that has it counts, a later one is left out."""
    taken: set[str] = set()
    kept = []
    for chain in chains:
        names = (chain.match.server_names if chain.match is not None else ()) or (_ANY,)
        if taken.isdisjoint(names):
            kept.append(chain)
            taken.update(names)
    return kept


def _server_chains(name: str, port: GatewayPort, server: MergedServer, context: GatewayContext) -> Iterable[ChainPlan]:
    tls = server_tls(server.tls, context.secrets_from) if server.terminates_tls and server.tls is not None else None
    if server.protocol.value == "HTTPS" and tls is not None:
        place, gateway = server.gateway.split("/")
        route = gateway_tls_route(server.number, server.port_name, gateway, place, port.bind)
        return [_http_chain(server.name or f"outbound_{name}", route, _sni(_hosts(server)), tls, context)]
    if server.tls is not None and server.tls.mode == AUTO_PASSTHROUGH:
        return _passed_on(server, context)
    targets = [target for routes, hosts in bound_routes(server, context.routes) for target in _targets(server, routes, hosts, context)]
    return [_tcp_chain(server, target, tls, context) for target in targets]


def _passed_on(server: MergedServer, context: GatewayContext) -> list[ChainPlan]:
    """A chain for each service of the mesh under the server's hosts. Nothing is asked of who calls: the service itself does that."""
    hosts = _hosts(server)
    return [
        ChainPlan(
            match=ChainMatch(server_names=(name,), protocols=MESH_PROTOCOLS),
            application=TcpPlan(stat_prefix=name, clusters=((name, 0),), access_logs=context.access_logs),
            connect_timeout=True,
        )
        for service, name in context.passed_on
        if any(matches(host, service) for host in hosts)
    ]


def _targets(server: MergedServer, routes: VirtualRoutes, hosts: tuple[str, ...], context: GatewayContext) -> tuple[L4Target, ...]:
    place = context.place(server)
    if server.protocol.is_tls and not server.terminates_tls:
        return tls_targets(routes, place, lambda d: context.cluster(d, server.number), hosts)
    return tcp_targets(routes, place, lambda d: context.cluster(d, server.number))[:1]


def _tcp_chain(server: MergedServer, target: L4Target, tls: CredentialTls | None, context: GatewayContext) -> ChainPlan:
    names = target.server_names or (_hosts(server) if tls is not None else ())
    application = _with_authz(tcp_plan(target, context.access_logs, context.carried), context)
    return ChainPlan(match=_sni(names), tls=tls, application=application, connect_timeout=True)


def _with_authz(plan: TcpPlan, context: GatewayContext) -> TcpPlan:
    authz = context.security.authz
    return replace(plan, authz=authz.tcp) if authz is not None else plan


def _http_chain(
    statistics: str,
    route: str,
    match: ChainMatch | None,
    tls: CredentialTls | None,
    context: GatewayContext,
    *,
    grpc_web: bool = False,
) -> ChainPlan:
    http = HttpPlan(
        role="gateway",
        stat_prefix=f"{statistics};",
        route_name=route,
        looks_up=context.looks_up,
        grpc_web=grpc_web,
        trusted_proxies=context.trusted_proxies,
        client_certificates=context.client_certificates,
        access_logs=context.access_logs,
        authn=context.security.authn,
        authz=context.security.authz,
        path_normalization=context.path_normalization,
    )
    return ChainPlan(match=match, tls=tls, application=http, connect_timeout=True)


def _hosts(server: MergedServer) -> tuple[str, ...]:
    return tuple(dict.fromkeys(host.host for host in server.hosts))


def _sni(names: tuple[str, ...]) -> ChainMatch | None:
    """Connections for these names; the name `*` takes all. Where they go says nothing: the gateway is where they go."""
    return ChainMatch(server_names=names) if names and _ANY not in names else None
