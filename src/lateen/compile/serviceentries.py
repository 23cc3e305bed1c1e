"""ServiceEntries become services of the mesh, one per host; their inline endpoints and WorkloadEntries become endpoints."""

from collections.abc import Iterable, Iterator, Mapping

from msgspec.structs import replace

from lateen.api.meta import Key
from lateen.api.serviceentry import ServiceEntry, WorkloadEntrySpec
from lateen.compile.endpoints import endpoint_of
from lateen.compile.protocols import protocol_of
from lateen.compile.virtualservices import exported_to
from lateen.compile.workloads import spiffe_uri, tls_mode, workload_tag
from lateen.model.endpoint import Endpoint, Health, Locality
from lateen.model.service import Port, Resolution, Service, ServiceKey
from lateen.model.workload import Workload
from lateen.util.hosts import resolve
from lateen.util.selectors import canonical

__all__ = ["compile_entry", "entry_endpoints", "merge_entries", "new_ports", "oldest_first", "selected_endpoints"]

_UNIX = "unix://"


def compile_entry(entry: ServiceEntry, *, domain: str, default_export: tuple[str, ...]) -> Mapping[ServiceKey, Service]:
    """The services of a ServiceEntry by key."""
    meta, spec = entry.metadata, entry.spec
    ports = tuple(
        Port(
            number=port.number,
            name=port.name,
            protocol=protocol_of(port.protocol or port.name, None, port.number),
            target_port=port.target_port or port.number,
        )
        for port in spec.ports
    )
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
            addresses=spec.addresses,
            auto_addresses=_given(entry, host) if not spec.addresses else (),
            mesh_external=spec.location == "MESH_EXTERNAL",
            export_to=exported_to(spec.export_to or default_export, meta.namespace),
            labels=canonical(meta.labels),
            selector=canonical(spec.workload_selector.labels) if spec.workload_selector is not None else (),
            subject_alt_names=spec.subject_alt_names,
        )
    return services


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
    if entry.status is None:
        return ()
    return tuple(address.value for address in entry.status.addresses if address.host in ("", host))


def entry_endpoints(
    ports: Iterable[Port], workloads: Iterable[tuple[WorkloadEntrySpec, str, str]], *, trust_domain: str, cluster: str
) -> tuple[Endpoint, ...]:
    """Endpoints of a service's ports. Each workload comes with its namespace and its name."""
    known = tuple(workloads)
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
    if not local and not number:
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
