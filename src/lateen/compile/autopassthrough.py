"""Part of the graph: what gateways with AUTO_PASSTHROUGH servers pass on unopened, by the server name that sidecars send.

Each subset of each port of a service in the mesh has a second cluster there, named like the server name that means it. Its connections are
mutual TLS already, so the cluster adds none, and only endpoints that take mutual TLS are in it. Must not know listeners.
"""

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from lateen.compile.base import Base
from lateen.compile.clusters import Clusters, ServiceView
from lateen.compile.gateways import AUTO_PASSTHROUGH
from lateen.compile.places import PlacedView, Places
from lateen.compile.scope import Scopes, ScopeSet
from lateen.graph import Collection, Graph, Read
from lateen.model.clusterplan import ClusterPlan, EndpointsPlan, LocalityPlan
from lateen.model.endpoint import Endpoint
from lateen.model.names import passed_cluster
from lateen.model.scope import GatewayScope
from lateen.util.hosts import is_wildcard
from lateen.util.problem import Problems

__all__ = ["AutoPassthrough"]


class AutoPassthrough:
    """Clusters and endpoints by view, place and name; the views of each gateway."""

    def __init__(self, graph: Graph, base: Base, scopes: Scopes, clusters: Clusters, places: Places) -> None:
        self._base = base
        self._clusters = clusters
        self._places = places
        self._services: Collection[GatewayScope, tuple[ServiceView, ...]] = graph.one(
            "services passed on", scopes.gateways, self._services_of
        )
        self.of_gateway: Collection[ScopeSet, tuple[PlacedView, ...]] = graph.one("views passed on", scopes.sets, self._views)
        views: Collection[PlacedView, None] = graph.many(
            "placed views passed on", self.of_gateway, lambda _read, _scopes, seen: (dict.fromkeys(seen), ())
        )
        self.plans: Collection[tuple[PlacedView, str], ClusterPlan] = graph.many("clusters passed on", views, self._plans)
        self.endpoints: Collection[tuple[PlacedView, str], EndpointsPlan] = graph.many("endpoints passed on", views, self._endpoints)

    def server_names(self, read: Read, scope: GatewayScope) -> tuple[tuple[str, str], ...]:
        """The host of each service that the gateway passes on, and a server name that means it."""
        views = read.get(self._services, scope) or ()
        return tuple((view.service.hostname, name) for view in views for _, name in self.names(read, view))

    def names(self, read: Read, view: ServiceView) -> Iterable[tuple[str, str]]:
        """Each cluster of the view, and what it is called here."""
        return [(name, passed_cluster(name)) for name, _ in read.get(self._clusters.names, view) or ()]

    def _services_of(self, read: Read, scope: GatewayScope, _none: None) -> tuple[tuple[ServiceView, ...] | None, Problems]:
        objects = (read.get(self._base.gateway_objects, key) for key in scope.gateways)
        servers = (server for one in objects if one is not None for server in one.spec.servers)
        if not any(server.tls is not None and server.tls.mode == AUTO_PASSTHROUGH for server in servers):
            return None, ()
        views = read.get(self._clusters.of_client, scope.client) or ()
        return tuple(view for view in views if self._in_mesh(read, view)), ()

    def _in_mesh(self, read: Read, view: ServiceView) -> bool:
        service = read.get(self._base.services, view.service)
        return service is not None and not service.mesh_external and not is_wildcard(service.hostname)

    def _views(self, read: Read, scopes: ScopeSet, _none: None) -> tuple[tuple[PlacedView, ...] | None, Problems]:
        found = (view for scope in scopes.gateway for view in read.get(self._services, scope) or ())
        return tuple(PlacedView(view, scopes.place) for view in found) or None, ()

    def _plans(self, read: Read, placed: PlacedView, _none: None) -> tuple[Mapping[tuple[PlacedView, str], ClusterPlan], Problems]:
        found: dict[tuple[PlacedView, str], ClusterPlan] = {}
        for name, passed in self.names(read, placed.view):
            plan = read.get(self._places.plans, (placed, name)) or read.get(self._clusters.plans, (placed.view, name))
            if plan is not None:
                found[(placed, passed)] = replace(plan, name=passed, tls=None, protocol="default")
        return found, ()

    def _endpoints(self, read: Read, placed: PlacedView, _none: None) -> tuple[Mapping[tuple[PlacedView, str], EndpointsPlan], Problems]:
        found: dict[tuple[PlacedView, str], EndpointsPlan] = {}
        for name, passed in self.names(read, placed.view):
            plan = read.get(self._places.endpoints, (placed, name)) or read.get(self._clusters.endpoints, (placed.view, name))
            if plan is not None:
                found[(placed, passed)] = replace(plan, cluster=passed, localities=_secured(plan.localities))
        return found, ()


def _secured(places: Iterable[LocalityPlan]) -> tuple[LocalityPlan, ...]:
    """Without endpoints that take no mutual TLS: they would be sent what they cannot read."""
    kept = ((place, tuple(one for one in place.endpoints if one.tls_mode == "istio")) for place in places)
    return tuple(replace(place, endpoints=those, weight=_weight(place, those)) for place, those in kept if those)


def _weight(place: LocalityPlan, kept: Iterable[Endpoint]) -> int:
    """The sum of those that are left, but a share that was asked for stays."""
    shared = place.weight != sum(one.weight or 1 for one in place.endpoints)
    return place.weight if shared else sum(one.weight or 1 for one in kept)
