"""ServiceEntries become services of the mesh, one per host; their inline endpoints and WorkloadEntries become endpoints."""

from collections.abc import Iterable, Mapping

from lateen.api.meta import Key
from lateen.api.serviceentry import ServiceEntry, WorkloadEntrySpec
from lateen.compile.protocols import protocol_of
from lateen.compile.virtualservices import exported_to
from lateen.compile.workloads import spiffe_uri, tls_mode, workload_tag
from lateen.model.endpoint import Endpoint, Health, Locality
from lateen.model.service import Port, Resolution, Service, ServiceKey
from lateen.util.hosts import resolve
from lateen.util.selectors import canonical

__all__ = ["compile_entry", "entry_endpoints"]

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
            addresses=spec.addresses or _automatic(entry, host),
            mesh_external=spec.location == "MESH_EXTERNAL",
            export_to=exported_to(spec.export_to or default_export, meta.namespace),
            labels=canonical(meta.labels),
            selector=canonical(spec.workload_selector.labels) if spec.workload_selector is not None else (),
            subject_alt_names=spec.subject_alt_names,
        )
    return services


def _automatic(entry: ServiceEntry, host: str) -> tuple[str, ...]:
    """Addresses that were given out automatically and written to the status."""
    if entry.status is None:
        return ()
    return tuple(address.value for address in entry.status.addresses if address.host in ("", host))


def entry_endpoints(
    service: Service, workloads: Iterable[tuple[WorkloadEntrySpec, str, str]], *, trust_domain: str, cluster: str
) -> tuple[Endpoint, ...]:
    """Endpoints of the service's ports. Each workload comes with its namespace and its name."""
    return tuple(
        _endpoint(port, workload, namespace, name, trust_domain, cluster)
        for port in service.ports
        for workload, namespace, name in workloads
    )


def _endpoint(port: Port, workload: WorkloadEntrySpec, namespace: str, name: str, trust_domain: str, cluster: str) -> Endpoint:
    local = workload.address.startswith(_UNIX)
    region, _, rest = workload.locality.partition("/")
    zone, _, subzone = rest.partition("/")
    account = workload.service_account
    return Endpoint(
        address=workload.address,
        port=0 if local else workload.ports.get(port.name) or port.target_port,
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
