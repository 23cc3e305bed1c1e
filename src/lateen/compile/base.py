"""First part of the graph: objects become services, endpoints, rules; proxies become scopes.

Everything that later parts read of the mesh is here; nothing here knows what a proxy will be sent.
"""

from collections.abc import Mapping
from typing import cast

from lateen.api.destinationrule import DestinationRule
from lateen.api.gateway import Gateway
from lateen.api.meshconfig import MeshConfig
from lateen.api.meta import Key
from lateen.api.objects import Node, Secret
from lateen.api.pods import Pod
from lateen.api.security import PeerAuthentication
from lateen.api.serviceentry import ServiceEntry, WorkloadEntry
from lateen.api.services import EndpointSlice
from lateen.api.services import Service as KubeService
from lateen.api.virtualservice import VirtualService
from lateen.compile.authn import selector_of
from lateen.compile.destinationrules import head_of_rule
from lateen.compile.endpoints import SERVICE_LABEL, slice_endpoints
from lateen.compile.plan_routes import RouteHead, head_of
from lateen.compile.serviceentries import compile_entry, entry_endpoints
from lateen.compile.services import compile_service
from lateen.compile.virtualservices import compile_virtual_service
from lateen.graph import Collection, Graph, Index, Input, Read
from lateen.model.destination import RuleHead
from lateen.model.endpoint import Endpoint, Locality
from lateen.model.mesh import Settings
from lateen.model.route import VirtualRoutes
from lateen.model.scope import Proxy, Selector
from lateen.model.service import Service, ServiceKey
from lateen.util.problem import Problems
from lateen.util.selectors import matches

__all__ = ["Base", "mesh_of"]

_REGION, _ZONE, _SUBZONE = "topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone"


def mesh_of(read: Read, mesh: Collection[tuple[()], MeshConfig]) -> MeshConfig:
    """The mesh's settings; Istio's defaults where none were given."""
    return read.get(mesh, ()) or MeshConfig()


class Base:
    """Inputs and what follows from them alone."""

    def __init__(self, graph: Graph, settings: Settings) -> None:
        self.settings = settings
        self.kube_services: Input[Key, KubeService] = graph.input("Service")
        self.slices: Input[Key, EndpointSlice] = graph.input("EndpointSlice")
        self.pods: Input[Key, Pod] = graph.input("Pod")
        self.nodes: Input[Key, Node] = graph.input("Node")
        self.secrets: Input[Key, Secret] = graph.input("Secret")
        self.route_objects: Input[Key, VirtualService] = graph.input("VirtualService")
        self.rule_objects: Input[Key, DestinationRule] = graph.input("DestinationRule")
        self.gateway_objects: Input[Key, Gateway] = graph.input("Gateway")
        self.entries: Input[Key, ServiceEntry] = graph.input("ServiceEntry")
        self.workload_entries: Input[Key, WorkloadEntry] = graph.input("WorkloadEntry")
        self.authn_objects: Input[Key, PeerAuthentication] = graph.input("PeerAuthentication")
        self.inputs = cast(
            "Mapping[str, Input[Key, object]]",
            {
                "Service": self.kube_services,
                "EndpointSlice": self.slices,
                "Pod": self.pods,
                "Node": self.nodes,
                "Secret": self.secrets,
                "VirtualService": self.route_objects,
                "DestinationRule": self.rule_objects,
                "Gateway": self.gateway_objects,
                "ServiceEntry": self.entries,
                "WorkloadEntry": self.workload_entries,
                "PeerAuthentication": self.authn_objects,
            },
        )
        self.mesh: Input[tuple[()], MeshConfig] = graph.input("MeshConfig")
        self.proxies: Input[str, Proxy] = graph.input("proxies")
        self._index_inputs(graph)
        self._add_services(graph)
        self._add_endpoints(graph)
        self._add_rules(graph)

    def _index_inputs(self, graph: Graph) -> None:
        self.slices_of: Index[tuple[str, str], Key, EndpointSlice] = graph.index(
            "slices by service",
            self.slices,
            _slice_service,
        )
        self.pods_at: Index[str, Key, Pod] = graph.index("pods by address", self.pods, _pod_addresses)
        self.entries_in: Index[str, Key, WorkloadEntry] = graph.index(
            "workload entries by namespace",
            self.workload_entries,
            _namespace,
        )
        self.pods_in: Index[str, Key, Pod] = graph.index("pods by namespace", self.pods, _namespace)
        self.authn_in: Index[str, Key, PeerAuthentication] = graph.index(
            "peer authentications by namespace",
            self.authn_objects,
            _namespace,
        )

    def _add_services(self, graph: Graph) -> None:
        domain = self.settings.domain

        def of_kubernetes(read: Read, _key: Key, service: KubeService) -> tuple[Mapping[ServiceKey, Service], Problems]:
            export = mesh_of(read, self.mesh).default_service_export_to
            compiled = compile_service(service, domain=domain or "cluster.local", default_export=export)
            return {compiled.key: compiled}, ()

        def of_entry(read: Read, _key: Key, entry: ServiceEntry) -> tuple[Mapping[ServiceKey, Service], Problems]:
            export = mesh_of(read, self.mesh).default_service_export_to
            return compile_entry(entry, domain=domain, default_export=export), ()

        kubernetes: Collection[ServiceKey, Service] = graph.many("kubernetes services", self.kube_services, of_kubernetes)
        entries: Collection[ServiceKey, Service] = graph.many("service entries", self.entries, of_entry)
        self.services: Collection[ServiceKey, Service] = graph.join("services", kubernetes, entries)
        self.services_in: Index[str, ServiceKey, Service] = graph.index(
            "services by namespace", self.services, lambda key, _: (key.namespace,)
        )
        self.services_named: Index[str, ServiceKey, Service] = graph.index(
            "services by host", self.services, lambda key, _: (key.hostname,)
        )

    def _add_endpoints(self, graph: Graph) -> None:
        self.endpoints: Collection[ServiceKey, tuple[Endpoint, ...]] = graph.one("endpoints", self.services, self._endpoints)

    def _endpoints(self, read: Read, _key: ServiceKey, service: Service) -> tuple[tuple[Endpoint, ...], Problems]:
        trust, cluster = self.settings.trust_domain, self.settings.cluster
        if service.registry != "Kubernetes":
            return self._of_entry(read, service), ()
        slices = read.by_index(self.slices_of, (service.namespace, service.name)).values()

        def pod_at(address: str) -> Pod | None:
            return next((pod for pod in read.by_index(self.pods_at, address).values() if not pod.spec.host_network), None)

        def locality_of(name: str) -> Locality:
            return self._locality(read, name)

        return slice_endpoints(service, slices, pod_at, locality_of, trust_domain=trust, cluster=cluster), ()

    def _of_entry(self, read: Read, service: Service) -> tuple[Endpoint, ...]:
        trust, cluster = self.settings.trust_domain, self.settings.cluster
        entry = read.get(self.entries, service.origin)
        if entry is None:
            return ()
        name = entry.metadata.name
        inline = [(one, entry.metadata.namespace, f"{name}-{i}") for i, one in enumerate(entry.spec.endpoints)]
        if entry.spec.workload_selector is None:
            return entry_endpoints(service, inline, trust_domain=trust, cluster=cluster)
        found = read.by_index(self.entries_in, service.namespace).values()
        chosen = [(one.spec, service.namespace, one.metadata.name) for one in found if matches(service.selector, one.spec.labels)]
        return entry_endpoints(service, chosen, trust_domain=trust, cluster=cluster)

    def _locality(self, read: Read, name: str) -> Locality:
        node = read.get(self.nodes, Key("Node", "", name)) if name else None
        if node is None:
            return Locality()
        labels = node.metadata.labels
        return Locality(labels.get(_REGION, ""), labels.get(_ZONE, ""), labels.get(_SUBZONE, ""))

    def _add_rules(self, graph: Graph) -> None:
        self.virtual_services: Collection[Key, VirtualRoutes] = graph.one("virtual services", self.route_objects, self._routes)
        self.route_heads: Collection[Key, RouteHead] = graph.one(
            "virtual service heads", self.virtual_services, lambda _read, _key, routes: (head_of(routes), ())
        )
        self.routes_at: Index[str, Key, VirtualRoutes] = graph.index(
            "virtual services by gateway", self.virtual_services, lambda _key, routes: routes.gateways
        )
        self.rule_heads: Collection[Key, RuleHead] = graph.one("destination rule heads", self.rule_objects, self._rule_head)
        self.rules_named: Index[str, Key, RuleHead] = graph.index(
            "destination rules by host", self.rule_heads, lambda _key, head: (head.host,)
        )
        self.selectors: Collection[tuple[()], SelectorsInUse] = graph.singleton("selectors in use", self._selectors)

    def _routes(self, read: Read, _key: Key, service: VirtualService) -> tuple[VirtualRoutes | None, Problems]:
        def find(key: Key) -> VirtualService | None:
            return read.get(self.route_objects, key)

        export = mesh_of(read, self.mesh).default_virtual_service_export_to
        return compile_virtual_service(service, domain=self.settings.domain, default_export=export, find=find)

    def _rule_head(self, read: Read, _key: Key, rule: DestinationRule) -> tuple[RuleHead, Problems]:
        export = mesh_of(read, self.mesh).default_destination_rule_export_to
        return head_of_rule(rule, domain=self.settings.domain, default_export=export), ()

    def _selectors(self, read: Read) -> "tuple[SelectorsInUse, Problems]":
        sources = {selector for head in read.all(self.route_heads).values() for selector in head.selectors}
        rules = {head.selector for head in read.all(self.rule_heads).values() if head.selector}
        policies = {selector_of(one) for one in read.all(self.authn_objects).values()}
        return (tuple(sorted(sources)), tuple(sorted(rules)), tuple(sorted(policies - {()}))), ()


SelectorsInUse = tuple[tuple[Selector, ...], tuple[Selector, ...], tuple[Selector, ...]]  # source labels, rules, peer authentications


def _slice_service(key: Key, one: EndpointSlice) -> tuple[tuple[str, str], ...]:
    name = one.metadata.labels.get(SERVICE_LABEL)
    return ((key.namespace, name),) if name else ()


def _pod_addresses(_key: Key, pod: Pod) -> tuple[str, ...]:
    addresses = dict.fromkeys([pod.status.pod_ip, *(one.ip for one in pod.status.pod_ips)])
    return tuple(address for address in addresses if address)


def _namespace(key: Key, _obj: object) -> tuple[str, ...]:
    return (key.namespace,)
