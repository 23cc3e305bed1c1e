"""Connected proxies become scopes, and scopes the clients whose view of the mesh is compiled.

A proxy's labels are looked at here and nowhere else: only which of the selectors in use match them goes on.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from msgspec.structs import replace

from lateen.api.meta import Key
from lateen.compile.base import Base
from lateen.compile.envoyfilters import patches_for
from lateen.compile.gateways import services_of_gateway
from lateen.compile.locality import labels_seen, topology
from lateen.compile.plan_endpoints import plan_endpoints
from lateen.compile.sidecars import choose_sidecar
from lateen.compile.subjects import GATEWAY_NAME
from lateen.graph import Collection, Graph, Read
from lateen.model.clusterplan import EndpointsPlan
from lateen.model.endpoint import Endpoint, Locality
from lateen.model.names import LOCAL_CLUSTER
from lateen.model.patchplan import PatchRef
from lateen.model.scope import (
    Client,
    EndpointView,
    GatewayScope,
    InboundScope,
    OutboundScope,
    Peers,
    Proxy,
    Selector,
    ServerScope,
    ServiceInstance,
)
from lateen.model.service import Port, Service
from lateen.model.sidecar import SidecarHead
from lateen.util.problem import Problems
from lateen.util.selectors import canonical, matches

__all__ = ["Placed", "ScopeSet", "Scopes"]

# A label of Services: the Service in front of a gateway does not decide on which ports the gateway listens.
_TEMPLATE = "pod-template-hash"
_TRANSLATED = ("experimental.istio.io/disable-gateway-port-translation", "true")
_CERTIFIED = ("security.istio.io/tlsMode", "istio")  # a label of pods

Placed = tuple[Client, EndpointView]


class ScopeSet(NamedTuple):
    """All scopes of one proxy: a sidecar has an outbound and an inbound one, a gateway one of its own, gRPC without a proxy two."""

    kind: str
    outbound: tuple[OutboundScope, ...] = ()
    inbound: tuple[InboundScope, ...] = ()
    gateway: tuple[GatewayScope, ...] = ()
    place: EndpointView = EndpointView()
    patches: tuple[PatchRef, ...] = ()
    peers: tuple[Peers, ...] = ()
    callers: tuple[OutboundScope, ...] = ()
    servers: tuple[ServerScope, ...] = ()


class Scopes:
    """Only what connected proxies need is compiled: every key here lives as long as a proxy that has it."""

    def __init__(self, graph: Graph, base: Base) -> None:
        self._base = base
        self._pods: Collection[Key, tuple[Locality, str]] = graph.one(
            "places of pods", base.workloads, lambda _read, _key, workload: ((workload.locality, workload.node), ())
        )
        self.of_proxy: Collection[str, ScopeSet] = graph.one("scopes of proxies", base.proxies, self._scopes)
        self.sets: Collection[ScopeSet, None] = graph.many("scope sets", self.of_proxy, lambda _r, _k, s: ({s: None}, ()))
        self.outbound: Collection[OutboundScope, None] = graph.many(
            "outbound scopes", self.sets, lambda _r, s, _v: (dict.fromkeys(s.outbound), ())
        )
        self.inbound: Collection[InboundScope, None] = graph.many(
            "inbound scopes", self.sets, lambda _r, s, _v: (dict.fromkeys(s.inbound), ())
        )
        self.gateways: Collection[GatewayScope, None] = graph.many(
            "gateway scopes", self.sets, lambda _r, s, _v: (dict.fromkeys(s.gateway), ())
        )
        self.callers: Collection[OutboundScope, None] = graph.many(
            "scopes of gRPC clients", self.sets, lambda _r, s, _v: (dict.fromkeys(s.callers), ())
        )
        self.servers: Collection[ServerScope, None] = graph.many(
            "scopes of gRPC servers", self.sets, lambda _r, s, _v: (dict.fromkeys(s.servers), ())
        )
        self.places: Collection[Placed, None] = graph.many("places", self.sets, lambda _r, s, _v: (dict.fromkeys(_placed(s)), ()))
        self.peers: Collection[Peers, EndpointsPlan] = graph.one(
            "endpoints of peers", graph.many("peers", self.sets, lambda _r, s, _v: (dict.fromkeys(s.peers), ())), self._peer_endpoints
        )
        self.clients: Collection[Client, None] = graph.many("clients", self.sets, lambda _r, s, _v: (dict.fromkeys(_clients(s)), ()))

    def _scopes(self, read: Read, _id: str, proxy: Proxy) -> tuple[ScopeSet, Problems]:
        sources, rules, policies = read.get(self._base.selectors, ()) or ((), (), ())
        labels = dict(proxy.labels)
        sidecar = self._sidecar(read, proxy, labels)
        client = self._client(read, proxy, sidecar, _matching(rules, labels))
        instances = self._instances(read, proxy, labels)
        place = self._place(read, proxy, labels)
        if proxy.kind == "grpc":
            return self._proxyless(proxy, client, _matching(sources, labels), _matching(policies, labels), instances, place), ()
        patches = self._patches(read, proxy, labels)
        if proxy.kind == "router":
            gateways = tuple(sorted(self._gateways(read, labels, instances)))
            return ScopeSet(
                "router",
                gateway=(
                    GatewayScope(
                        client=client,
                        gateways=gateways,
                        selectors=_matching(policies, labels),
                        name=labels.get(GATEWAY_NAME, ""),
                        instances=instances,
                    ),
                ),
                place=place,
                patches=patches,
            ), ()
        outbound = OutboundScope(client=client, namespace=proxy.namespace, selectors=_matching(sources, labels))
        speaks = sidecar is not None and sidecar.inbound
        inbound = InboundScope(
            namespace=proxy.namespace,
            selectors=_matching(policies, labels),
            instances=instances,
            sidecar=client.sidecar if speaks else (),
            address=proxy.addresses[0] if speaks and proxy.addresses else "",
        )
        return ScopeSet("sidecar", (outbound,), (inbound,), place=place, patches=patches, peers=_peers(proxy, labels, instances)), ()

    def _peer_endpoints(self, read: Read, peers: Peers, _none: None) -> tuple[EndpointsPlan, Problems]:
        """Those of its services' endpoints that are of the same workload, each address once."""
        found: dict[str, Endpoint] = {}
        for instance in peers.instances:
            for endpoint in read.get(self._base.endpoints, instance.service) or ():
                same = endpoint.workload == peers.workload and dict(endpoint.labels).get(_TEMPLATE, "") == peers.template
                if same and endpoint.service_port == instance.port.number:
                    found.setdefault(endpoint.address, replace(endpoint, service_port=0))
        return plan_endpoints(LOCAL_CLUSTER, 0, {}, found.values()), ()

    def _proxyless(
        self,
        proxy: Proxy,
        client: Client,
        sources: tuple[Selector, ...],
        policies: tuple[Selector, ...],
        instances: tuple[ServiceInstance, ...],
        place: EndpointView,
    ) -> ScopeSet:
        caller = OutboundScope(client=client, namespace=proxy.namespace, selectors=sources)
        server = ServerScope(
            namespace=proxy.namespace,
            address=proxy.addresses[0],
            selectors=policies,
            instances=instances,
            certified=_CERTIFIED in proxy.labels,
        )
        return ScopeSet("grpc", place=place, callers=(caller,), servers=(server,))

    def _client(self, read: Read, proxy: Proxy, sidecar: SidecarHead | None, selectors: tuple[Selector, ...]) -> Client:
        gateway = proxy.kind == "router"
        apart = gateway or sidecar is not None or selectors or read.get(self._base.namespaces_apart, proxy.namespace)
        return Client(
            namespace=proxy.namespace if apart else "",
            selectors=selectors,
            gateway=gateway,
            dns=proxy.dns_capture,
            sidecar=(sidecar.key,) if sidecar is not None else (),
        )

    def _place(self, read: Read, proxy: Proxy, labels: Mapping[str, str]) -> EndpointView:
        """Where the proxy runs: as it says itself, else as its pod does."""
        pod, node = read.get(self._pods, Key("Pod", proxy.namespace, proxy.name)) or (Locality(), "")
        locality = proxy.locality if proxy.locality.region else pod
        cluster = proxy.cluster or self._base.settings.cluster
        known = {**labels, **topology(locality, network=proxy.network, cluster=cluster, node=node)}
        seen = labels_seen(read.get(self._base.labels_near, ()) or (), known)
        return EndpointView(network=proxy.network, cluster=cluster, locality=locality, labels=seen)

    def _patches(self, read: Read, proxy: Proxy, labels: Mapping[str, str]) -> tuple[PatchRef, ...]:
        root = self._base.settings.root_namespace
        plans = [plan for name in {root, proxy.namespace} for plan in read.by_index(self._base.envoy_filters_in, name).values()]
        return patches_for(proxy, labels, plans, root) if plans else ()

    def _sidecar(self, read: Read, proxy: Proxy, labels: Mapping[str, str]) -> SidecarHead | None:
        if proxy.kind == "router":
            return None
        root = self._base.settings.root_namespace
        own = read.by_index(self._base.sidecars_in, proxy.namespace).values()
        shared = read.by_index(self._base.sidecars_in, root).values() if proxy.namespace != root else ()
        return choose_sidecar(own, shared, labels)

    def _gateways(self, read: Read, labels: Mapping[str, str], instances: tuple[ServiceInstance, ...]) -> Iterable[Key]:
        """Those that select the proxy by its labels, or name a service that it is behind."""
        hosts = {instance.service.hostname for instance in instances}
        for key, gateway in read.all(self._base.gateway_objects).items():
            services = services_of_gateway(gateway)
            if (not hosts.isdisjoint(services)) if services else matches(canonical(gateway.spec.selector), labels):
                yield key

    def _instances(self, read: Read, proxy: Proxy, labels: Mapping[str, str]) -> tuple[ServiceInstance, ...]:
        """The service ports whose selector takes the proxy in, oldest service first."""
        services = read.by_index(self._base.services_in, proxy.namespace)
        if proxy.kind == "router":
            services = {key: service for key, service in services.items() if _TRANSLATED not in service.labels}
        own = [service for service in services.values() if service.selector and matches(service.selector, labels)]
        found = self._by_address(
            read, proxy, [service for service in services.values() if service.registry != "Kubernetes" and not service.selector]
        )
        for service in sorted(own, key=lambda s: (s.creation, s.name)):
            for port in service.ports:
                target = port.target_port or self._named(read, proxy, port)
                if target:
                    found.append(ServiceInstance(service=service.key, port=port, target_port=target))
        return tuple(found)

    def _by_address(self, read: Read, proxy: Proxy, services: Iterable[Service]) -> list[ServiceInstance]:
        """The ports of ServiceEntries that name one of the proxy's addresses as an endpoint."""
        found: dict[ServiceInstance, None] = {}
        for service in sorted(services, key=lambda s: (s.creation, s.name)):
            for endpoint in read.get(self._base.endpoints, service.key) or ():
                port = service.port(endpoint.service_port)
                if port is not None and endpoint.address in proxy.addresses:
                    found[ServiceInstance(service=service.key, port=port, target_port=endpoint.port)] = None
        return list(found)

    def _named(self, read: Read, proxy: Proxy, port: Port) -> int:
        workload = read.get(self._base.workloads, Key("Pod", proxy.namespace, proxy.name))
        return workload.ports.get(port.target_name, 0) if workload is not None else 0


def _peers(proxy: Proxy, labels: Mapping[str, str], instances: tuple[ServiceInstance, ...]) -> tuple[Peers, ...]:
    if dict(proxy.metadata).get("ENABLE_SELF_DISCOVERY") != "true":
        return ()
    return (Peers(workload=proxy.workload, template=labels.get(_TEMPLATE, ""), instances=instances),)


def _placed(scopes: ScopeSet) -> tuple[Placed, ...]:
    return tuple((client, scopes.place) for client in _clients(scopes))


def _clients(scopes: ScopeSet) -> tuple[Client, ...]:
    return (*(scope.client for scope in (*scopes.outbound, *scopes.callers)), *(scope.client for scope in scopes.gateway))


def _matching(selectors: Iterable[Selector], labels: Mapping[str, str]) -> tuple[Selector, ...]:
    return tuple(selector for selector in selectors if matches(selector, labels))
