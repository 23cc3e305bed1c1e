"""From plans to what each proxy shall hold: frames, and per set of scopes the complete set of them.

A plan is printed and serialised once, however many proxies get it. Must not know connections.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from lateen.compile.clusters import ServiceView
from lateen.compile.listeners import GatewayView
from lateen.compile.places import PlacedView
from lateen.compile.routes import ClientHost
from lateen.compile.scope import Placed, ScopeSet
from lateen.compile.world import World
from lateen.graph import Collection, Commit, Graph, Read
from lateen.model.clusterplan import ClusterPlan, EndpointsPlan, PassthroughPlan
from lateen.model.frame import Frame, Owner, Snapshot
from lateen.model.listenerplan import ListenerPlan
from lateen.model.names import inbound_cluster
from lateen.model.patchplan import FilterPlan, Key, Patch
from lateen.model.routeplan import VirtualHostPlan
from lateen.model.scope import Client, EndpointView, GatewayScope, InboundScope, OutboundScope, Peers
from lateen.model.secretplan import SecretPlan
from lateen.model.text import TEXT_KINDS, Mark, Texts
from lateen.util.problem import Problem, Problems
from lateen.xds.cluster import build_cluster, build_passthrough
from lateen.xds.endpoint import build_load_assignment
from lateen.xds.filters.extensions import build_extension, extensions_in
from lateen.xds.filters.slots import TOKENS, build_extensions
from lateen.xds.listener import build_listener
from lateen.xds.pack import pack, wrap
from lateen.xds.patches.apply import Made, Patched, apply
from lateen.xds.patches.parse import Ready, parse_plan
from lateen.xds.proxylessframes import ProxylessFrames
from lateen.xds.resources import CLUSTER, ENDPOINTS, EXTENSION, LISTENER, ROUTES, SECRET
from lateen.xds.secret import build_secret
from lateen.xds.virtualhost import host_entry, join_route_configuration

__all__ = ["Snapshots"]

Frames = Mapping[str, Frame]
_KEPT = 256  # scope sets of which is kept what changes made of their frames
_EMPTY: Snapshot = {url: {} for url in (CLUSTER, ENDPOINTS, EXTENSION, LISTENER, ROUTES, SECRET)}


class HostBytes(NamedTuple):
    """A printed virtual host, ready to be joined."""

    data: bytes
    owners: tuple[Owner, ...]


class Snapshots:
    """Frames by plan and snapshots by scope set, kept up to date by the graph."""

    def __init__(self, graph: Graph, world: World) -> None:
        self._world = world
        clusters, scopes, routes, listeners = world.clusters, world.scopes, world.routes, world.listeners
        self._fixed: Collection[tuple[()], Mapping[str, Frames]] = graph.one("fixed clusters", clusters.passthroughs, _fixed_frames)
        self._cluster_frames: Collection[tuple[ServiceView, str], Frame] = graph.one("cluster frames", clusters.plans, _cluster_frame)
        self._endpoint_frames: Collection[tuple[ServiceView, str], Frame] = graph.one(
            "endpoint frames", clusters.endpoints, _endpoint_frame
        )
        self._client_clusters: Collection[Client, Frames] = graph.one("clusters of clients", clusters.of_client, self._clusters_of)
        self._client_endpoints: Collection[Client, Frames] = graph.one("endpoints of clients", clusters.of_client, self._endpoints_of)
        self._inbound_clusters: Collection[InboundScope, Frames] = graph.one("inbound cluster frames", clusters.inbound, _inbound_frames)
        self._host_bytes: Collection[ClientHost, HostBytes] = graph.one("virtual host bytes", routes.hosts, _host_bytes)
        self._catch_all: Collection[Client, HostBytes] = graph.one("catch-all bytes", routes.catch_all, _host_bytes)
        self._route_frames: Collection[OutboundScope, Frames] = graph.one("route frames", routes.tables, self._routes_of)
        self._outbound: Collection[OutboundScope, Snapshot] = graph.one("outbound listener frames", listeners.outbound, _listener_frames)
        self._inbound: Collection[InboundScope, Snapshot] = graph.one("inbound listener frames", listeners.inbound, _inbound_listener)
        self._gateways: Collection[GatewayScope, Snapshot] = graph.one("gateway frames", listeners.gateways, _gateway_frames)
        places = world.places
        self._near_endpoints: Collection[tuple[PlacedView, str], Frame] = graph.one(
            "endpoint frames by place", places.endpoints, _endpoint_frame
        )
        self._near_clusters: Collection[tuple[PlacedView, str], Frame] = graph.one("cluster frames by place", places.plans, _cluster_frame)
        passed_on = world.passed_on
        self._passed_clusters: Collection[tuple[PlacedView, str], Frame] = graph.one(
            "cluster frames passed on", passed_on.plans, _cluster_frame
        )
        self._passed_endpoints: Collection[tuple[PlacedView, str], Frame] = graph.one(
            "endpoint frames passed on", passed_on.endpoints, _endpoint_frame
        )
        self._near: Collection[Placed, Snapshot] = graph.one("frames by place", places.of_client, self._frames_near)
        self._client_secrets: Collection[Client, Frames] = graph.one("secret frames of clients", world.credentials.secrets, _secret_frames)
        self._peers: Collection[Peers, Frame] = graph.one("frames of peers", scopes.peers, _endpoint_frame)
        self._proxyless = ProxylessFrames(graph, world)
        self._snapshots: Collection[ScopeSet, Snapshot] = graph.one("snapshots", scopes.sets, self._snapshot)
        self._changes: Collection[Key, tuple[Ready, ...]] = graph.one(
            "changes by envoy filters", world.base.envoy_filters, lambda _read, _key, plan: parse_plan(plan)
        )
        self._made: dict[ScopeSet, tuple[tuple[Ready, ...], Made]] = {}
        self._patched: Collection[ScopeSet, Patched] = graph.one("patched snapshots", self._snapshots, self._patch)
        self._texts: Collection[ScopeSet, Texts] = graph.one("texts of users", self._snapshots, self._texts_in)
        graph.one("envoy filters without effect", world.base.envoy_filters, self._unused)

    def snapshot(self, proxy_id: str) -> Snapshot:
        """The complete configuration of a connected proxy; empty when it is not known."""
        scopes = self._world.scopes.of_proxy.get(proxy_id)
        snapshot = self._of_scopes(scopes) if scopes is not None else None
        proxy = self._world.proxies.get(proxy_id)
        if snapshot is None or proxy is None:
            return _EMPTY
        if proxy.kind == "router":
            return snapshot
        own = tuple(f"{address}_" for address in proxy.addresses)
        listeners = snapshot[LISTENER]
        if not any(name.startswith(own) for name in listeners):
            return snapshot
        return {**snapshot, LISTENER: {name: frame for name, frame in listeners.items() if not name.startswith(own)}}

    def _of_scopes(self, scopes: ScopeSet) -> Snapshot | None:
        patched = self._patched.get(scopes)
        return patched.snapshot if patched is not None else self._snapshots.get(scopes)

    def texts(self, proxy_id: str) -> Texts:
        """What of a connected proxy's configuration users wrote for Envoy itself."""
        scopes = self._world.scopes.of_proxy.get(proxy_id)
        return (self._texts.get(scopes) if scopes is not None else None) or {}

    def affected(self, commit: Commit) -> frozenset[str]:
        """The proxies whose snapshot the commit changed."""
        moved = commit.keys(self._world.scopes.of_proxy)
        changed = commit.keys(self._snapshots) | commit.keys(self._patched)
        if not changed:
            return moved
        of_proxy = self._world.scopes.of_proxy
        return moved | {proxy_id for proxy_id, scopes in of_proxy.items() if scopes in changed}

    def _clusters_of(self, read: Read, client: Client, views: tuple[ServiceView, ...]) -> tuple[Frames, Problems]:
        fixed = (read.get(self._fixed, ()) or {}).get("router" if client.gateway else "sidecar", {})
        return {**fixed, **self._named(read, views, self._cluster_frames, apart=False)}, ()

    def _endpoints_of(self, read: Read, _client: Client, views: tuple[ServiceView, ...]) -> tuple[Frames, Problems]:
        return self._named(read, views, self._endpoint_frames, apart=True), ()

    def _named(
        self, read: Read, views: tuple[ServiceView, ...], frames: Collection[tuple[ServiceView, str], Frame], *, apart: bool
    ) -> Frames:
        found: dict[str, Frame] = {}
        for view in views:
            for name, has_endpoints in read.get(self._world.clusters.names, view) or ():
                frame = read.get(frames, (view, name)) if has_endpoints or not apart else None
                if frame is not None:
                    found[name] = frame
        return found

    def _routes_of(self, read: Read, scope: OutboundScope, tables: Mapping[str, tuple[ClientHost, ...]]) -> tuple[Frames, Problems]:
        last = read.get(self._catch_all, scope.client)
        frames: dict[str, Frame] = {}
        for name, keys in tables.items():
            hosts = [host for key in keys if (host := read.get(self._host_bytes, key)) is not None]
            if last is not None and not (keys and keys[0][1].alone):
                hosts.append(last)
            owners = tuple(dict.fromkeys(owner for host in hosts for owner in host.owners))
            frames[name] = wrap(name, ROUTES, join_route_configuration(name, (host.data for host in hosts)), owners)
        return frames, ()

    def _snapshot(self, read: Read, scopes: ScopeSet, _none: None) -> tuple[Snapshot, Problems]:
        if scopes.kind == "router":
            return self._gateway(read, scopes), ()
        if scopes.kind == "grpc":
            _, endpoints = self._of_client(read, scopes.callers[0].client, scopes.place)
            return {**_EMPTY, **self._proxyless.of(read, scopes), ENDPOINTS: endpoints}, ()
        outbound, inbound = scopes.outbound[0], scopes.inbound[0]
        taken_in, sent_out = read.get(self._inbound, inbound) or _EMPTY, read.get(self._outbound, outbound) or _EMPTY
        clusters, endpoints = self._of_client(read, outbound.client, scopes.place)
        return {
            CLUSTER: _joined(clusters, read.get(self._inbound_clusters, inbound) or {}),
            ENDPOINTS: _joined(endpoints, {frame.name: frame for one in scopes.peers if (frame := read.get(self._peers, one)) is not None}),
            EXTENSION: {**sent_out[EXTENSION], **taken_in[EXTENSION]},
            LISTENER: {**sent_out[LISTENER], **taken_in[LISTENER]},
            ROUTES: read.get(self._route_frames, outbound) or {},
            SECRET: read.get(self._client_secrets, outbound.client) or {},
        }, ()

    def _patch(self, read: Read, scopes: ScopeSet, snapshot: Snapshot) -> tuple[Patched | None, Problems]:
        """The snapshot as EnvoyFilters change it; what was made of the same frames by the same changes is used again."""
        if not scopes.patches:
            return None, ()
        changes = tuple(
            ready for key, indices in scopes.patches for ready in read.get(self._changes, key) or () if ready.patch.index in indices
        )
        known, made = self._made.get(scopes, ((), {}))
        instances = scopes.inbound[0].instances if scopes.inbound else ()
        hosts: dict[str, tuple[str, ...]] = {}
        for instance in instances:
            name = inbound_cluster(instance.target_port)
            hosts[name] = (*hosts.get(name, ()), instance.service.hostname)
        patched = apply(scopes.kind, snapshot, hosts, changes, made if known == changes else {})
        self._made.pop(scopes, None)
        self._made[scopes] = (changes, patched.made)
        if len(self._made) > _KEPT:
            self._made.pop(next(iter(self._made)))
        return patched, ()

    def _texts_in(self, read: Read, scopes: ScopeSet, snapshot: Snapshot) -> tuple[Texts | None, Problems]:
        patched = read.get(self._patched, scopes)
        found: dict[Mark, tuple[Frame, ...]] = dict(patched.texts) if patched is not None else {}
        for frame in snapshot[EXTENSION].values():
            owners = tuple(sorted((owner, 0) for owner in frame.owners if owner[0].kind in TEXT_KINDS))
            if owners:
                mark = (EXTENSION, owners)
                found[mark] = (*found.get(mark, ()), frame)
        return found or None, ()

    def _unused(self, read: Read, key: Key, plan: FilterPlan) -> tuple[None, Problems]:
        """What of an EnvoyFilter finds no place in any proxy that it selects."""
        readable = {ready.patch.index for ready in read.get(self._changes, key) or ()}
        asked: set[int] = set()
        found: set[int] = set()
        for scopes, patched in read.all(self._patched).items():
            asked |= {index for one, indices in scopes.patches if one == key for index in indices}
            found |= {index for owner, index in patched.used if owner[0] == key}
        return None, tuple(_without_effect(plan, patch) for patch in plan.patches if patch.index in (asked & readable) - found)

    def _frames_near(self, read: Read, _placed: Placed, views: tuple[PlacedView, ...]) -> tuple[Snapshot, Problems]:
        """What the place changes of a client's clusters and endpoints."""
        keys = [(view, name) for view in views for name in read.get(self._world.places.preferences, view.view) or ()]
        frames = ((CLUSTER, self._near_clusters), (ENDPOINTS, self._near_endpoints))
        return {url: {key[1]: frame for key in keys if (frame := read.get(found, key)) is not None} for url, found in frames}, ()

    def _of_client(self, read: Read, client: Client, place: EndpointView) -> tuple[Frames, Frames]:
        """Clusters and endpoints of a client at its place."""
        near = read.get(self._near, (client, place)) or _EMPTY
        clusters, endpoints = read.get(self._client_clusters, client) or {}, read.get(self._client_endpoints, client) or {}
        return _joined(clusters, near[CLUSTER]), _joined(endpoints, near[ENDPOINTS])

    def _passed(self, read: Read, scopes: ScopeSet, frames: Collection[tuple[PlacedView, str], Frame]) -> Frames:
        """What an AUTO_PASSTHROUGH server leads to."""
        found: dict[str, Frame] = {}
        for placed in read.get(self._world.passed_on.of_gateway, scopes) or ():
            for _, passed in self._world.passed_on.names(read, placed.view):
                frame = read.get(frames, (placed, passed))
                if frame is not None:
                    found[passed] = frame
        return found

    def _gateway(self, read: Read, scopes: ScopeSet) -> Snapshot:
        scope = scopes.gateway[0]
        clusters, endpoints = self._of_client(read, scope.client, scopes.place)
        served = read.get(self._gateways, scope) or _EMPTY
        reached = read.get(self._world.listeners.reached, scope)
        if reached is not None:
            clusters, endpoints = _leading_to(reached, clusters), _leading_to(reached, endpoints)
        return {
            **served,
            SECRET: {**served[SECRET], **(read.get(self._client_secrets, scope.client) or {})},
            CLUSTER: _joined(clusters, self._passed(read, scopes, self._passed_clusters)),
            ENDPOINTS: {**endpoints, **self._passed(read, scopes, self._passed_endpoints)},
        }


def _leading_to(hosts: frozenset[str], frames: Frames) -> Frames:
    """Clusters, or their endpoints, of these hosts."""
    return {name: frame for name, frame in frames.items() if name.rpartition("|")[2] in hosts}


def _joined(frames: Frames, more: Frames) -> Frames:
    """Both; the very same set where nothing is added, as what streams compare is remembered by set."""
    return {**frames, **more} if more else frames


def _without_effect(plan: FilterPlan, patch: Patch) -> Problem:
    key = plan.owner[0]
    message = f"the {patch.operation} of {patch.apply_to} changes nothing: no proxy that it is for has what its match asks for"
    path = f"spec.configPatches[{patch.index}].match"
    return Problem(
        code="envoy-filter", message=message, kind=key.kind, namespace=key.namespace, name=key.name, path=path, severity="warning"
    )


def _fixed_frames(_read: Read, _key: tuple[()], kinds: Mapping[str, tuple[PassthroughPlan, ...]]) -> tuple[Mapping[str, Frames], Problems]:
    return {kind: {plan.name: pack(plan.name, CLUSTER, build_passthrough(plan)) for plan in plans} for kind, plans in kinds.items()}, ()


def _cluster_frame(_read: Read, key: tuple[ServiceView | PlacedView, str], plan: ClusterPlan) -> tuple[Frame, Problems]:
    return pack(key[1], CLUSTER, build_cluster(plan), plan.owners), ()


def _endpoint_frame(_read: Read, _key: object, plan: EndpointsPlan) -> tuple[Frame, Problems]:
    return pack(plan.cluster, ENDPOINTS, build_load_assignment(plan), plan.owners), ()


def _inbound_frames(_read: Read, _scope: InboundScope, plans: tuple[ClusterPlan, ...]) -> tuple[Frames, Problems]:
    return {plan.name: pack(plan.name, CLUSTER, build_cluster(plan), plan.owners) for plan in plans}, ()


def _host_bytes(_read: Read, _key: object, plan: VirtualHostPlan) -> tuple[HostBytes, Problems]:
    return HostBytes(host_entry(plan), plan.owners), ()


def _inbound_listener(_read: Read, _key: object, plan: ListenerPlan) -> tuple[Snapshot, Problems]:
    return {LISTENER: {plan.name: pack(plan.name, LISTENER, build_listener(plan), plan.shaped_by)}, EXTENSION: _extensions((plan,))}, ()


def _extensions(plans: tuple[ListenerPlan, ...]) -> Frames:
    owners = tuple(dict.fromkeys(owner for plan in plans for owner in plan.rule_owners))
    found = {name: pack(name, EXTENSION, config, _of_place(name, owners)) for name, config in build_extensions(plans).items()}
    return found | {one.name: pack(one.name, EXTENSION, build_extension(one), (one.owner,)) for one in extensions_in(plans)}


def _of_place(name: str, owners: tuple[Owner, ...]) -> tuple[Owner, ...]:
    kind = "RequestAuthentication" if name == TOKENS else "AuthorizationPolicy"
    return tuple(owner for owner in owners if owner[0].kind == kind)


def _listener_frames(_read: Read, _key: object, plans: tuple[ListenerPlan, ...]) -> tuple[Snapshot, Problems]:
    listeners = {plan.name: pack(plan.name, LISTENER, build_listener(plan), plan.shaped_by) for plan in plans}
    return {LISTENER: listeners, EXTENSION: _extensions(plans)}, ()


def _gateway_frames(_read: Read, _scope: GatewayScope, view: GatewayView) -> tuple[Snapshot, Problems]:
    routes = {}
    for name, hosts in view.routes.items():
        owners = tuple(dict.fromkeys(owner for host in hosts for owner in host.owners))
        joined = join_route_configuration(name, (host_entry(host) for host in hosts))
        routes[name] = wrap(name, ROUTES, joined, owners)
    return {
        LISTENER: {plan.name: pack(plan.name, LISTENER, build_listener(plan), plan.shaped_by) for plan in view.listeners},
        EXTENSION: _extensions(view.listeners),
        ROUTES: routes,
        SECRET: _secrets(view.secrets),
    }, ()


def _secret_frames(_read: Read, _client: Client, plans: tuple[SecretPlan, ...]) -> tuple[Frames, Problems]:
    return _secrets(plans), ()


def _secrets(plans: Iterable[SecretPlan]) -> Frames:
    return {plan.name: pack(plan.name, SECRET, build_secret(plan), plan.owners) for plan in plans}
