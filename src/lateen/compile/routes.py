"""Third part of the graph: routes of sidecars, a table per scope and route configuration, a plan per virtual host."""

from collections.abc import Mapping

from lateen.api.virtualservice import HTTPRetry
from lateen.compile.base import Base, mesh_of
from lateen.compile.clusters import ClientService, Clusters
from lateen.compile.plan_routes import HostKey, RouteHead, catch_all, plan_host, plan_table
from lateen.compile.routenames import UNKNOWN_HOSTS, bound_route, sniffed_route, wildcard_route
from lateen.compile.rules import Lookup, cluster_for
from lateen.compile.scope import Scopes
from lateen.graph import Collection, Graph, Read
from lateen.model.names import DYNAMIC_DNS, PASSTHROUGH
from lateen.model.routeplan import HashPlan, VirtualHostPlan
from lateen.model.scope import Client, OutboundScope
from lateen.model.service import Protocol, Service, ServiceKey
from lateen.util.problem import Problems

__all__ = ["ClientHost", "Routes"]

ClientHost = tuple[Client, HostKey]
Tables = Mapping[str, tuple[ClientHost, ...]]


class Routes:
    """Route configurations of sidecars by name, and their virtual hosts."""

    def __init__(self, graph: Graph, base: Base, scopes: Scopes, clusters: Clusters) -> None:
        self._base = base
        self._clusters = clusters
        self._retries: Collection[tuple[()], HTTPRetry] = graph.singleton(
            "default retries", lambda read: (mesh_of(read, base.mesh).default_http_retry_policy, ())
        )
        self.tables: Collection[OutboundScope, Tables] = graph.one("route tables", scopes.outbound, self._tables)
        keys: Collection[ClientHost, None] = graph.many("virtual host keys", self.tables, _host_keys)
        self.hosts: Collection[ClientHost, VirtualHostPlan] = graph.one("virtual hosts", keys, self.host)
        self.catch_all: Collection[Client, VirtualHostPlan] = graph.one("catch-all hosts", scopes.clients, self._catch_all)

    def _tables(self, read: Read, scope: OutboundScope, _none: None) -> tuple[Tables, Problems]:
        client = scope.client
        services = self._clusters.services_of(read, client)
        heads = self.heads(read, client)
        tables: dict[str, tuple[ClientHost, ...]] = {}
        members = {(wildcard_route(port), port): found for port, found in _http_ports(services).items()}
        for imports, found in self._clusters.bound(read, client):
            place = (bound_route(imports.bind, imports.port), imports.port)
            members[place] = [*members.get(place, ()), *found]
        for (name, port), found in members.items():
            tables[name] = self.table(read, port, found, heads, scope)
        for service in services:
            for one in service.ports:
                if one.protocol == Protocol.AUTO and (service.addresses or service.headless):
                    name = sniffed_route(service.hostname, one.number)
                    tables[name] = self.table(read, one.number, [service], heads, scope, alone=True)
        if self._clusters.outbound_policy(read, client).dynamic_dns:
            tables[UNKNOWN_HOSTS] = ()
        return tables, ()

    def table(
        self, read: Read, port: int, services: list[Service], heads: list[RouteHead], scope: OutboundScope, *, alone: bool = False
    ) -> tuple[ClientHost, ...]:
        """The virtual hosts of these services on a port; `alone` where each has a configuration of its own."""
        keys = plan_table(
            port,
            services,
            heads,
            namespace=scope.namespace,
            selectors=scope.selectors,
            domain=self._base.settings.domain or "cluster.local",
            alone=alone,
        )
        return tuple((self._asker(read, scope.client, key), key) for key in keys)

    def _asker(self, read: Read, client: Client, key: HostKey) -> Client:
        """Whose the virtual host is: where neither VirtualService nor DestinationRule counts it is the same for all clients."""
        if key.routes or not key.service_namespace:
            return client
        view = read.get(self._clusters.views, ClientService(client, ServiceKey(key.service_namespace, key.host)))
        return client if view is None or view.rules else Client(namespace="", dns=client.dns)

    def heads(self, read: Read, client: Client) -> list[RouteHead]:
        """VirtualServices with HTTP rules for the client, oldest first."""
        heads = read.all(self._base.route_heads).values()
        seen = [head for head in heads if head.mesh and head.http and self._clusters.sees_routes(read, client, head)]
        return sorted(seen, key=lambda head: head.age)

    def host(self, read: Read, pair: ClientHost, _none: None) -> tuple[VirtualHostPlan | None, Problems]:
        """The plan of a virtual host."""
        client, key = pair
        service = self._clusters.service_of(read, client, ServiceKey(key.service_namespace, key.host)) if key.service_namespace else None
        found = (read.get(self._base.virtual_services, one) for one in key.routes)
        routes = [one for one in found if one is not None]
        lookup = self.lookup(read, client, key.port)
        return plan_host(key, service, routes, lookup, domain=self._base.settings.domain or "cluster.local"), ()

    def lookup(self, read: Read, client: Client, port: int) -> Lookup:
        """What rules ask of the mesh as `client` sees it; a destination without a port means a service that has `port`."""

        def find(host: str) -> Service | None:
            key = self._clusters.find(read, client, host)
            return read.get(self._base.services, key) if key is not None else None

        def service(host: str) -> Service | None:
            found = find(host)
            return found if found is not None and (not port or found.port(port) is not None) else None

        def hashes(host: str, subset: str, number: int) -> tuple[HashPlan, ...]:
            found = find(host)
            return self._clusters.hashes(read, client, found.key if found is not None else None, subset, number)

        retries = read.get(self._retries, ())
        return Lookup(service=service, hashes=hashes, retries=retries, target=lambda host: self._clusters.target(read, client, host))

    def _catch_all(self, read: Read, client: Client, _none: None) -> tuple[VirtualHostPlan, Problems]:
        policy = self._clusters.outbound_policy(read, client)
        straight = DYNAMIC_DNS if policy.dynamic_dns else PASSTHROUGH
        proxy = policy.egress_proxy
        cluster = cluster_for(proxy, 0, self.lookup(read, client, 0)) if proxy is not None else straight
        return catch_all(allow_any=policy.allow_any, cluster=cluster), ()


def _http_ports(services: list[Service]) -> dict[int, list[Service]]:
    """Services by HTTP port; a detected port without an address shares the listener of its number."""
    ports: dict[int, list[Service]] = {}
    for service in services:
        for port in service.ports:
            detected = port.protocol == Protocol.AUTO and not service.headless
            if port.protocol.is_http or detected:
                ports.setdefault(port.number, []).append(service)
    with_http = {port.number for service in services for port in service.ports if port.protocol.is_http or _bare(service, port.protocol)}
    return {number: members for number, members in ports.items() if number in with_http}


def _bare(service: Service, protocol: Protocol) -> bool:
    return protocol == Protocol.AUTO and not service.addresses and not service.headless


def _host_keys(_read: Read, _scope: OutboundScope, tables: Tables) -> tuple[Mapping[ClientHost, None], Problems]:
    return {key: None for keys in tables.values() for key in keys}, ()
