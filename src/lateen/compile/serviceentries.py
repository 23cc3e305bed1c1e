"""ServiceEntries become services of the mesh, one per host; their inline endpoints and WorkloadEntries become endpoints."""

from collections.abc import Iterable, Iterator, Mapping

from msgspec.structs import replace

from lateen.api.meta import Key
from lateen.api.serviceentry import ServiceEntry, WorkloadEntrySpec
from lateen.compile.addresses import AUTO_ALLOCATE
from lateen.compile.endpoints import endpoint_of
from lateen.compile.protocols import protocol_of
from lateen.compile.services import DISTRIBUTION
from lateen.compile.virtualservices import exported_to
from lateen.compile.workloads import spiffe_uri, tls_mode, workload_tag
from lateen.model.endpoint import Endpoint, Health, Locality
from lateen.model.service import Port, Resolution, Service, ServiceKey
from lateen.model.workload import Workload
from lateen.util.hosts import resolve
from lateen.util.ipnets import is_address, parse
from lateen.util.problem import Problem, Problems
from lateen.util.selectors import canonical

__all__ = ["compile_entry", "endpoint_problems", "entry_endpoints", "merge_entries", "new_ports", "oldest_first", "selected_endpoints"]

_UNIX = "unix://"
_PORTS = range(1, 65_536)
_BY_ADDRESS = ("STATIC", "NONE")


def compile_entry(entry: ServiceEntry, *, domain: str, default_export: tuple[str, ...]) -> tuple[Mapping[ServiceKey, Service], Problems]:
    """The services of a ServiceEntry by key. What no proxy could use is left out, with a problem."""
    meta, spec = entry.metadata, entry.spec
    problems: list[Problem] = []
    ports = tuple(_ports(entry, problems))
    addresses = tuple(_addresses(entry, problems))
    services = {}
    for host in dict.fromkeys(resolve(host, meta.namespace, domain) for host in spec.hosts):
        key = ServiceKey(meta.namespace, host)
        services[key] = Service(
            key=key,
            name=host,
            origin=Key("ServiceEntry", meta.namespace, meta.name),
            generation=meta.generation,
            creation=meta.creation_timestamp,
            registry="External",
            resolution=Resolution(spec.resolution),
            ports=ports,
            addresses=addresses,
            auto_addresses=_given(entry, host) if not addresses else (),
            mesh_external=spec.location == "MESH_EXTERNAL",
            export_to=exported_to(spec.export_to or default_export, meta.namespace),
            labels=canonical(meta.labels),
            selector=canonical(spec.workload_selector.labels) if spec.workload_selector is not None else (),
            subject_alt_names=spec.subject_alt_names,
            traffic_distribution=meta.annotations.get(DISTRIBUTION, ""),
        )
    return services, tuple(problems)


def _ports(entry: ServiceEntry, problems: list[Problem]) -> Iterator[Port]:
    for at, port in enumerate(entry.spec.ports):
        target = port.target_port or port.number
        if port.number not in _PORTS or target not in _PORTS:
            problems.append(_problem(entry, f"spec.ports[{at}]", f"port {port.number} to {target}", "ports are numbers from 1 to 65535"))
        else:
            protocol = protocol_of(port.protocol or port.name, None, port.number)
            yield Port(number=port.number, name=port.name, protocol=protocol, target_port=target)


def _addresses(entry: ServiceEntry, problems: list[Problem]) -> Iterator[str]:
    for at, address in enumerate(entry.spec.addresses):
        try:
            parse(address)
        except ValueError:
            wanted = "expected an IP address or a range such as 192.0.2.0/24"
            problems.append(_problem(entry, f"spec.addresses[{at}]", f"address {address[:60]!r}", wanted))
        else:
            yield address


def endpoint_problems(entry: ServiceEntry) -> Problems:
    """Endpoints that a proxy cannot connect to: without DNS an address must be one."""
    if entry.spec.resolution not in _BY_ADDRESS:
        return ()
    wrong = [(at, one.address) for at, one in enumerate(entry.spec.endpoints) if not _reachable(one.address)]
    wanted = "expected an IP address or unix:// path; names need resolution DNS"
    return tuple(_problem(entry, f"spec.endpoints[{at}].address", f"endpoint {address[:60]!r}", wanted) for at, address in wrong)


def _reachable(address: str) -> bool:
    return is_address(address) or address.startswith(_UNIX)


def _problem(entry: ServiceEntry, path: str, what: str, wanted: str) -> Problem:
    meta = entry.metadata
    return Problem(
        code="service-entry",
        message=f"ServiceEntry {meta.namespace}/{meta.name}: {path}: {what} is left out: {wanted}",
        kind="ServiceEntry",
        namespace=meta.namespace,
        name=meta.name,
        path=path,
    )


def oldest_first(parts: Iterable[Service]) -> list[Service]:
    """ServiceEntries of one host by age."""
    return sorted(parts, key=lambda part: (part.creation, part.origin.name))


def new_ports(parts: Iterable[Service]) -> Iterator[tuple[Service, tuple[Port, ...]]]:
    """Of ServiceEntries of one host, oldest first, the ports that each adds to those before it."""
    taken: set[int] = set()
    for part in parts:
        ports = tuple(port for port in part.ports if port.number not in taken)
        taken.update(port.number for port in ports)
        yield part, ports


def merge_entries(parts: list[Service], address: str | None) -> Service:
    """One service of all ServiceEntries of a host and namespace: the oldest, with the ports that the others add."""
    ports = tuple(port for _, added in new_ports(parts) for port in added)
    automatic = parts[0].auto_addresses or ((address,) if address is not None else ())
    return replace(parts[0], ports=ports, auto_addresses=automatic)


def _given(entry: ServiceEntry, host: str) -> tuple[str, ...]:
    """Addresses that an Istio controller gave out and wrote to the status."""
    if entry.status is None or entry.metadata.labels.get(AUTO_ALLOCATE, "").lower() == "false":
        return ()
    return tuple(address.value for address in entry.status.addresses if address.host in ("", host))


def entry_endpoints(
    service: Service, workloads: Iterable[tuple[WorkloadEntrySpec, str, str]], *, trust_domain: str, cluster: str
) -> tuple[Endpoint, ...]:
    """Endpoints of a service's ports. Each workload comes with its namespace and its name."""
    named = service.resolution not in _BY_ADDRESS
    known = [one for one in workloads if one[0].address and (named or _reachable(one[0].address))]
    ports = service.ports
    found = (_endpoint(port, workload, namespace, name, trust_domain, cluster) for port in ports for workload, namespace, name in known)
    return tuple(endpoint for endpoint in found if endpoint is not None)


def selected_endpoints(ports: Iterable[Port], workloads: Iterable[Workload]) -> tuple[Endpoint, ...]:
    """Endpoints at the pods that a ServiceEntry selects; a pod that is not ready gets no traffic."""
    ready = [workload for workload in workloads if workload.ready and workload.addresses]
    return tuple(
        endpoint_of(workload.addresses[0], port, workload.ports.get(port.name) or port.target_port, workload, workload.cluster)
        for port in ports
        for workload in ready
    )


def _endpoint(port: Port, workload: WorkloadEntrySpec, namespace: str, name: str, trust_domain: str, cluster: str) -> Endpoint | None:
    """None where the workload does not have the named port that the service means."""
    local = workload.address.startswith(_UNIX)
    number = workload.ports.get(port.name) or port.target_port or workload.ports.get(port.target_name, 0)
    if not local and number not in _PORTS:
        return None
    region, _, rest = workload.locality.partition("/")
    zone, _, subzone = rest.partition("/")
    account = workload.service_account
    return Endpoint(
        address=workload.address,
        port=0 if local else number,
        service_port=port.number,
        health=Health.UNKNOWN,
        weight=workload.weight,
        locality=Locality(region, zone, subzone),
        network=workload.network,
        cluster=cluster,
        tls_mode=tls_mode(workload.labels, "istio" if account else "disabled"),
        identity=spiffe_uri(trust_domain, namespace, account) if account else "",
        namespace=namespace,
        workload=name,
        tag=workload_tag(workload.labels, name, namespace, cluster),
        labels=canonical(workload.labels),
    )
