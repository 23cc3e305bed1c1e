"""Second part of the graph: what each client sees, which rules count for it, and the clusters and endpoints that follow.

Clusters are shared: two clients for whom the same rules count for a service share its clusters, whatever their namespaces.
"""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from lateen.api.meshconfig import DefaultTrafficPolicy
from lateen.api.meta import Key
from lateen.api.security import PeerAuthentication
from lateen.compile.authn import SecuredEndpoints, disable_refused, namespace_mode
from lateen.compile.base import Base, mesh_of
from lateen.compile.connections import plan_carried
from lateen.compile.destinationrules import load_balancers, merge_rules, policy_for, rules_for
from lateen.compile.inboundports import InboundPort, inbound_ports
from lateen.compile.plan_clusters import (
    BY_NAME,
    Reach,
    differs_for_gateways,
    kind_of,
    plan_outbound_clusters,
    plan_passthroughs,
)
from lateen.compile.plan_endpoints import plan_endpoints
from lateen.compile.plan_inbound_clusters import plan_inbound_clusters
from lateen.compile.plan_policies import plan_hashes
from lateen.compile.plan_routes import RouteHead
from lateen.compile.scope import Scopes
from lateen.compile.sidecars import imports_routes
from lateen.compile.visibility import all_services, exported_services, imported_services
from lateen.graph import Collection, Graph, Read
from lateen.model.clusterplan import ClusterPlan, EndpointsPlan, PassthroughPlan
from lateen.model.destination import DestinationPolicy, RuleHead
from lateen.model.endpoint import Endpoint, Health
from lateen.model.listenerplan import CarriedPlan
from lateen.model.mesh import ClusterDefaults
from lateen.model.names import outbound_cluster
from lateen.model.route import VirtualRoutes
from lateen.model.routeplan import HashPlan
from lateen.model.scope import Client, InboundScope
from lateen.model.service import Protocol, Resolution, Service, ServiceKey
from lateen.model.sidecar import Imports, OutboundPolicy, SidecarPlan, VisibleServices
from lateen.util.durations import parse
from lateen.util.problem import Problems

__all__ = ["ClientService", "Clusters", "ServiceView", "clusters_of"]


class ClientService(Struct, frozen=True, order=True, cache_hash=True):
    """A service as one client sees it."""

    client: Client
    service: ServiceKey


class ServiceView(Struct, frozen=True, order=True, cache_hash=True):
    """A service under the DestinationRules that count, oldest first: all that its clusters depend on."""

    service: ServiceKey
    rules: tuple[Key, ...]
    gateway: bool = False  # only where gateways get other clusters


ClusterKey = tuple[ServiceView, str]  # view, cluster name


class Clusters:
    """Clusters and endpoints by view; the views of each client."""

    def __init__(self, graph: Graph, base: Base, scopes: Scopes) -> None:
        self._base = base
        self.defaults: Collection[tuple[()], ClusterDefaults] = graph.singleton("cluster defaults", self._defaults)
        self.passthroughs: Collection[tuple[()], Mapping[str, tuple[PassthroughPlan, ...]]] = graph.one(
            "pass-through clusters", self.defaults, _passthroughs
        )
        self.visible: Collection[Client, VisibleServices] = graph.one("visible services", scopes.clients, self._visible)
        self._pairs: Collection[ClientService, None] = graph.many("services of clients", self.visible, _pairs)
        self._covering: Collection[ServiceKey, tuple[RuleHead, ...]] = graph.one("rules that cover services", base.services, self._covers)
        self._gateway_own: Collection[ServiceKey, bool] = graph.one(
            "services other for gateways", base.services, lambda _read, _key, service: (differs_for_gateways(service), ())
        )
        self.views: Collection[ClientService, ServiceView] = graph.one("views of services", self._pairs, self._view)
        self.of_client: Collection[Client, tuple[ServiceView, ...]] = graph.one("views of clients", self.visible, self._views)
        views: Collection[ServiceView, None] = graph.many(
            "service views", self.of_client, lambda _read, _client, seen: (dict.fromkeys(seen), ())
        )
        self.policies: Collection[ServiceView, DestinationPolicy] = graph.one("destination policies", views, self._policy)
        self._secured: Collection[ServiceKey, SecuredEndpoints] = graph.one("secured endpoints", base.endpoints, self._secure)
        self._reach: Collection[ServiceKey, Reach] = graph.one("reach", base.services, self._reach_of)
        self.plans: Collection[ClusterKey, ClusterPlan] = graph.many("clusters", views, self._clusters)
        self.endpoints: Collection[ClusterKey, EndpointsPlan] = graph.many("cluster endpoints", views, self._endpoints)
        self.inbound: Collection[InboundScope, tuple[ClusterPlan, ...]] = graph.one("inbound clusters", scopes.inbound, self._inbound)
        self.names: Collection[ServiceView, tuple[tuple[str, bool], ...]] = graph.one("cluster names", views, self._names)

    def _defaults(self, read: Read) -> tuple[ClusterDefaults, Problems]:
        mesh = mesh_of(read, self._base.mesh)
        policy = mesh.default_traffic_policy or DefaultTrafficPolicy()
        return ClusterDefaults(
            connect_timeout=parse(mesh.connect_timeout),
            dns_refresh=parse(mesh.dns_refresh_rate),
            h2_upgrade=mesh.h2_upgrade_policy == "UPGRADE",
            keepalive=mesh.tcp_keepalive,
            dynamic_dns=mesh.outbound_traffic_policy.mode == "ALLOW_ANY_DYNAMIC_DNS",
            inbound_localhost=mesh.inbound_traffic_policy.mode == "LOCALHOST",
            connection_pool=policy.connection_pool,
            outlier_detection=policy.outlier_detection,
            locality=mesh.locality_lb_setting,
            zones=mesh.zone_aware_lb_setting,
            ecdh_curves=mesh.tls_defaults.ecdh_curves,
            cipher_suites=mesh.tls_defaults.cipher_suites,
        ), ()

    def _visible(self, read: Read, client: Client, _none: None) -> tuple[VisibleServices, Problems]:
        services = exported_services(read.all(self._base.services).values(), client.namespace)
        sidecar = self._sidecar(read, client)
        if sidecar is None:
            return all_services(services), ()
        heads = read.all(self._base.route_heads)
        imported = (key for key, head in heads.items() if self.sees_routes(read, client, head))
        reached = {host for key in imported for host in read.get(self._base.route_destinations, key) or ()}
        return imported_services(services, sidecar, reached, client.namespace), ()

    def _sidecar(self, read: Read, client: Client) -> SidecarPlan | None:
        return read.get(self._base.sidecars, client.sidecar[0]) if client.sidecar else None

    def sees_routes(self, read: Read, client: Client, routes: RouteHead | VirtualRoutes) -> bool:
        """Whether the client's sidecar is to know the VirtualService."""
        if "*" not in routes.export_to and client.namespace not in routes.export_to:
            return False
        sidecar, namespace = self._sidecar(read, client), routes.key.namespace
        return sidecar is None or any(imports_routes(one, namespace, routes.hosts, client.namespace) for one in sidecar.egress)

    def outbound_policy(self, read: Read, client: Client) -> OutboundPolicy:
        """What counts for traffic of the client to unknown destinations."""
        sidecar = self._sidecar(read, client)
        if sidecar is not None and sidecar.allow_any is not None:
            return OutboundPolicy(allow_any=sidecar.allow_any, egress_proxy=sidecar.egress_proxy)
        mode = mesh_of(read, self._base.mesh).outbound_traffic_policy.mode
        return OutboundPolicy(allow_any=mode != "REGISTRY_ONLY", dynamic_dns=mode == "ALLOW_ANY_DYNAMIC_DNS")

    def looks_up(self, read: Read, client: Client) -> bool:
        """Whether some of its HTTP goes to hosts that are looked up when they are asked for."""
        if not client.gateway and self.outbound_policy(read, client).dynamic_dns:
            return True
        return any(service.resolution == Resolution.DYNAMIC_DNS for service in self.services_of(read, client))

    def _covers(self, read: Read, key: ServiceKey, _service: Service) -> tuple[tuple[RuleHead, ...] | None, Problems]:
        names = _patterns(key.hostname)
        return tuple(head for name in names for head in read.by_index(self._base.rules_named, name).values()) or None, ()

    def _rules(self, read: Read, pair: ClientService) -> tuple[Key, ...]:
        heads, client = read.get(self._covering, pair.service), pair.client
        if heads is None:
            return ()
        return rules_for(heads, pair.service, client.namespace, client.selectors, self._base.settings.root_namespace)

    def _policy(self, read: Read, view: ServiceView, _none: None) -> tuple[DestinationPolicy | None, Problems]:
        found = (read.get(self._base.rule_objects, key) for key in view.rules)
        return merge_rules([rule for rule in found if rule is not None]), ()

    def _view(self, read: Read, pair: ClientService, _none: None) -> tuple[ServiceView, Problems]:
        rules = self._rules(read, pair)
        gateway = pair.client.gateway and (bool(read.get(self._gateway_own, pair.service)) or self._takes_credentials(read, rules))
        return ServiceView(pair.service, rules, gateway), ()

    def _takes_credentials(self, read: Read, rules: tuple[Key, ...]) -> bool:
        heads = (read.get(self._base.rule_heads, key) for key in rules)
        return any(head is not None and head.credentials for head in heads)

    def _secure(self, read: Read, key: ServiceKey, endpoints: tuple[Endpoint, ...]) -> tuple[SecuredEndpoints, Problems]:
        """Mutual TLS only to workload ports whose PeerAuthentication takes it."""
        policies = self._policies_of(read, key.namespace)
        return disable_refused(endpoints, policies, key.namespace, self._base.settings.root_namespace), ()

    def _policies_of(self, read: Read, namespace: str) -> list[PeerAuthentication]:
        root = self._base.settings.root_namespace
        found = [*read.by_index(self._base.authn_in, namespace).values()]
        return found if namespace == root else [*found, *read.by_index(self._base.authn_in, root).values()]

    def _reach_of(self, read: Read, key: ServiceKey, service: Service) -> tuple[Reach, Problems]:
        endpoints = read.get(self._base.endpoints, key) or ()
        root, mesh = self._base.settings.root_namespace, mesh_of(read, self._base.mesh)
        return Reach(
            identities=_in_domains({endpoint.identity for endpoint in endpoints if endpoint.identity}, mesh.trust_domain_aliases),
            all_mesh=bool(endpoints) and all(endpoint.tls_mode == "istio" for endpoint in endpoints),
            auto_mtls=mesh.enable_auto_mtls,
            mode=namespace_mode(self._policies_of(read, service.namespace), service.namespace, root),
        ), ()

    def _clusters(self, read: Read, view: ServiceView, _none: None) -> tuple[Mapping[ClusterKey, ClusterPlan], Problems]:
        service = read.get(self._base.services, view.service)
        if service is None:
            return {}, ()
        policy = read.get(self.policies, view)
        reach = read.get(self._reach, view.service) or Reach()
        static = self._static(read, service, policy) if service.resolution in BY_NAME else {}
        defaults = read.get(self.defaults, ()) or ClusterDefaults()
        plans = plan_outbound_clusters(service, policy, reach, static, defaults, gateway=view.gateway)
        return {(view, name): plan for name, plan in plans.items()}, ()

    def _static(self, read: Read, service: Service, policy: DestinationPolicy | None) -> dict[tuple[int, str], EndpointsPlan]:
        endpoints = read.get(self._base.endpoints, service.key) or _own_name(service, self._base.settings.cluster)
        return {
            (port, subset): plan_endpoints(name, port, labels, endpoints) for name, port, subset, labels in clusters_of(service, policy)
        }

    def _endpoints(self, read: Read, view: ServiceView, _none: None) -> tuple[Mapping[ClusterKey, EndpointsPlan], Problems]:
        service = read.get(self._base.services, view.service)
        if service is None or not _apart(service, view):
            return {}, ()
        policy = read.get(self.policies, view)
        secured = read.get(self._secured, view.service) or SecuredEndpoints()
        owners = ((service.origin, service.generation), *secured.owners)
        wanted = [one for one in clusters_of(service, policy) if not _passes_through(policy, one[2], one[1])]
        return {
            (view, name): plan_endpoints(name, port, labels, secured.endpoints, policy_for(policy, subset, port).tls, owners)
            for name, port, subset, labels in wanted
        }, ()

    def _names(self, read: Read, view: ServiceView, _none: None) -> tuple[tuple[tuple[str, bool], ...], Problems]:
        """The view's clusters, each with whether its endpoints are sent apart."""
        service = read.get(self._base.services, view.service)
        if service is None:
            return (), ()
        policy, apart = read.get(self.policies, view), _apart(service, view)
        return tuple(
            (name, apart and not _passes_through(policy, subset, port)) for name, port, subset, _ in clusters_of(service, policy)
        ), ()

    def _views(self, read: Read, client: Client, seen: VisibleServices) -> tuple[tuple[ServiceView, ...], Problems]:
        services = [seen.known[host] for host in sorted(seen.known)]
        found = (read.get(self.views, ClientService(client, key)) for key in services)
        return tuple(view for view in found if view is not None), ()

    def _inbound(self, read: Read, scope: InboundScope, _none: None) -> tuple[tuple[ClusterPlan, ...], Problems]:
        def rule_of(service: ServiceKey) -> DestinationPolicy | None:
            rules = self._rules(read, ClientService(Client(namespace=scope.namespace), service))
            found = (read.get(self._base.rule_objects, rule) for rule in rules)
            return merge_rules([rule for rule in found if rule is not None])

        defaults = read.get(self.defaults, ()) or ClusterDefaults()
        return plan_inbound_clusters(self.inbound_ports(read, scope), rule_of, defaults), ()

    def inbound_ports(self, read: Read, scope: InboundScope) -> tuple[InboundPort, ...]:
        """The ports that a sidecar of this scope takes connections for."""
        sidecar = read.get(self._base.sidecars, scope.sidecar[0]) if scope.sidecar else None
        return inbound_ports(scope.instances, sidecar, scope.address)

    def services_of(self, read: Read, client: Client) -> list[Service]:
        """All services that the client has listeners and routes for, as it sees them."""
        seen = read.get(self.visible, client)
        keys = seen.listed.values() if seen is not None else ()
        return [service for key in keys if (service := self.service_of(read, client, key)) is not None]

    def bound(self, read: Read, client: Client) -> list[tuple[Imports, list[Service]]]:
        """The egress listeners that listen themselves, each with its services."""
        seen = read.get(self.visible, client)
        found = seen.bound if seen is not None else ()
        return [(imports, [one for key in keys if (one := self.service_of(read, client, key)) is not None]) for imports, keys in found]

    def find(self, read: Read, client: Client, host: str) -> ServiceKey | None:
        """The service that the client means by a host name."""
        seen = read.get(self.visible, client)
        return seen.known.get(seen.target(host)) if seen is not None else None

    def target(self, read: Read, client: Client, host: str) -> str:
        """The host that clusters go by: what an ExternalName Service stands for in its place."""
        seen = read.get(self.visible, client)
        return seen.target(host) if seen is not None else host

    def service_of(self, read: Read, client: Client, key: ServiceKey) -> Service | None:
        """A service as the client sees it: with the address that its DNS answers."""
        service = read.get(self._base.services, key)
        return service.captured if service is not None and client.dns else service

    def carried(self, read: Read, client: Client, cluster: str, *, alone: bool) -> CarriedPlan:
        """How connections of bytes to an outbound cluster are carried; its subset counts where it is the only one."""
        _, _, parts = cluster.partition("|")
        port, _, named = parts.partition("|")
        subset, _, host = named.partition("|")
        service = self.find(read, client, host)
        view = read.get(self.views, ClientService(client, service)) if service is not None else None
        return plan_carried(read.get(self.policies, view), subset if alone else "", int(port)) if view is not None else CarriedPlan()

    def hashes(self, read: Read, client: Client, service: ServiceKey | None, subset: str, port: int) -> tuple[HashPlan, ...]:
        """What a route to this destination hashes."""
        if service is None:
            return ()
        view = read.get(self.views, ClientService(client, service))
        policy = read.get(self.policies, view) if view is not None else None
        return next((found for settings in load_balancers(policy, subset, port) if (found := plan_hashes(settings))), ())


def _passthroughs(_read: Read, _key: tuple[()], mesh: ClusterDefaults) -> tuple[Mapping[str, tuple[PassthroughPlan, ...]], Problems]:
    return {kind: plan_passthroughs(mesh, gateway=kind == "router") for kind in ("router", "sidecar")}, ()


def _in_domains(identities: Iterable[str], aliases: Iterable[str]) -> tuple[str, ...]:
    """SPIFFE URIs, also as they read in the other names of the trust domain."""
    found = set(identities)
    for identity in tuple(found):
        _, _, path = identity.removeprefix("spiffe://").partition("/")
        found |= {f"spiffe://{alias}/{path}" for alias in aliases}
    return tuple(sorted(found))


def _pairs(_read: Read, client: Client, seen: VisibleServices) -> tuple[Mapping[ClientService, None], Problems]:
    return {ClientService(client, key): None for key in seen.known.values()}, ()


def _apart(service: Service, view: ServiceView) -> bool:
    """Whether endpoints are sent apart from the clusters."""
    return kind_of(service, gateway=view.gateway) == "EDS"


def _patterns(host: str) -> Iterable[str]:
    """The host itself and every wildcard that covers it."""
    yield host
    rest = host.removeprefix("*.") if host.startswith("*.") else host
    while "." in rest:
        rest = rest.partition(".")[2]
        yield f"*.{rest}"
    if host != "*":
        yield "*"


def clusters_of(service: Service, policy: DestinationPolicy | None) -> list[tuple[str, int, str, Mapping[str, str]]]:
    """Name, port, subset and labels of each cluster of a service."""
    subsets: list[tuple[str, Mapping[str, str]]] = [("", {})]
    if policy is not None:
        subsets += [(subset.name, subset.labels) for subset in policy.subsets]
    return [
        (outbound_cluster(port.number, name, service.hostname), port.number, name, labels)
        for port in service.ports
        if port.protocol != Protocol.UDP
        for name, labels in subsets
    ]


def _passes_through(policy: DestinationPolicy | None, subset: str, port: int) -> bool:
    balancer = policy_for(policy, subset, port).load_balancer
    return balancer is not None and balancer.simple == "PASSTHROUGH"


def _own_name(service: Service, cluster: str) -> tuple[Endpoint, ...]:
    """A DNS service without endpoints is looked up by its own name."""
    return tuple(
        Endpoint(
            address=service.hostname,
            port=port.target_port or port.number,
            health=Health.UNKNOWN,
            service_port=port.number,
            namespace=service.namespace,
            workload=service.origin.name,
            tag=f"{service.origin.name};{service.namespace};{service.origin.name};;{cluster}",
        )
        for port in service.ports
    )
