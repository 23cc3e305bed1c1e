"""The inbound side of a sidecar: one listener that takes everything redirected to it and tells connections apart by chain.

For each port of the workload the chains follow from its protocol and its mutual TLS mode; what comes to any other port is
passed on by the catch-all chains. The matrix is Istio's (reference 3.3).
"""

from collections.abc import Callable, Iterable
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from lateen.compile.inboundports import InboundPort
from lateen.compile.meshtls import HTTP_IN_TLS, MESH_PROTOCOLS
from lateen.compile.servertls import server_tls
from lateen.model.authn import Authn, MtlsMode
from lateen.model.listenerplan import (
    AccessLogPlan,
    ChainMatch,
    ChainPlan,
    CredentialTls,
    HttpPlan,
    InboundRoutes,
    InspectorPlan,
    ListenerPlan,
    MeshTls,
    PathNormalization,
    TcpPlan,
)
from lateen.model.names import BLACK_HOLE, INBOUND_PASSTHROUGH, inbound_cluster
from lateen.model.security import WorkloadSecurity
from lateen.model.service import Protocol

__all__ = ["INBOUND_PORT", "InboundSettings", "plan_inbound"]

INBOUND_PORT = 15006
_TCP_IN_TLS = ("istio-peer-exchange", "istio")
_PLAIN_HTTP = ("http/1.1", "h2c")
_HTTP_ALPN = ("h2", "http/1.1")
_TCP_ALPN = ("istio-peer-exchange", "h2", "http/1.1")
_GRPC = (Protocol.GRPC, Protocol.GRPC_WEB)


class InboundSettings(Struct, frozen=True, kw_only=True):
    """What of the mesh's settings the inbound side needs."""

    client_prefixes: tuple[str, ...]  # spiffe://<trust domain>/ of every trust domain accepted
    min_tls: str = "TLSV1_2"
    access_logs: tuple[AccessLogPlan, ...] = ()
    security: WorkloadSecurity = WorkloadSecurity()
    path_normalization: PathNormalization = "BASE"


class _Port(Struct, frozen=True, kw_only=True):
    """A port that is served: its chains' names, where its connections go."""

    number: int  # 0 = any other port
    protocol: Protocol
    mode: MtlsMode
    http_name: str
    tcp_name: str
    http: HttpPlan
    tcp: TcpPlan
    tls: CredentialTls | None = None  # the server's own, of a Sidecar, where mutual TLS of the mesh is off


def plan_inbound(served: Iterable[InboundPort], authn: Authn, settings: InboundSettings) -> ListenerPlan:
    """The listener `virtualInbound`."""
    served = tuple(served)
    known = {one.number for one in served}
    others = [_other_port(port, mode, settings) for port, mode in authn.ports.items() if port not in known]
    ports = [_other_port(0, authn.mode, settings), *others, *(_service_port(one, authn, settings) for one in served)]
    chains = [_black_hole(settings)]
    for port in ports:
        chains += _chains(port, settings)
    return ListenerPlan(
        name="virtualInbound",
        address="0.0.0.0",  # noqa: S104 - in the pod's own network namespace
        port=INBOUND_PORT,
        direction="INBOUND",
        chains=tuple(chains),
        intercepts="original_dst",
        inspectors=_inspectors(ports),
        owners=authn.owners,
        rule_owners=settings.security.owners,
    )


def _service_port(served: InboundPort, authn: Authn, settings: InboundSettings) -> _Port:
    """Where services share a port, the first in the scope's order counts."""
    target, instance, name = served.number, served.instances[0], served.name
    service_port, cluster = instance.port, inbound_cluster(target)
    routes = InboundRoutes(
        cluster=cluster,
        port=service_port.number,
        operation=f"{instance.service.hostname}:{service_port.number}/*",
        retries=service_port.protocol not in _GRPC,
    )
    return _Port(
        number=target,
        protocol=service_port.protocol,
        mode=authn.of(target),
        # docs/decisions/005
        tls=server_tls(served.tls) if served.tls is not None and authn.of(target) == MtlsMode.DISABLE else None,
        http_name=name,
        tcp_name=name,
        http=replace(_http_plan(f"inbound_{name};", cluster, routes, settings), grpc_web=service_port.protocol == Protocol.GRPC_WEB),
        tcp=_tcp_plan(cluster, settings),
    )


def _other_port(number: int, mode: MtlsMode, settings: InboundSettings) -> _Port:
    """A port that no service has; 0 for all of them."""
    routes = InboundRoutes(cluster=INBOUND_PASSTHROUGH, port=0, operation=":0/*")
    return _Port(
        number=number,
        protocol=Protocol.AUTO,
        mode=mode,
        http_name="virtualInbound-catchall-http",
        tcp_name="virtualInbound",
        http=_http_plan(f"{INBOUND_PASSTHROUGH};", INBOUND_PASSTHROUGH, routes, settings),
        tcp=_tcp_plan(INBOUND_PASSTHROUGH, settings),
    )


def _http_plan(statistics: str, name: str, routes: InboundRoutes, settings: InboundSettings) -> HttpPlan:
    return HttpPlan(
        role="inbound",
        stat_prefix=statistics,
        route_name=name,
        inbound=routes,
        access_logs=settings.access_logs,
        authn=settings.security.authn,
        authz=settings.security.authz,
        path_normalization=settings.path_normalization,
    )


def _tcp_plan(cluster: str, settings: InboundSettings) -> TcpPlan:
    authz = settings.security.authz
    return TcpPlan(
        stat_prefix=cluster, clusters=((cluster, 1),), access_logs=settings.access_logs, authz=authz.tcp if authz is not None else ()
    )


def _black_hole(settings: InboundSettings) -> ChainPlan:
    """Connections made straight to the interception port would loop."""
    return ChainPlan(
        name="virtualInbound-blackhole",
        match=ChainMatch(port=INBOUND_PORT),
        application=TcpPlan(stat_prefix=BLACK_HOLE, clusters=((BLACK_HOLE, 1),), access_logs=settings.access_logs),
    )


def _chains(port: _Port, settings: InboundSettings) -> list[ChainPlan]:
    """All chains of one port, in Istio's order. A server's own TLS takes nothing else, and HTTPS is HTTP inside it."""
    if port.tls is not None:
        http = port.protocol.is_http or port.protocol == Protocol.HTTPS
        return [_http(port, "tls", tls=port.tls) if http else _tcp(port, "tls", tls=port.tls)]
    if port.protocol.is_http:
        return _http_chains(port, settings)
    if port.protocol == Protocol.AUTO:
        return _auto_chains(port, settings)
    return _tcp_chains(port, settings)


def _http_chains(port: _Port, settings: InboundSettings) -> list[ChainPlan]:
    tls = _mesh_tls(_HTTP_ALPN, settings)
    return {
        MtlsMode.STRICT: [_http(port, "tls", tls=tls)],
        MtlsMode.PERMISSIVE: [_http(port, "tls", MESH_PROTOCOLS, tls=tls), _http(port, "raw_buffer")],
        MtlsMode.DISABLE: [_http(port, "raw_buffer")],
    }[port.mode]


def _tcp_chains(port: _Port, settings: InboundSettings) -> list[ChainPlan]:
    tls = _mesh_tls(_TCP_ALPN, settings)
    return {
        MtlsMode.STRICT: [_tcp(port, "tls", tls=tls)],
        MtlsMode.PERMISSIVE: [_tcp(port, "tls", MESH_PROTOCOLS, tls=tls), _tcp(port, "tls"), _tcp(port, "raw_buffer")],
        MtlsMode.DISABLE: [_tcp(port, "raw_buffer")],
    }[port.mode]


def _auto_chains(port: _Port, settings: InboundSettings) -> list[ChainPlan]:
    http_tls, tcp_tls = _mesh_tls(_HTTP_ALPN, settings), _mesh_tls(_TCP_ALPN, settings)
    secure = _http(port, "tls", HTTP_IN_TLS, tls=http_tls)
    plain = _http(port, "raw_buffer", _PLAIN_HTTP)
    return {
        MtlsMode.STRICT: [secure, _tcp(port, "tls", tls=tcp_tls)],
        MtlsMode.PERMISSIVE: [
            secure,
            plain,
            _tcp(port, "tls", _TCP_IN_TLS, tls=tcp_tls),
            _tcp(port, "raw_buffer"),
            _tcp(port, "tls"),
        ],
        MtlsMode.DISABLE: [plain, _tcp(port, "raw_buffer")],
    }[port.mode]


def _mesh_tls(alpn: tuple[str, ...], settings: InboundSettings) -> MeshTls:
    return MeshTls(alpn=alpn, client_prefixes=settings.client_prefixes, min_version=settings.min_tls)


def _http(port: _Port, transport: str, protocols: tuple[str, ...] = (), tls: MeshTls | CredentialTls | None = None) -> ChainPlan:
    return ChainPlan(name=port.http_name, match=_match(port, transport, protocols), tls=tls, application=port.http)


def _tcp(port: _Port, transport: str, protocols: tuple[str, ...] = (), tls: MeshTls | CredentialTls | None = None) -> ChainPlan:
    return ChainPlan(name=port.tcp_name, match=_match(port, transport, protocols), tls=tls, application=port.tcp)


def _match(port: _Port, transport: str, protocols: tuple[str, ...]) -> ChainMatch:
    return ChainMatch(port=port.number, transport="tls" if transport == "tls" else "raw_buffer", protocols=protocols)


def _inspectors(ports: list[_Port]) -> tuple[InspectorPlan, ...]:
    """TLS is looked for except on plaintext ports; HTTP only where it decides between chains of plaintext connections."""
    found = (
        _inspector("tls", ports, lambda port: port.mode != MtlsMode.DISABLE or port.tls is not None),
        _inspector("http", ports, _detects_http),
    )
    return tuple(one for one in found if one is not None)


def _inspector(kind: Literal["tls", "http"], ports: list[_Port], needed: Callable[[_Port], bool]) -> InspectorPlan | None:
    """Ports that no chain names are like port 0: where it needs the filter, others are left out, else they are named."""
    on = tuple(sorted(port.number for port in ports if needed(port)))
    off = tuple(sorted(port.number for port in ports if not needed(port)))
    if 0 in on:
        return InspectorPlan(kind=kind, off_ports=(*off, INBOUND_PORT))
    return InspectorPlan(kind=kind, only_ports=on) if on else None


def _detects_tls(port: _Port) -> bool:
    return port.mode != MtlsMode.DISABLE or port.tls is not None


def _detects_http(port: _Port) -> bool:
    return port.protocol == Protocol.AUTO and port.mode != MtlsMode.STRICT
