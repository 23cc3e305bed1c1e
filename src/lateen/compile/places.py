"""Part of the graph: clusters whose endpoints are preferred by where the client runs, made anew for each such place.

Where nothing is preferred all clients share the clusters and endpoints of `clusters`; only what differs is here.
"""

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from lateen.compile.base import Base
from lateen.compile.clusters import Clusters, ServiceView, clusters_of
from lateen.compile.destinationrules import policy_for
from lateen.compile.locality import Preference, arrange, preference_of
from lateen.compile.plan_clusters import with_defaults
from lateen.compile.scope import Placed, Scopes
from lateen.graph import Collection, Graph, Read
from lateen.model.clusterplan import ClusterPlan, EndpointsPlan
from lateen.model.mesh import ClusterDefaults
from lateen.model.scope import EndpointView
from lateen.util.problem import Problems

__all__ = ["PlacedView", "Places"]


class PlacedView(Struct, frozen=True, order=True, cache_hash=True):
    """A service view as clients at one place see it."""

    view: ServiceView
    place: EndpointView


PlacedCluster = tuple[PlacedView, str]  # and the cluster's name


class Places:
    """Endpoints (or, where they are part of it, the cluster) by view, place and name."""

    def __init__(self, graph: Graph, base: Base, scopes: Scopes, clusters: Clusters) -> None:
        self._base = base
        self._clusters = clusters
        self.preferences: Collection[ServiceView, Mapping[str, Preference]] = graph.one("preferences", clusters.names, self._preferences)
        self.of_client: Collection[Placed, tuple[PlacedView, ...]] = graph.one("views by place", scopes.places, self._views)
        views: Collection[PlacedView, None] = graph.many(
            "placed views", self.of_client, lambda _read, _placed, seen: (dict.fromkeys(seen), ())
        )
        self.endpoints: Collection[PlacedCluster, EndpointsPlan] = graph.many("endpoints by place", views, self._endpoints)
        self.plans: Collection[PlacedCluster, ClusterPlan] = graph.many("clusters by place", views, self._plans)

    def _preferences(self, read: Read, view: ServiceView, _names: object) -> tuple[Mapping[str, Preference] | None, Problems]:
        service = read.get(self._base.services, view.service)
        if service is None:
            return None, ()
        policy, defaults = read.get(self._clusters.policies, view), read.get(self._clusters.defaults, ()) or ClusterDefaults()
        found = {
            name: preference_of(with_defaults(policy_for(policy, subset, port), defaults), service, defaults)
            for name, port, subset, _ in clusters_of(service, policy)
        }
        return {name: preference for name, preference in found.items() if preference is not None} or None, ()

    def _views(self, read: Read, placed: Placed, _none: None) -> tuple[tuple[PlacedView, ...] | None, Problems]:
        client, place = placed
        views = read.get(self._clusters.of_client, client) or ()
        return tuple(PlacedView(view, place) for view in views if read.get(self.preferences, view)) or None, ()

    def _endpoints(self, read: Read, placed: PlacedView, _none: None) -> tuple[Mapping[PlacedCluster, EndpointsPlan], Problems]:
        found: dict[PlacedCluster, EndpointsPlan] = {}
        for name, preference in (read.get(self.preferences, placed.view) or {}).items():
            plan = read.get(self._clusters.endpoints, (placed.view, name))
            if plan is not None:
                found[(placed, name)] = arrange(plan, preference, placed.place)
        return found, ()

    def _plans(self, read: Read, placed: PlacedView, _none: None) -> tuple[Mapping[PlacedCluster, ClusterPlan], Problems]:
        found: dict[PlacedCluster, ClusterPlan] = {}
        for name, preference in (read.get(self.preferences, placed.view) or {}).items():
            plan = read.get(self._clusters.plans, (placed.view, name))
            if plan is not None and plan.endpoints is not None:
                found[(placed, name)] = replace(plan, endpoints=arrange(plan.endpoints, preference, placed.place))
        return found, ()
