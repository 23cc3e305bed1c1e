"""ServiceEntry, WorkloadEntry and WorkloadGroup."""

from collections.abc import Mapping

from lateen.api.serviceentry import ServiceEntry, ServiceEntrySpec, WorkloadEntry, WorkloadEntrySpec
from lateen.api.validate.gateway import PROTOCOLS
from lateen.api.validate.names import (
    check_domain,
    check_export_to,
    check_fqdn,
    check_labels,
    check_port,
    check_port_name,
    check_selector,
    is_fqdn,
)
from lateen.api.validate.report import Report
from lateen.api.workloadgroup import ReadinessProbe, WorkloadGroup
from lateen.util import ipnets

__all__ = ["check_service_entry", "check_workload_entry", "check_workload_group"]

_WAYPOINT = "istio.io/use-waypoint"


def check_service_entry(report: Report, entry: ServiceEntry) -> None:
    """All of one entry."""
    spec, at = entry.spec, report.at("spec")
    if not spec.hosts:
        at.at("hosts").error("Required value: at least one host")
    for index, host in enumerate(spec.hosts):
        if host == "*":
            at.at("hosts", index).error('"*" would be every host; name one, or a domain such as *.example.com')
        elif spec.resolution != "DYNAMIC_DNS" or is_fqdn(host):
            check_domain(at.at("hosts", index), host)
    check_selector(at.at("workloadSelector"), spec.workload_selector)
    if spec.workload_selector is not None and spec.endpoints:
        at.error("only one of WorkloadSelector or Endpoints can be set")
    _addresses(at, spec)
    _ports(at, spec)
    for index, endpoint in enumerate(spec.endpoints):
        _endpoint(at.at("endpoints", index), endpoint, spec)
    _RESOLUTIONS[spec.resolution](at, spec)
    if spec.resolution == "DYNAMIC_DNS" and spec.location == "MESH_INTERNAL" and _WAYPOINT in entry.metadata.labels:
        at.at("location").error("DYNAMIC_DNS with a waypoint is for MESH_EXTERNAL hosts only")
    check_export_to(at.at("exportTo"), spec.export_to)
    _hints(at, spec)


def _addresses(report: Report, spec: ServiceEntrySpec) -> None:
    for index, address in enumerate(spec.addresses):
        where = report.at("addresses", index)
        try:
            ipnets.parse(address)
        except ValueError:
            where.error(f'"{address}" is neither an address nor a range')
            continue
        if "/" in address and spec.resolution not in {"NONE", "STATIC"}:
            where.error(f'"{address}": CIDR addresses are allowed only for NONE/STATIC resolution types')


def _ports(report: Report, spec: ServiceEntrySpec) -> None:
    numbers: set[int] = set()
    names: set[str] = set()
    for index, port in enumerate(spec.ports):
        where = report.at("ports", index)
        check_port(where.at("number"), port.number)
        check_port_name(where.at("name"), port.name)
        if port.protocol and port.protocol.upper() not in PROTOCOLS:
            where.at("protocol").error(f'"{port.protocol}" is not a protocol; known are {", ".join(sorted(PROTOCOLS))}')
        if port.target_port:
            check_port(where.at("targetPort"), port.target_port)
            if spec.resolution == "NONE":
                where.at("targetPort").warn("with resolution NONE connections keep their port; targetPort is not read")
        if port.number in numbers:
            where.at("number").error(f"port number cannot be duplicated: {port.number} is given twice")
        if port.name in names:
            where.at("name").error(f'"{port.name}" is given twice')
        numbers.add(port.number)
        names.add(port.name)


def _endpoint(report: Report, endpoint: WorkloadEntrySpec, spec: ServiceEntrySpec) -> None:
    unix = endpoint.address.startswith("unix://")
    if unix:
        _unix(report, endpoint)
        if len(spec.ports) != 1:
            report.at("address").error("a Unix socket serves one port; the ServiceEntry has several")
    check_labels(report.at("labels"), endpoint.labels)
    known = {port.name for port in spec.ports}
    for name, number in endpoint.ports.items():
        check_port(report.at("ports", name), number)
        if name not in known:
            report.at("ports", name).error(f'the ServiceEntry has no port named "{name}"')


def _unix(report: Report, endpoint: WorkloadEntrySpec) -> None:
    path = endpoint.address.removeprefix("unix://")
    if not path.startswith(("/", "@")):
        report.at("address").error(f'"{endpoint.address}": UDS must be an absolute path or abstract socket')
    if endpoint.ports:
        report.at("ports").error("UDS may not include ports")


def _resolve_none(report: Report, spec: ServiceEntrySpec) -> None:
    if spec.endpoints:
        report.at("endpoints").error("NONE mode cannot set endpoints: connections go where the caller sends them")


def _resolve_static(report: Report, spec: ServiceEntrySpec) -> None:
    for index, endpoint in enumerate(spec.endpoints):
        address = endpoint.address
        if not address.startswith("unix://") and not ipnets.is_address(address) and not (not address and endpoint.network):
            report.at("endpoints", index, "address").error(f'"{address}": with resolution STATIC an endpoint is an address, or unix://...')


def _resolve_dns(report: Report, spec: ServiceEntrySpec) -> None:
    if spec.resolution == "DNS_ROUND_ROBIN" and len(spec.endpoints) > 1:
        report.at("endpoints").error("DNS_ROUND_ROBIN mode cannot have multiple endpoints")
    if not spec.endpoints and spec.workload_selector is None:
        for index, host in enumerate(spec.hosts):
            if not is_fqdn(host):
                report.at("hosts", index).error(f'"{host}" cannot be looked up; without endpoints a host must be a whole name')
    for index, endpoint in enumerate(spec.endpoints):
        address = endpoint.address
        if not ipnets.is_address(address) and not is_fqdn(address) and not (not address and endpoint.network):
            report.at("endpoints", index, "address").error(
                f'"{address}": with resolution {spec.resolution} an endpoint is a name or an address'
            )


def _resolve_dynamically(report: Report, spec: ServiceEntrySpec) -> None:
    if spec.endpoints or spec.workload_selector is not None:
        report.error("DYNAMIC_DNS looks up the host that is asked for; it has neither endpoints nor a workloadSelector")
    for index, host in enumerate(spec.hosts):
        if not host.startswith("*"):
            report.at("hosts", index).error(f'"{host}": DYNAMIC_DNS is for wildcard hosts, such as *.example.com')
    for index, port in enumerate(spec.ports):
        if port.protocol.upper() not in {"HTTP", "HTTP2", "GRPC", "HTTPS", "TLS", ""}:
            report.at("ports", index, "protocol").error(
                f"{port.protocol} does not say which host is meant, as DYNAMIC_DNS needs; HTTP and TLS do"
            )


_RESOLUTIONS = {
    "NONE": _resolve_none,
    "STATIC": _resolve_static,
    "DNS": _resolve_dns,
    "DNS_ROUND_ROBIN": _resolve_dns,
    "DYNAMIC_DNS": _resolve_dynamically,
}


def _hints(report: Report, spec: ServiceEntrySpec) -> None:
    selector = spec.workload_selector
    if selector is not None and all(selector.labels) and spec.resolution == "NONE":
        report.at("resolution").warn("with a workloadSelector, resolution NONE ignores the workloads' own addresses; STATIC uses them")
    if not spec.addresses and spec.resolution == "NONE" and any(port.protocol.upper() in {"", "TCP"} for port in spec.ports):
        report.at("addresses").warn(
            "without addresses a TCP port (or one without a protocol) takes the traffic of all addresses at that port"
        )


def check_workload_entry(report: Report, entry: WorkloadEntry) -> None:
    """All of one entry."""
    _workload(report.at("spec"), entry.spec)


def _workload(report: Report, spec: WorkloadEntrySpec) -> None:
    address = spec.address
    if not address:
        if spec.network:
            report.at("address").warn("without an address it is reached only through the gateway of its network")
        else:
            report.at("address").error("Address is required, unless network is set")
    elif address.startswith("unix://"):
        _unix(report, spec)
    elif not ipnets.is_address(address):
        check_fqdn(report.at("address"), address)
    _workload_ports(report, spec.ports)
    check_labels(report.at("labels"), spec.labels)


def _workload_ports(report: Report, ports: Mapping[str, int]) -> None:
    for name, number in ports.items():
        check_port(report.at("ports", name), number)
        if not is_fqdn(name) or "." in name:
            report.at("ports").error(f'Invalid value: "{name}" is not a name of a port')


def check_workload_group(report: Report, group: WorkloadGroup) -> None:
    """All of one group."""
    spec, at = group.spec, report.at("spec")
    if spec.template is None:
        at.at("template").error("Required value: what the group's workloads have in common")
    else:
        check_labels(at.at("template", "labels"), spec.template.labels)
        _workload_ports(at.at("template"), spec.template.ports)
    if spec.metadata is not None:
        check_labels(at.at("metadata", "labels"), spec.metadata.labels)
    if spec.probe is not None:
        _probe(at.at("probe"), spec.probe)


def _probe(report: Report, probe: ReadinessProbe) -> None:
    if all(each is None for each in (probe.http_get, probe.tcp_socket, probe.exec, probe.grpc)):
        report.error("what is asked is required: httpGet, tcpSocket, exec or grpc")
    for field, value in (
        ("initialDelaySeconds", probe.initial_delay_seconds),
        ("timeoutSeconds", probe.timeout_seconds),
        ("periodSeconds", probe.period_seconds),
        ("successThreshold", probe.success_threshold),
        ("failureThreshold", probe.failure_threshold),
    ):
        if value < 0:
            report.at(field).error(f"{value}: must be non-negative")
    for field, check in (("httpGet", probe.http_get), ("tcpSocket", probe.tcp_socket), ("grpc", probe.grpc)):
        if check is not None:
            check_port(report.at(field, "port"), check.port)
    if probe.http_get is not None and probe.http_get.scheme not in {"", "HTTP", "HTTPS", "http", "https"}:
        report.at("httpGet", "scheme").error(f'"{probe.http_get.scheme}" is not HTTP or HTTPS')
    if probe.exec is not None and not probe.exec.command:
        report.at("exec", "command").error("a command is required")
