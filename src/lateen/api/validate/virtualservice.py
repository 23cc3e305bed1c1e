"""VirtualService: hosts and gateways. The rules themselves are checked in `httproute`."""

import re

from lateen.api.validate.httproute import check_destination, check_http_route
from lateen.api.validate.names import (
    check_domain,
    check_export_to,
    check_gateway_names,
    check_labels,
    check_port,
)
from lateen.api.validate.report import Report
from lateen.api.validate.shadowed import check_reached
from lateen.api.virtualservice import L4MatchAttributes, RouteDestination, TLSMatchAttributes, VirtualService, VirtualServiceSpec
from lateen.util import hosts, ipnets

__all__ = ["check_virtual_service"]

_MESH = "mesh"
# What sidecars send as SNI to an AUTO_PASSTHROUGH gateway: the name of a cluster, `outbound_.80_.v1_.host`.
_GENERATED = re.compile(r"outbound_\.[0-9]+_\.[-a-zA-Z0-9.]*_\.[-a-zA-Z0-9.*]+")


def check_virtual_service(report: Report, service: VirtualService) -> None:
    """All of one VirtualService."""
    spec, at = service.spec, report.at("spec")
    check_gateway_names(at.at("gateways"), spec.gateways)
    in_mesh = not spec.gateways or _MESH in spec.gateways
    delegate = not spec.hosts
    if delegate:
        _delegate(at, service)
    for index, host in enumerate(spec.hosts):
        _host(at.at("hosts", index), host, in_mesh=in_mesh, sni=bool(spec.tls))
        if twice := next((other for other in spec.hosts[:index] if hosts.overlaps(host, other)), ""):
            at.at("hosts", index).error(f'duplicate hosts in virtual service: "{host}" and "{twice}" name the same')
    if not (spec.http or spec.tcp or spec.tls):
        at.error("http, tcp or tls must be provided in virtual service")
    for index, route in enumerate(spec.http):
        check_http_route(at.at("http", index), route, gateways=spec.gateways, delegate=delegate)
    _l4_routes(at, spec)
    for field, routes in (("http", spec.http), ("tls", spec.tls), ("tcp", spec.tcp)):
        check_reached(at.at(field), routes)
    check_export_to(at.at("exportTo"), spec.export_to)


def _l4_routes(report: Report, spec: VirtualServiceSpec) -> None:
    for index, tls in enumerate(spec.tls):
        where = report.at("tls", index)
        if not tls.match:
            where.at("match").error("TLS route must have at least one match condition: sniHosts")
        for number, match in enumerate(tls.match):
            _tls_match(where.at("match", number), match, spec.hosts)
        _destinations(where.at("route"), tls.route)
    for index, tcp in enumerate(spec.tcp):
        where = report.at("tcp", index)
        for number, attributes in enumerate(tcp.match):
            _l4_match(where.at("match", number), attributes)
        _destinations(where.at("route"), tcp.route)


def _delegate(report: Report, service: VirtualService) -> None:
    spec = service.spec
    if not spec.http:
        report.at("hosts").error("virtual service must have at least one host; only a delegate, which has http routes alone, has none")
    for field, given in (("gateways", spec.gateways), ("tls", spec.tls), ("tcp", spec.tcp)):
        if given:
            report.at(field).error(f"delegate virtual service (one without hosts) must have no {field}")


def _host(report: Report, host: str, *, in_mesh: bool, sni: bool) -> None:
    if ipnets.is_address(host) or (sni and _GENERATED.fullmatch(host)):
        return
    check_domain(report, host)
    if host == "*" and in_mesh:
        report.error('"*" is not taken in the mesh, as it would catch all traffic; name hosts, or name gateways only')


def _tls_match(report: Report, match: TLSMatchAttributes, known: tuple[str, ...]) -> None:
    if not match.sni_hosts:
        report.at("sniHosts").error("TLS match must have at least one SNI host")
    for index, name in enumerate(match.sni_hosts):
        where = report.at("sniHosts", index)
        if ipnets.is_address(name):
            where.warn(f'"{name}" is an address: clients never send one as SNI, so nothing matches')
            continue
        if not _GENERATED.fullmatch(name):
            check_domain(where, name)
        if not any(hosts.matches(host, name) for host in known):
            where.error(f'SNI host "{name}" is not a compatible subset of any of the virtual service hosts: {", ".join(known)}')
    _subnets(report.at("destinationSubnets"), match.destination_subnets)
    if match.port:
        check_port(report.at("port"), match.port)
    check_labels(report.at("sourceLabels"), match.source_labels)
    check_gateway_names(report.at("gateways"), match.gateways)


def _l4_match(report: Report, match: L4MatchAttributes) -> None:
    _subnets(report.at("destinationSubnets"), match.destination_subnets)
    if match.source_subnet:
        _subnets(report.at("sourceSubnet"), (match.source_subnet,))
    if match.port:
        check_port(report.at("port"), match.port)
    check_labels(report.at("sourceLabels"), match.source_labels)
    check_gateway_names(report.at("gateways"), match.gateways)


def _subnets(report: Report, subnets: tuple[str, ...]) -> None:
    for index, subnet in enumerate(subnets):
        try:
            ipnets.parse(subnet)
        except ValueError:
            report.at(index).error(f'"{subnet}" is neither an address nor a range')


def _destinations(report: Report, routes: tuple[RouteDestination, ...]) -> None:
    if not routes:
        report.error("at least one destination is required")
    total = 0
    for index, route in enumerate(routes):
        check_destination(report.at(index, "destination"), route.destination)
        if route.weight < 0:
            report.at(index, "weight").error(f"weight {route.weight} < 0")
        total += route.weight
    if len(routes) > 1 and not total:
        report.error("total destination weight = 0: say by weight how connections are shared out")
