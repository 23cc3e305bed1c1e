"""Services and their endpoints, whichever objects declare them: Kubernetes Services, ServiceEntries, and the workloads behind both.

An endpoint that comes or goes concerns its own service only. Must not know who sees a service.
"""

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from lateen.api.meshconfig import MeshConfig
from lateen.api.meta import Key
from lateen.api.objects import Namespace, Node
from lateen.api.pods import Pod
from lateen.api.serviceentry import ServiceEntry, WorkloadEntry
from lateen.api.services import EndpointSlice
from lateen.api.services import Service as KubeService
from lateen.compile.addresses import automatic_addresses, wants_address
from lateen.compile.endpoints import SERVICE_LABEL, slice_endpoints
from lateen.compile.namespaces import visible_to
from lateen.compile.serviceentries import (
    compile_entry,
    endpoint_problems,
    entry_endpoints,
    merge_entries,
    new_ports,
    oldest_first,
    selected_endpoints,
)
from lateen.compile.services import compile_service
from lateen.compile.workloads import compile_workload
from lateen.graph import Collection, Graph, Index, Input, Read
from lateen.model.endpoint import Endpoint
from lateen.model.mesh import Settings
from lateen.model.service import Service, ServiceKey
from lateen.model.workload import Workload
from lateen.util.hosts import resolve
from lateen.util.problem import Problems
from lateen.util.selectors import matches

__all__ = ["Registry", "mesh_of"]

Part = tuple[ServiceKey, Key]  # a service and the ServiceEntry that declares (part of) it


def mesh_of(read: Read, mesh: Collection[tuple[()], MeshConfig]) -> MeshConfig:
    """The mesh's settings; Istio's defaults where none were given."""
    return read.get(mesh, ()) or MeshConfig()


class Registry:
    """The inputs that declare services and workloads, and what they come to."""

    def __init__(self, graph: Graph, settings: Settings, mesh: Input[tuple[()], MeshConfig]) -> None:
        self._settings = settings
        self._mesh = mesh
        self.kube_services: Input[Key, KubeService] = graph.input("Service")
        self.slices: Input[Key, EndpointSlice] = graph.input("EndpointSlice")
        self.pods: Input[Key, Pod] = graph.input("Pod")
        self.nodes: Input[Key, Node] = graph.input("Node")
        self.namespaces: Input[Key, Namespace] = graph.input("Namespace")
        self.entries: Input[Key, ServiceEntry] = graph.input("ServiceEntry")
        self.workload_entries: Input[Key, WorkloadEntry] = graph.input("WorkloadEntry")
        self._add_workloads(graph)
        self._add_services(graph)
        self.endpoints: Collection[ServiceKey, tuple[Endpoint, ...]] = graph.one("endpoints", self.services, self._endpoints)

    def _add_workloads(self, graph: Graph) -> None:
        self.workloads: Collection[Key, Workload] = graph.one("workloads", self.pods, self._workload)
        self._workloads_at: Index[str, Key, Workload] = graph.index(
            "workloads by address", self.workloads, lambda _key, workload: () if workload.host_network else workload.addresses
        )
        self._workloads_in: Index[str, Key, Workload] = graph.index("workloads by namespace", self.workloads, _namespace)
        self._machines_in: Index[str, Key, WorkloadEntry] = graph.index("workload entries by namespace", self.workload_entries, _namespace)
        self._slices_of: Index[tuple[str, str], Key, EndpointSlice] = graph.index("slices by service", self.slices, _slice_service)

    def _add_services(self, graph: Graph) -> None:
        kubernetes: Collection[ServiceKey, Service] = graph.many("kubernetes services", self.kube_services, self._of_kubernetes)
        self._parts: Collection[Part, Service] = graph.many("service entry parts", self.entries, self._of_entry)
        self._parts_of: Index[ServiceKey, Part, Service] = graph.index(
            "service entry parts by service", self._parts, lambda part, _: (part[0],)
        )
        hosts: Collection[ServiceKey, None] = graph.many("service entry hosts", self._parts, _host)
        self._addresses: Collection[tuple[()], Mapping[ServiceKey, str]] = graph.singleton("automatic addresses", self._allocate)
        entries: Collection[ServiceKey, Service] = graph.one("service entries", hosts, self._merge)
        declared: Collection[ServiceKey, Service] = graph.join("declared services", kubernetes, entries)
        self._aliases_of: Index[str, ServiceKey, Service] = graph.index(
            "aliases by host", declared, lambda _key, service: (service.external_name,) if service.external_name else ()
        )
        self.services: Collection[ServiceKey, Service] = graph.one("services", declared, self._with_aliases)
        self.services_in: Index[str, ServiceKey, Service] = graph.index(
            "services by namespace", self.services, lambda key, _: (key.namespace,)
        )
        self.services_named: Index[str, ServiceKey, Service] = graph.index(
            "services by host", self.services, lambda key, _: (key.hostname,)
        )

    def _workload(self, read: Read, _key: Key, pod: Pod) -> tuple[Workload | None, Problems]:
        def node(name: str) -> Node | None:
            return read.get(self.nodes, Key("Node", "", name))

        return compile_workload(pod, node, trust_domain=self._settings.trust_domain, cluster=self._settings.cluster), ()

    def _of_kubernetes(self, read: Read, _key: Key, service: KubeService) -> tuple[Mapping[ServiceKey, Service], Problems]:
        export = mesh_of(read, self._mesh).default_service_export_to
        compiled = compile_service(service, domain=self._settings.domain or "cluster.local", default_export=export)
        return {compiled.key: compiled}, ()

    def _of_entry(self, read: Read, key: Key, entry: ServiceEntry) -> tuple[Mapping[Part, Service], Problems]:
        mesh = mesh_of(read, self._mesh)
        services, problems = compile_entry(entry, domain=self._settings.domain, default_export=mesh.default_service_export_to)
        visibility = mesh.service_entry_visibility
        if visibility is not None and visibility.apply_to_sidecars:
            namespace = read.get(self.namespaces, Key("Namespace", "", key.namespace))
            labels = namespace.metadata.labels if namespace is not None else {}
            seen = {name: visible_to(visibility, labels, key.namespace, one.export_to) for name, one in services.items()}
            services = {name: replace(one, export_to=seen[name]) for name, one in services.items()}
        return {(name, key): service for name, service in services.items()}, (*problems, *endpoint_problems(entry))

    def _allocate(self, read: Read) -> tuple[Mapping[ServiceKey, str], Problems]:
        parts = (part for part in read.all(self._parts).values() if wants_address(part))
        ordered = sorted(parts, key=lambda part: (part.creation, part.origin.name, part.origin.namespace))
        return automatic_addresses(part.key for part in ordered), ()

    def _merge(self, read: Read, key: ServiceKey, _none: None) -> tuple[Service | None, Problems]:
        parts = oldest_first(read.by_index(self._parts_of, key).values())
        address = (read.get(self._addresses, ()) or {}).get(key)
        return merge_entries(parts, address) if parts else None, ()

    def given_addresses(self, key: Key) -> tuple[tuple[str, str], ...]:
        """The addresses that a ServiceEntry's hosts were given, by host."""
        entry = self.entries.get(key) if key.kind == "ServiceEntry" else None
        hosts = (resolve(host, key.namespace, self._settings.domain) for host in (entry.spec.hosts if entry is not None else ()))
        found = ((host, self.services.get(ServiceKey(key.namespace, host))) for host in dict.fromkeys(hosts))
        return tuple((host, value) for host, one in found if one is not None and not one.addresses for value in one.auto_addresses)

    def _with_aliases(self, read: Read, key: ServiceKey, service: Service) -> tuple[Service, Problems]:
        """ExternalName Services name the service, or one another that does."""
        found: dict[ServiceKey, None] = {}
        hosts = [] if service.external_name else [key.hostname]
        for host in hosts:
            new = [alias for alias in read.by_index(self._aliases_of, host) if alias not in found]
            found |= dict.fromkeys(new)
            hosts += [alias.hostname for alias in new]
        return replace(service, aliases=tuple(sorted(found))) if found else service, ()

    def _endpoints(self, read: Read, key: ServiceKey, service: Service) -> tuple[tuple[Endpoint, ...], Problems]:
        if service.registry != "Kubernetes":
            parts = oldest_first(read.by_index(self._parts_of, key).values())
            return tuple(endpoint for part, ports in new_ports(parts) for endpoint in self._of_part(read, replace(part, ports=ports))), ()
        slices = read.by_index(self._slices_of, (service.namespace, service.name)).values()

        def find(namespace: str, name: str, address: str) -> Workload | None:
            if name:
                return read.get(self.workloads, Key("Pod", namespace, name))
            return next(iter(read.by_index(self._workloads_at, address).values()), None)

        found = slice_endpoints(service, slices, find, cluster=self._settings.cluster)
        return (*found, *self._machines(read, service)) if service.selector else found, ()

    def _of_part(self, read: Read, part: Service) -> Iterable[Endpoint]:
        """What one ServiceEntry adds: its own endpoints, or those that it selects."""
        entry = read.get(self.entries, part.origin)
        if entry is None:
            return ()
        name, namespace = entry.metadata.name, entry.metadata.namespace
        if entry.spec.workload_selector is None:
            inline = [(one, namespace, f"{name}-{number}") for number, one in enumerate(entry.spec.endpoints)]
            return entry_endpoints(part, inline, trust_domain=self._settings.trust_domain, cluster=self._settings.cluster)
        pods = read.by_index(self._workloads_in, namespace).values()
        chosen = [pod for pod in pods if matches(part.selector, dict(pod.labels))]
        return (*self._machines(read, part), *selected_endpoints(part.ports, chosen))

    def _machines(self, read: Read, service: Service) -> tuple[Endpoint, ...]:
        """Endpoints at the WorkloadEntries that the service selects."""
        known = read.by_index(self._machines_in, service.namespace).values()
        chosen = [(one.spec, service.namespace, one.metadata.name) for one in known if matches(service.selector, one.spec.labels)]
        return entry_endpoints(service, chosen, trust_domain=self._settings.trust_domain, cluster=self._settings.cluster)


def _host(_read: Read, part: Part, _service: Service) -> tuple[Mapping[ServiceKey, None], Problems]:
    return {part[0]: None}, ()


def _slice_service(key: Key, one: EndpointSlice) -> tuple[tuple[str, str], ...]:
    name = one.metadata.labels.get(SERVICE_LABEL)
    return ((key.namespace, name),) if name else ()


def _namespace(key: Key, _obj: object) -> tuple[str, ...]:
    return (key.namespace,)
