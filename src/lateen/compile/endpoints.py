"""EndpointSlices and the workloads behind them become endpoints of a service."""

from collections.abc import Callable, Iterable

from msgspec.structs import replace

from lateen.api.services import Endpoint as SliceEndpoint
from lateen.api.services import EndpointSlice
from lateen.model.endpoint import Endpoint, Health
from lateen.model.service import Port, Service
from lateen.model.workload import Workload

__all__ = ["SERVICE_LABEL", "Find", "endpoint_of", "slice_endpoints"]

SERVICE_LABEL = "kubernetes.io/service-name"

Find = Callable[[str, str, str], Workload | None]  # namespace, pod ("" = not told), address


def slice_endpoints(service: Service, slices: Iterable[EndpointSlice], find: Find, *, cluster: str) -> tuple[Endpoint, ...]:
    """All endpoints, sorted. `find` gives the workload behind one; a pod that is named but not known yet gets no traffic."""
    found: dict[tuple[str, int, int], Endpoint] = {}
    for one in slices:
        ports = _ports(service, one)
        for endpoint in one.endpoints if ports and one.address_type != "FQDN" else ():
            if not endpoint.addresses or not _takes_traffic(endpoint, ready_or_not=service.publish_not_ready):
                continue
            address = endpoint.addresses[0]
            name = endpoint.target_ref.name if endpoint.target_ref is not None and endpoint.target_ref.kind == "Pod" else ""
            workload = find(service.namespace, name, address)
            if name and workload is None:
                continue
            for port, number in ports:
                one_port = endpoint_of(address, port, number, workload, cluster)
                found[(address, port.number, number)] = replace(one_port, hostname=endpoint.hostname) if endpoint.hostname else one_port
    return tuple(found[key] for key in sorted(found))


def _takes_traffic(endpoint: SliceEndpoint, *, ready_or_not: bool) -> bool:
    return endpoint.conditions.ready is not False or ready_or_not


def _ports(service: Service, one: EndpointSlice) -> list[tuple[Port, int]]:
    """The service's ports that the slice serves, each with the port on the workload."""
    by_name = {port.name: port.port for port in one.ports if port.port is not None}
    return [(port, by_name[port.name]) for port in service.ports if port.name in by_name]


def endpoint_of(
    address: str, port: Port, number: int, workload: Workload | None, cluster: str, health: Health = Health.HEALTHY
) -> Endpoint:
    """The endpoint of `port` at `number` of an address, with what is known of the workload there."""
    if workload is None:
        return Endpoint(address=address, port=number, service_port=port.number, health=health, cluster=cluster)
    return Endpoint(
        address=address,
        port=number,
        service_port=port.number,
        health=health,
        locality=workload.locality,
        cluster=workload.cluster,
        node=workload.node,
        tls_mode=workload.tls_mode,
        identity=workload.identity,
        namespace=workload.namespace,
        workload=workload.workload,
        tag=workload.tag,
        labels=workload.labels,
    )
