"""Fourth part of the graph: listeners of sidecars and gateways, the routes of gateways, and the secrets these need."""

from collections.abc import Callable, Iterator, Mapping

from msgspec import Struct
from msgspec.structs import replace

from lateen.api.meta import Key
from lateen.api.virtualservice import Destination
from lateen.compile.accesslog import mesh_access_logs
from lateen.compile.authn import effective_authn
from lateen.compile.autopassthrough import AutoPassthrough
from lateen.compile.base import Base, mesh_of
from lateen.compile.clusters import Clusters
from lateen.compile.extensions import Extension, extensions_for, with_extensions
from lateen.compile.gateways import has_http3, merge_gateways
from lateen.compile.l4routes import Carried
from lateen.compile.matches import Place
from lateen.compile.meshtls import min_tls, path_normalization
from lateen.compile.plan_gateway_routes import plan_gateway_hosts
from lateen.compile.plan_gateways import GatewayContext, plan_gateway_listener, plan_quic_listener
from lateen.compile.plan_inbound import InboundSettings, plan_inbound
from lateen.compile.plan_outbound import OutboundContext, plan_bound, plan_interception, plan_outbound
from lateen.compile.plan_secrets import plan_secrets
from lateen.compile.routenames import gateway_route, gateway_tls_route
from lateen.compile.routes import Routes
from lateen.compile.rules import Lookup, cluster_for
from lateen.compile.scope import Scopes
from lateen.compile.secretreads import SecretReads
from lateen.compile.security import security_of
from lateen.compile.servertls import EXTERNAL, credentials_of, provider_cluster, provider_hosts
from lateen.compile.subjects import Subject
from lateen.graph import Collection, Graph, Read
from lateen.model.gateway import GatewayPort, MergedServer
from lateen.model.listenerplan import ListenerPlan
from lateen.model.names import PASSTHROUGH
from lateen.model.route import MESH, VirtualRoutes
from lateen.model.routeplan import VirtualHostPlan
from lateen.model.scope import Client, GatewayScope, InboundScope, OutboundScope
from lateen.model.secretplan import SecretPlan
from lateen.model.security import WorkloadSecurity
from lateen.model.service import Service
from lateen.util.hosts import overlaps
from lateen.util.problem import Problems

__all__ = ["GatewayView", "Listeners"]


class GatewayView(Struct, frozen=True, kw_only=True):
    """All that a gateway serves."""

    listeners: tuple[ListenerPlan, ...] = ()
    routes: Mapping[str, tuple[VirtualHostPlan, ...]] = {}
    secrets: tuple[SecretPlan, ...] = ()


class Listeners:
    """Listeners by scope."""

    def __init__(self, graph: Graph, base: Base, scopes: Scopes, clusters: Clusters, passed_on: AutoPassthrough, routes: Routes) -> None:
        self._base = base
        self._clusters = clusters
        self._passed_on = passed_on
        self._routes = routes
        self.outbound: Collection[OutboundScope, tuple[ListenerPlan, ...]] = graph.one(
            "outbound listeners", scopes.outbound, self._outbound
        )
        self.inbound: Collection[InboundScope, ListenerPlan] = graph.one("inbound listeners", scopes.inbound, self._inbound)
        self.gateways: Collection[GatewayScope, GatewayView] = graph.one("gateway views", scopes.gateways, self._gateway)

        self.reached: Collection[GatewayScope, frozenset[str]] = graph.one("hosts that gateways reach", scopes.gateways, self._reached)

    def _outbound(self, read: Read, scope: OutboundScope, _none: None) -> tuple[tuple[ListenerPlan, ...], Problems]:
        mesh = mesh_of(read, self._base.mesh)
        client = scope.client
        services = self._clusters.services_of(read, client)
        routes = self._mesh_routes(read, client)
        policy = self._clusters.outbound_policy(read, client)
        proxy = policy.egress_proxy
        context = OutboundContext(
            allow_any=policy.allow_any,
            dynamic_dns=policy.dynamic_dns,
            looks_up=self._clusters.looks_up(read, client),
            unknown=self._cluster(read, client, at_port=False)(proxy, 0) if proxy is not None else PASSTHROUGH,
            routes_for=lambda host: tuple(one for one in routes if any(overlaps(host, name) for name in one.hosts)),
            place=lambda port: Place(port=port, namespace=scope.namespace, selectors=scope.selectors),
            cluster=self._cluster(read, client, at_port=True),
            carried=self._carried(read, client),
            pods=lambda service: self._pods(read, service),
            access_logs=mesh_access_logs(mesh),
        )
        listeners, problems = plan_outbound(services, context)
        bound = plan_bound(self._clusters.bound(read, client), context)
        extensions = self._extensions(read, Subject(namespace=scope.namespace, selectors=scope.selectors))
        return tuple(with_extensions(one, extensions) for one in (*listeners, *bound, plan_interception(context))), problems

    def _mesh_routes(self, read: Read, client: Client) -> list[VirtualRoutes]:
        """VirtualServices with TCP or TLS rules for sidecars, oldest first."""
        found = read.by_index(self._base.l4_routes_at, MESH).values()
        seen = (one for one in found if self._clusters.sees_routes(read, client, one))
        return sorted(seen, key=lambda one: one.age)

    def _cluster(self, read: Read, client: Client, *, at_port: bool) -> Callable[[Destination, int], str]:
        def cluster(destination: Destination, port: int) -> str:
            return cluster_for(destination, port, self._lookup(read, client, port if at_port else 0))

        return cluster

    def _carried(self, read: Read, client: Client) -> Carried:
        return lambda cluster, alone: self._clusters.carried(read, client, cluster, alone=alone)

    def _lookup(self, read: Read, client: Client, port: int) -> Lookup:
        return self._routes.lookup(read, client, port)

    def _pods(self, read: Read, service: Service) -> tuple[str, ...]:
        endpoints = read.get(self._base.endpoints, service.key) or ()
        return tuple(sorted({endpoint.address for endpoint in endpoints}))

    def _inbound(self, read: Read, scope: InboundScope, _none: None) -> tuple[ListenerPlan, Problems]:
        mesh, root = mesh_of(read, self._base.mesh), self._base.settings.root_namespace
        policies = list(read.by_index(self._base.authn_in, scope.namespace).values())
        if scope.namespace != root:
            policies += read.by_index(self._base.authn_in, root).values()
        authn = effective_authn(policies, scope.namespace, scope.selectors, root)
        subject = Subject(namespace=scope.namespace, selectors=scope.selectors)
        security, problems = security_of(read, self._base, subject)
        settings = InboundSettings(
            client_prefixes=self._prefixes(read),
            min_tls=min_tls(mesh),
            access_logs=mesh_access_logs(mesh),
            security=security,
            path_normalization=path_normalization(mesh),
        )
        plan = plan_inbound(self._clusters.inbound_ports(read, scope), authn, settings)
        return with_extensions(plan, self._extensions(read, subject)), problems

    def _extensions(self, read: Read, subject: Subject) -> tuple[Extension, ...]:
        root = self._base.settings.root_namespace
        found = [
            one for name in {root, subject.namespace} for kind in self._base.extensions_in for one in read.by_index(kind, name).values()
        ]
        return extensions_for(found, subject, root) if found else ()

    def _prefixes(self, read: Read) -> tuple[str, ...]:
        domains = dict.fromkeys([self._base.settings.trust_domain, *mesh_of(read, self._base.mesh).trust_domain_aliases])
        return tuple(f"spiffe://{domain}/" for domain in domains)

    def _gateway(self, read: Read, scope: GatewayScope, _none: None) -> tuple[GatewayView, Problems]:
        objects = (read.get(self._base.gateway_objects, key) for key in scope.gateways)
        reads = SecretReads(read, self._base, scope.client.namespace)
        ports, problems = merge_gateways(
            [one for one in objects if one is not None], scope.instances, lambda server: _forbidden(server, reads)
        )
        routes = self._gateway_routes(read, scope)
        subject = Subject(namespace=scope.client.namespace, selectors=scope.selectors, gateway=scope.name)
        security, unusable = security_of(read, self._base, subject)
        context = self._context(read, scope, routes, security)
        secrets, missing = plan_secrets([user for port in ports for server in port.servers for user in _secrets(server)], reads)
        extensions = self._extensions(read, subject)
        plans = (plan_gateway_listener(port, context) for port in ports)
        quic = (plan_quic_listener(port, context) for port in ports) if self._base.settings.quic else ()
        listeners = tuple(with_extensions(plan, extensions) for plan in (*plans, *quic) if plan is not None)
        return GatewayView(listeners=listeners, routes=self._hosts(read, scope, ports, context), secrets=secrets), (
            *problems,
            *missing,
            *unusable,
        )

    def _gateway_routes(self, read: Read, scope: GatewayScope) -> tuple[VirtualRoutes, ...]:
        found: dict[Key, VirtualRoutes] = {}
        for key in scope.gateways:
            found |= read.by_index(self._base.routes_at, f"{key.namespace}/{key.name}")
        return tuple(sorted((one for one in found.values() if one.visible_in(scope.client.namespace)), key=lambda one: one.age))

    def _reached(self, read: Read, scope: GatewayScope, _none: None) -> tuple[frozenset[str] | None, Problems]:
        """The hosts that rules of its Gateways and services of the mesh's extensions lead to; None where all count as reached."""
        if not self._base.settings.reached_only:
            return None, ()
        routes = (read.get(self._base.route_destinations, one.key) or () for one in self._gateway_routes(read, scope))
        hosts = {self._clusters.target(read, scope.client, host) for found in routes for host in found}
        return frozenset(hosts) | provider_hosts(mesh_of(read, self._base.mesh).extension_providers), ()

    def _context(self, read: Read, scope: GatewayScope, routes: tuple[VirtualRoutes, ...], security: WorkloadSecurity) -> GatewayContext:
        mesh = mesh_of(read, self._base.mesh)
        topology = mesh.default_config.gateway_topology
        forwarded = topology.forward_client_cert_details if topology is not None else "UNDEFINED"
        return GatewayContext(
            routes=routes,
            place=lambda server: _place(server, scope),
            cluster=self._cluster(read, scope.client, at_port=False),
            carried=self._carried(read, scope.client),
            looks_up=self._clusters.looks_up(read, scope.client),
            secrets_from=provider_cluster(mesh.extension_providers),
            trusted_proxies=topology.num_trusted_proxies if topology is not None else 0,
            proxy_protocol=topology is not None and topology.proxy_protocol is not None,
            client_certificates=forwarded if forwarded != "UNDEFINED" else "SANITIZE_SET",
            access_logs=mesh_access_logs(mesh),
            security=security,
            path_normalization=path_normalization(mesh),
            passed_on=self._passed_on.server_names(read, scope),
        )

    def _hosts(
        self, read: Read, scope: GatewayScope, ports: tuple[GatewayPort, ...], context: GatewayContext
    ) -> Mapping[str, tuple[VirtualHostPlan, ...]]:
        lookup = self._lookup(read, scope.client, 0)
        configurations: dict[str, tuple[VirtualHostPlan, ...]] = {}
        for port in ports:
            for name, servers in _configurations(port).items():
                hosts = plan_gateway_hosts(servers, context.routes, context.place, lookup)
                http3 = self._base.settings.quic and has_http3(servers[0])
                configurations[name] = tuple(replace(host, http3_port=servers[0].number) for host in hosts) if http3 else hosts
        return configurations


def _secrets(server: MergedServer) -> Iterator[tuple[str, Key]]:
    """The SDS resources that a server needs of the control plane, each with the Gateway that names it."""
    if server.tls is None or not server.terminates_tls:
        return
    for resource in credentials_of(server.tls):
        if not resource.startswith(EXTERNAL):
            yield resource, server.owner[0]


def _forbidden(server: MergedServer, secrets: SecretReads) -> str:
    """Why the server is left out (docs/decisions/024): it may not have a Secret that it names; "" where it may."""
    return next((why for resource, user in _secrets(server) if (why := secrets.why_forbidden(resource, user))), "")


def _place(server: MergedServer, scope: GatewayScope) -> Place:
    return Place(
        port=server.number,
        gateways=frozenset({server.gateway}),
        namespace=scope.client.namespace,
        tls=server.tls is not None,
    )


def _configurations(port: GatewayPort) -> Mapping[str, tuple[MergedServer, ...]]:
    """The route configurations of a port: one of all plaintext HTTP, one per HTTPS server."""
    if port.servers[0].protocol.is_http:
        return {gateway_route(port.listen, port.bind): port.servers}
    found = {}
    for server in port.servers:
        if server.protocol.value == "HTTPS" and server.terminates_tls:
            namespace, name = server.gateway.split("/")
            found[gateway_tls_route(server.number, server.port_name, name, namespace, port.bind)] = (server,)
    return found
