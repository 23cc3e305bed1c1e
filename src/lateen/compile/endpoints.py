"""EndpointSlices and the pods behind them become endpoints of a service."""

from collections.abc import Callable, Iterable

from lateen.api.pods import Pod
from lateen.api.services import Endpoint as SliceEndpoint
from lateen.api.services import EndpointSlice
from lateen.compile.workloads import spiffe_uri, tls_mode, workload_name, workload_tag
from lateen.model.endpoint import Endpoint, Health, Locality
from lateen.model.service import Port, Service
from lateen.util.selectors import canonical

__all__ = ["SERVICE_LABEL", "slice_endpoints"]

SERVICE_LABEL = "kubernetes.io/service-name"


def slice_endpoints(
    service: Service,
    slices: Iterable[EndpointSlice],
    pod_at: Callable[[str], Pod | None],
    locality_of: Callable[[str], Locality],
    *,
    trust_domain: str,
    cluster: str,
) -> tuple[Endpoint, ...]:
    """All endpoints, sorted; `pod_at` finds a pod by address, `locality_of` the locality of a node."""
    found: dict[tuple[str, int, int], Endpoint] = {}
    for one in slices:
        for endpoint in one.endpoints:
            health = _health(endpoint, ready_or_not=service.publish_not_ready)
            if health is None or not endpoint.addresses:
                continue
            address = endpoint.addresses[0]
            pod = pod_at(address)
            for port, number in _ports(service, one):
                found[(address, port.number, number)] = _endpoint(address, port, number, health, pod, locality_of, trust_domain, cluster)
    return tuple(found[key] for key in sorted(found))


def _health(endpoint: SliceEndpoint, *, ready_or_not: bool) -> Health | None:
    """None: no traffic at all."""
    if endpoint.conditions.ready is not False or ready_or_not:
        return Health.HEALTHY
    return None


def _ports(service: Service, one: EndpointSlice) -> list[tuple[Port, int]]:
    """The service's ports that the slice serves, each with the port on the workload."""
    by_name = {port.name: port.port for port in one.ports if port.port is not None}
    return [(port, by_name[port.name]) for port in service.ports if port.name in by_name]


def _endpoint(
    address: str,
    port: Port,
    number: int,
    health: Health,
    pod: Pod | None,
    locality_of: Callable[[str], Locality],
    trust_domain: str,
    cluster: str,
) -> Endpoint:
    if pod is None:
        return Endpoint(address=address, port=number, service_port=port.number, health=health, cluster=cluster)
    meta = pod.metadata
    account = pod.spec.service_account_name or "default"
    workload = workload_name(meta)
    return Endpoint(
        address=address,
        port=number,
        service_port=port.number,
        health=health,
        locality=locality_of(pod.spec.node_name),
        cluster=cluster,
        tls_mode=tls_mode(meta.labels),
        identity=spiffe_uri(trust_domain, meta.namespace, account),
        namespace=meta.namespace,
        workload=workload,
        tag=workload_tag(meta.labels, workload, meta.namespace, cluster),
        labels=canonical(meta.labels),
    )
