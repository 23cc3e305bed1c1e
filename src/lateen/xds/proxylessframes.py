"""Frames of gRPC programs without a proxy: clusters, routes and listeners by scope. A plan is printed once for all that get it."""

from collections.abc import Mapping

from lateen.compile.clusters import ServiceView
from lateen.compile.routes import ClientHost
from lateen.compile.scope import ScopeSet
from lateen.compile.world import World
from lateen.graph import Collection, Graph, Read
from lateen.model.frame import Frame
from lateen.model.names import outbound_cluster
from lateen.model.proxylessplan import CallPlan, ServerPlan
from lateen.model.routeplan import VirtualHostPlan
from lateen.model.scope import OutboundScope, ServerScope
from lateen.util.problem import Problems
from lateen.xds.pack import pack
from lateen.xds.proxyless import build_call_listener, build_call_routes, build_grpc_cluster, build_server_listener, takes
from lateen.xds.resources import CLUSTER, LISTENER, ROUTES

__all__ = ["ProxylessFrames"]

Frames = Mapping[str, Frame]
ClusterKey = tuple[ServiceView, str]


class ProxylessFrames:
    """Made only while a gRPC program is connected."""

    def __init__(self, graph: Graph, world: World) -> None:
        self._world = world
        callers, proxyless = world.scopes.callers, world.proxyless
        keys: Collection[ClusterKey, None] = graph.many("clusters for gRPC", callers, self._cluster_keys)
        self._cluster_frames: Collection[ClusterKey, Frame] = graph.one("cluster frames for gRPC", keys, self._cluster)
        self._clusters: Collection[OutboundScope, Frames] = graph.one("clusters of gRPC clients", callers, self._clusters_of)
        self._hosts: Collection[ClientHost, Frame] = graph.one("route frames for gRPC", proxyless.hosts, _routes)
        self._routes: Collection[OutboundScope, Frames] = graph.one("routes of gRPC clients", proxyless.tables, self._routes_of)
        self._calls: Collection[OutboundScope, Frames] = graph.one("listener frames for gRPC", proxyless.calls, _calls)
        self._servers: Collection[ServerScope, Frames] = graph.one("server frames for gRPC", proxyless.servers, _servers)

    def of(self, read: Read, scopes: ScopeSet) -> Mapping[str, Frames]:
        """All but endpoints, which are as for Envoys."""
        caller, server = scopes.callers[0], scopes.servers[0]
        return {
            CLUSTER: read.get(self._clusters, caller) or {},
            LISTENER: {**(read.get(self._calls, caller) or {}), **(read.get(self._servers, server) or {})},
            ROUTES: read.get(self._routes, caller) or {},
        }

    def _keys(self, read: Read, scope: OutboundScope) -> list[ClusterKey]:
        clusters = self._world.clusters
        views = read.get(clusters.of_client, scope.client) or ()
        return [(view, name) for view in views for name, _ in read.get(clusters.names, view) or ()]

    def _cluster_keys(self, read: Read, scope: OutboundScope, _none: None) -> tuple[Mapping[ClusterKey, None], Problems]:
        return dict.fromkeys(self._keys(read, scope)), ()

    def _cluster(self, read: Read, key: ClusterKey, _none: None) -> tuple[Frame | None, Problems]:
        plan = read.get(self._world.clusters.plans, key)
        return (pack(plan.name, CLUSTER, build_grpc_cluster(plan), plan.owners) if plan is not None and takes(plan) else None), ()

    def _clusters_of(self, read: Read, scope: OutboundScope, _none: None) -> tuple[Frames, Problems]:
        found = ((key[1], read.get(self._cluster_frames, key)) for key in self._keys(read, scope))
        return {name: frame for name, frame in found if frame is not None}, ()

    def _routes_of(self, read: Read, _scope: OutboundScope, tables: Mapping[str, ClientHost]) -> tuple[Frames, Problems]:
        found = ((name, read.get(self._hosts, key)) for name, key in tables.items())
        return {name: frame for name, frame in found if frame is not None}, ()


def _routes(_read: Read, key: ClientHost, plan: VirtualHostPlan) -> tuple[Frame, Problems]:
    name = outbound_cluster(key[1].port, "", key[1].host)
    return pack(name, ROUTES, build_call_routes(name, plan), plan.owners), ()


def _calls(_read: Read, _scope: OutboundScope, plans: tuple[CallPlan, ...]) -> tuple[Frames, Problems]:
    return {plan.name: pack(plan.name, LISTENER, build_call_listener(plan)) for plan in plans}, ()


def _servers(_read: Read, _scope: ServerScope, plans: tuple[ServerPlan, ...]) -> tuple[Frames, Problems]:
    return {plan.name: pack(plan.name, LISTENER, build_server_listener(plan), plan.owners) for plan in plans}, ()
