"""Services and endpoints in the JSON shape of istiod's debug pages. Must not read anything else."""

from collections.abc import Mapping
from typing import Any

from lateen.graph import Collection
from lateen.model.endpoint import Endpoint, Health
from lateen.model.service import Resolution, Service, ServiceKey

__all__ = ["endpoint_shards", "service_json"]

_RESOLUTIONS = (  # istiod shows their numbers
    Resolution.STATIC,
    Resolution.DNS,
    Resolution.NONE,
    Resolution.DNS_ROUND_ROBIN,
    Resolution.ALIAS,
    Resolution.DYNAMIC_DNS,
)
_HEALTH = {Health.UNKNOWN: 0, Health.HEALTHY: 1, Health.UNHEALTHY: 2, Health.DRAINING: 3}


def service_json(service: Service) -> dict[str, Any]:
    """A service of `registryz`."""
    shown: dict[str, Any] = {
        "Attributes": {
            "ServiceRegistry": service.registry,
            "Name": service.name,
            "Namespace": service.namespace,
            "Labels": dict(service.labels),
            "ExportTo": {namespace: {} for namespace in service.export_to},
            "LabelSelectors": dict(service.selector),
        },
        "ports": [{"name": port.name, "port": port.number, "protocol": port.protocol} for port in service.ports],
        "creationTime": service.creation,
        "hostname": service.hostname,
        "clusterVIPs": {"Addresses": {"Kubernetes": list(service.addresses)} if service.addresses else None},
        "defaultAddress": service.addresses[0] if service.addresses else "0.0.0.0",  # noqa: S104 - what istiod shows for none
        "Resolution": _RESOLUTIONS.index(service.resolution),
        "MeshExternal": service.mesh_external,
        "ResourceVersion": str(service.generation),
    }
    own = [address for address in service.auto_addresses if ":" not in address]
    return shown | ({"autoAllocatedIPv4Address": own[0]} if own else {})


def endpoint_shards(
    services: Collection[ServiceKey, Service], endpoints: Collection[ServiceKey, tuple[Endpoint, ...]]
) -> Mapping[str, Mapping[str, Any]]:
    """`endpointShardz`: by host name, then namespace."""
    found: dict[str, dict[str, Any]] = {}
    for key, service in sorted(services.items()):
        each = endpoints.get(key) or ()
        shards: dict[str, list[Any]] = {}
        for one in each:
            shards.setdefault(f"{service.registry}/{one.cluster or 'Kubernetes'}", []).append(_endpoint(one, service))
        identities: dict[str, Any] = {one.identity: {} for one in each if one.identity}
        found.setdefault(key.hostname, {})[key.namespace] = {"Shards": shards, "ServiceAccounts": identities}
    return found


def _endpoint(one: Endpoint, service: Service) -> dict[str, Any]:
    port = service.port(one.service_port)
    place = f"{one.locality.region}/{one.locality.zone}/{one.locality.subzone}".rstrip("/")
    return {
        "Labels": dict(one.labels),
        "Addresses": [one.address],
        "ServicePortName": port.name if port is not None else "",
        "ServiceAccount": one.identity,
        "Network": one.network,
        "Locality": {"Label": place, "ClusterID": one.cluster},
        "EndpointPort": one.port,
        "LbWeight": one.weight,
        "TLSMode": one.tls_mode,
        "Namespace": one.namespace,
        "WorkloadName": one.workload,
        "HostName": one.hostname,
        "HealthStatus": _HEALTH[one.health],
        "NodeName": one.node,
    }
