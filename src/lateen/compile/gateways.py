"""Gateways that select one proxy become ports with servers: merged where they agree, the first created wins where they do not.

On one port all servers must speak the same kind of protocol: HTTP in the clear, TLS, or plain TCP. TLS servers of one port must differ
in their host names. A server that does not fit, or names what it may not have, is left out with a problem on its Gateway.
"""

from collections.abc import Callable, Iterable, Mapping
from enum import Enum

from lateen.api.gateway import Gateway, Server
from lateen.api.meta import Key
from lateen.model.gateway import GatewayPort, MergedServer, ServerHost
from lateen.model.scope import ServiceInstance
from lateen.model.service import Protocol
from lateen.util.problem import Problem

__all__ = ["AUTO_PASSTHROUGH", "has_http3", "merge_gateways", "services_of_gateway"]

AUTO_PASSTHROUGH = "AUTO_PASSTHROUGH"  # mode of servers that pass on what sidecars sent, to where its server name says
_SERVICES = "internal.istio.io/gateway-service"  # written by whoever made the Gateway for certain Services

_PROTOCOLS = {protocol.value: protocol for protocol in Protocol}


class _Kind(Enum):
    HTTP = "HTTP"
    TLS = "TLS"
    TCP = "TCP"


def merge_gateways(
    gateways: Iterable[Gateway], instances: Iterable[ServiceInstance], forbidden: Callable[[MergedServer], str] = lambda _server: ""
) -> tuple[tuple[GatewayPort, ...], tuple[Problem, ...]]:
    """The ports of a proxy. `instances` are the Services in front of it: they map a server's port to the one listened on.

    `forbidden` says why a server may not have what it names, "" where it may.
    """
    instances = tuple(instances)
    ports: dict[tuple[int, str], list[MergedServer]] = {}
    problems: list[Problem] = []
    for gateway in sorted(gateways, key=lambda g: (g.metadata.creation_timestamp, g.metadata.name, g.metadata.namespace)):
        services = services_of_gateway(gateway)
        targets = _targets(one for one in instances if not services or one.service.hostname in services)
        for position, server in enumerate(gateway.spec.servers):
            merged = _server(gateway, server)
            if merged is None:
                continue
            if denied := forbidden(merged):
                problems.append(_problem(gateway, position, denied))
                continue
            for listen in targets.get(merged.number, () if services else (merged.number,)):
                present = ports.setdefault((listen, server.bind), [])
                why = _misfit(merged, present)
                if why:
                    problems.append(_problem(gateway, position, why))
                else:
                    present.append(merged)
    plans = (GatewayPort(listen=listen, bind=bind, servers=tuple(servers)) for (listen, bind), servers in sorted(ports.items()) if servers)
    return tuple(plans), tuple(problems)


def services_of_gateway(gateway: Gateway) -> tuple[str, ...]:
    """Host names of the Services that alone decide which proxies serve it, and on which ports; () where labels select the proxies."""
    return tuple(filter(None, gateway.metadata.annotations.get(_SERVICES, "").split(",")))


def has_http3(server: MergedServer) -> bool:
    """Whether HTTP/3 may stand beside it: HTTPS that the gateway itself ends, for the outside."""
    tls = server.tls
    return server.protocol == Protocol.HTTPS and tls is not None and tls.mode in ("SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL")


def _targets(instances: Iterable[ServiceInstance]) -> Mapping[int, tuple[int, ...]]:
    targets: dict[int, set[int]] = {}
    for instance in instances:
        targets.setdefault(instance.port.number, set()).add(instance.target_port)
    return {port: tuple(sorted(found)) for port, found in targets.items()}


def _server(gateway: Gateway, server: Server) -> MergedServer | None:
    meta = gateway.metadata
    if server.port is None:
        return None
    return MergedServer(
        gateway=f"{meta.namespace}/{meta.name}",
        number=server.port.number,
        port_name=server.port.name,
        name=server.name,
        protocol=_PROTOCOLS.get(server.port.protocol.upper(), Protocol.TCP),
        hosts=tuple(_host(host, meta.namespace) for host in server.hosts),
        tls=server.tls,
        owner=(Key("Gateway", meta.namespace, meta.name), meta.generation),
    )


def _host(text: str, namespace: str) -> ServerHost:
    place, slash, host = text.partition("/")
    if not slash:
        return ServerHost("*", place.lower())
    return ServerHost(namespace if place == "." else place, host.lower())


def _kind(server: MergedServer) -> _Kind:
    if server.protocol.is_http:
        return _Kind.HTTP
    return _Kind.TLS if server.protocol.is_tls or (server.tls is not None and not server.redirects) else _Kind.TCP


def _misfit(server: MergedServer, present: list[MergedServer]) -> str:
    """Why the server cannot join those already on the port; "" when it can."""
    if not present:
        return ""
    first = present[0]
    if _kind(first) != _kind(server):
        return f"{first.gateway} already serves {first.protocol} there; use another port"
    if _kind(server) == _Kind.TCP:
        return f"{first.gateway} already takes every connection there; use another port"
    if _kind(server) == _Kind.TLS:
        taken = {host.host: one.gateway for one in present for host in one.hosts}
        for host in server.hosts:
            if host.host in taken:
                return f"{taken[host.host]} already serves TLS for {host.host} there; remove the host from one of them"
    return ""


def _problem(gateway: Gateway, position: int, why: str) -> Problem:
    port = gateway.spec.servers[position].port
    return Problem(
        code="gateway-conflict",
        message=f"server {position} on port {port.number if port is not None else 0} is left out: {why}",
        kind="Gateway",
        namespace=gateway.metadata.namespace,
        name=gateway.metadata.name,
        path=f"spec.servers[{position}]",
        severity="warning",
    )
