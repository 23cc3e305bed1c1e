"""First part of the graph: objects become services, endpoints, rules; proxies become scopes.

Everything that later parts read of the mesh is here; nothing here knows what a proxy will be sent.
"""

from collections.abc import Mapping
from typing import cast

from msgspec.structs import replace

from lateen.api.destinationrule import DestinationRule
from lateen.api.envoyfilter import EnvoyFilter
from lateen.api.extensions import TrafficExtension, WasmPlugin
from lateen.api.gateway import Gateway
from lateen.api.gatewayapi import ReferenceGrant
from lateen.api.meshconfig import MeshConfig
from lateen.api.meta import Key
from lateen.api.objects import Secret
from lateen.api.proxyconfig import ProxyConfig
from lateen.api.security import AuthorizationPolicy, PeerAuthentication, RequestAuthentication
from lateen.api.sidecar import Sidecar
from lateen.api.virtualservice import VirtualService
from lateen.compile.apart import namespaces_apart
from lateen.compile.authn import selector_of
from lateen.compile.destinationrules import head_of_rule
from lateen.compile.envoyfilters import compile_envoy_filter
from lateen.compile.extensions import Extension, compile_extension, wanted_module
from lateen.compile.locality import labels_asked
from lateen.compile.plan_routes import RouteHead, head_of
from lateen.compile.registry import Registry, mesh_of
from lateen.compile.requestauthn import jwks_address
from lateen.compile.secretnames import grant_places
from lateen.compile.sidecars import compile_sidecar, destinations_of, head_of_sidecar
from lateen.compile.virtualservices import compile_virtual_service
from lateen.graph import Collection, Graph, Index, Input, Read
from lateen.model.destination import RuleHead
from lateen.model.mesh import Settings
from lateen.model.module import Module, WantedModule
from lateen.model.patchplan import FilterPlan
from lateen.model.route import VirtualRoutes
from lateen.model.scope import Proxy, Selector
from lateen.model.service import ServiceKey
from lateen.model.sidecar import SidecarHead, SidecarPlan
from lateen.util.problem import Problems

__all__ = ["Base", "mesh_of"]


class Base:
    """Inputs and what follows from them alone."""

    def __init__(self, graph: Graph, settings: Settings) -> None:
        self.settings = settings
        self.mesh: Input[tuple[()], MeshConfig] = graph.input("MeshConfig")
        self.proxies: Input[str, Proxy] = graph.input("proxies")
        self.registry = Registry(graph, settings, self.mesh)
        self.services, self.endpoints = self.registry.services, self.registry.endpoints
        self.services_in, self.workloads = self.registry.services_in, self.registry.workloads
        self.secrets: Input[Key, Secret] = graph.input("Secret")
        self.good_secrets: Input[Key, Secret] = graph.input("last good forms of unusable Secrets")
        self.grant_objects: Input[Key, ReferenceGrant] = graph.input("ReferenceGrant")
        self.secret_grants: Index[str, Key, ReferenceGrant] = graph.index(
            "grants of secrets to gateways", self.grant_objects, lambda _key, grant: grant_places(grant)
        )
        self.route_objects: Input[Key, VirtualService] = graph.input("VirtualService")
        self.rule_objects: Input[Key, DestinationRule] = graph.input("DestinationRule")
        self.gateway_objects: Input[Key, Gateway] = graph.input("Gateway")
        self.authn_objects: Input[Key, PeerAuthentication] = graph.input("PeerAuthentication")
        self.sidecar_objects: Input[Key, Sidecar] = graph.input("Sidecar")
        self.authn_in: Index[str, Key, PeerAuthentication] = graph.index(
            "peer authentications by namespace", self.authn_objects, lambda key, _: (key.namespace,)
        )
        self.proxy_configs: Input[Key, ProxyConfig] = graph.input("ProxyConfig")  # of agents, not of what proxies are sent
        self.envoy_filter_objects: Input[Key, EnvoyFilter] = graph.input("EnvoyFilter")
        self.envoy_filters: Collection[Key, FilterPlan] = graph.one(
            "envoy filters", self.envoy_filter_objects, lambda _read, _key, one: compile_envoy_filter(one)
        )
        self.envoy_filters_in: Index[str, Key, FilterPlan] = graph.index(
            "envoy filters by namespace", self.envoy_filters, lambda key, _: (key.namespace,)
        )
        self._add_extensions(graph)
        self._add_security(graph)
        self.inputs = cast("Mapping[str, Input[Key, object]]", self._inputs())
        self._add_rules(graph)

    def _add_extensions(self, graph: Graph) -> None:
        self.plugin_objects: Input[Key, WasmPlugin] = graph.input("WasmPlugin")
        self.extension_objects: Input[Key, TrafficExtension] = graph.input("TrafficExtension")
        self.modules: Input[Key, Module] = graph.input("modules by extension")
        plugins: Collection[Key, Extension] = graph.one("wasm plugins", self.plugin_objects, self._extension)
        extensions: Collection[Key, Extension] = graph.one("traffic extensions", self.extension_objects, self._extension)
        self._wanted: tuple[Collection[Key, WantedModule], ...] = (
            graph.one("modules of wasm plugins", self.plugin_objects, self._module),
            graph.one("modules of traffic extensions", self.extension_objects, self._module),
        )
        self.extensions_in: tuple[Index[str, Key, Extension], ...] = (
            graph.index("wasm plugins by namespace", plugins, lambda key, _: (key.namespace,)),
            graph.index("traffic extensions by namespace", extensions, lambda key, _: (key.namespace,)),
        )
        self._extensions = (plugins, extensions)

    def _extension(self, read: Read, _key: Key, one: WasmPlugin | TrafficExtension) -> tuple[Extension | None, Problems]:
        return compile_extension(one, lambda key: read.get(self.modules, key))

    def _module(self, read: Read, key: Key, one: WasmPlugin | TrafficExtension) -> tuple[WantedModule | None, Problems]:
        return wanted_module(one, lambda name: read.get(self.secrets, Key("Secret", key.namespace, name))), ()

    def wanted_modules(self) -> Mapping[Key, WantedModule]:
        """What is to be fetched, by the object that names it, as of the last commit."""
        return {key: one for wanted in self._wanted for key, one in wanted.items()}

    def _add_security(self, graph: Graph) -> None:
        self.authz_objects: Input[Key, AuthorizationPolicy] = graph.input("AuthorizationPolicy")
        self.request_authn_objects: Input[Key, RequestAuthentication] = graph.input("RequestAuthentication")
        self.jwks: Input[str, str] = graph.input("key sets by address")
        self.jwks_addresses: Collection[tuple[()], tuple[str, ...]] = graph.singleton("addresses of key sets", self._jwks_addresses)
        self.authz_in: Index[str, Key, AuthorizationPolicy] = graph.index(
            "authorization policies by namespace", self.authz_objects, lambda key, _: (key.namespace,)
        )
        self.request_authn_in: Index[str, Key, RequestAuthentication] = graph.index(
            "request authentications by namespace", self.request_authn_objects, lambda key, _: (key.namespace,)
        )

    def _inputs(self) -> Mapping[str, object]:
        """Every kind of object that is read, with where it goes."""
        return {
            "Service": self.registry.kube_services,
            "EndpointSlice": self.registry.slices,
            "Pod": self.registry.pods,
            "Node": self.registry.nodes,
            "Namespace": self.registry.namespaces,
            "Secret": self.secrets,
            "ReferenceGrant": self.grant_objects,
            "VirtualService": self.route_objects,
            "DestinationRule": self.rule_objects,
            "Gateway": self.gateway_objects,
            "ServiceEntry": self.registry.entries,
            "WorkloadEntry": self.registry.workload_entries,
            "PeerAuthentication": self.authn_objects,
            "Sidecar": self.sidecar_objects,
            "AuthorizationPolicy": self.authz_objects,
            "RequestAuthentication": self.request_authn_objects,
            "EnvoyFilter": self.envoy_filter_objects,
            "ProxyConfig": self.proxy_configs,
            "WasmPlugin": self.plugin_objects,
            "TrafficExtension": self.extension_objects,
        }

    def _jwks_addresses(self, read: Read) -> tuple[tuple[str, ...], Problems]:
        rules = (rule for one in read.all(self.request_authn_objects).values() for rule in one.spec.jwt_rules)
        return tuple(sorted({address for rule in rules if (address := jwks_address(rule))})), ()

    def _add_rules(self, graph: Graph) -> None:
        self.virtual_services: Collection[Key, VirtualRoutes] = graph.one("virtual services", self.route_objects, self._routes)
        self.route_heads: Collection[Key, RouteHead] = graph.one(
            "virtual service heads", self.virtual_services, lambda _read, _key, routes: (head_of(routes), ())
        )
        self.routes_at: Index[str, Key, VirtualRoutes] = graph.index(
            "virtual services by gateway", self.virtual_services, lambda _key, routes: routes.gateways
        )
        self._l4_routes: Collection[Key, VirtualRoutes] = graph.one("virtual services below HTTP", self.virtual_services, _below_http)
        self.l4_routes_at: Index[str, Key, VirtualRoutes] = graph.index(
            "virtual services below HTTP by gateway", self._l4_routes, lambda _key, routes: routes.gateways
        )
        self.route_destinations: Collection[Key, tuple[str, ...]] = graph.one(
            "destinations of virtual services", self.virtual_services, lambda _read, _key, routes: (destinations_of(routes), ())
        )
        self.sidecars: Collection[Key, SidecarPlan] = graph.one(
            "sidecars", self.sidecar_objects, lambda _read, _key, one: (compile_sidecar(one, domain=self.settings.domain), ())
        )
        sidecar_heads: Collection[Key, SidecarHead] = graph.one(
            "sidecar heads", self.sidecar_objects, lambda _read, _key, one: (head_of_sidecar(one), ())
        )
        self.sidecars_in: Index[str, Key, SidecarHead] = graph.index(
            "sidecars by namespace", sidecar_heads, lambda key, _: (key.namespace,)
        )
        self.rule_heads: Collection[Key, RuleHead] = graph.one("destination rule heads", self.rule_objects, self._rule_head)
        self.rules_named: Index[str, Key, RuleHead] = graph.index(
            "destination rules by host", self.rule_heads, lambda _key, head: (head.host,)
        )
        self.namespaces_apart = namespaces_apart(graph, self.registry, self.route_heads, self.rule_heads)
        self._distributions: Collection[ServiceKey, str] = graph.one(
            "traffic distributions", self.services, lambda _read, _key, service: (service.traffic_distribution or None, ())
        )
        self.labels_near: Collection[tuple[()], tuple[str, ...]] = graph.singleton("labels that are preferred", self._labels_near)
        self.selectors: Collection[tuple[()], SelectorsInUse] = graph.singleton("selectors in use", self._selectors)

    def _routes(self, read: Read, _key: Key, service: VirtualService) -> tuple[VirtualRoutes | None, Problems]:
        def find(key: Key) -> VirtualService | None:
            return read.get(self.route_objects, key)

        export = mesh_of(read, self.mesh).default_virtual_service_export_to
        return compile_virtual_service(service, domain=self.settings.domain, default_export=export, find=find)

    def _rule_head(self, read: Read, _key: Key, rule: DestinationRule) -> tuple[RuleHead, Problems]:
        export = mesh_of(read, self.mesh).default_destination_rule_export_to
        return head_of_rule(rule, domain=self.settings.domain, default_export=export), ()

    def _labels_near(self, read: Read) -> tuple[tuple[str, ...], Problems]:
        named = {name for head in read.all(self.rule_heads).values() for name in head.near}
        named |= {name for one in set(read.all(self._distributions).values()) for name in labels_asked(None, one)}
        mesh = mesh_of(read, self.mesh)
        return tuple(sorted(named.union(labels_asked(mesh.locality_lb_setting), labels_asked(mesh.zone_aware_lb_setting)))), ()

    def _selectors(self, read: Read) -> "tuple[SelectorsInUse, Problems]":
        sources = {selector for head in read.all(self.route_heads).values() for selector in head.selectors}
        rules = {head.selector for head in read.all(self.rule_heads).values() if head.selector}
        policies = {selector_of(one) for one in read.all(self.authn_objects).values()}
        policies |= {selector_of(one) for one in read.all(self.authz_objects).values()}
        policies |= {selector_of(one) for one in read.all(self.request_authn_objects).values()}
        extensions = {one.selector for kind in self._extensions for one in read.all(kind).values()} - {()}
        sources, policies = sources | extensions, policies | extensions
        return (tuple(sorted(sources)), tuple(sorted(rules)), tuple(sorted(policies - {()}))), ()


SelectorsInUse = tuple[tuple[Selector, ...], tuple[Selector, ...], tuple[Selector, ...]]  # source labels, rules, security policies


def _below_http(_read: Read, _key: Key, routes: VirtualRoutes) -> tuple[VirtualRoutes | None, Problems]:
    """A VirtualService's TCP and TLS rules: listeners look at no others, and are not made anew for HTTP's."""
    return (replace(routes, http=()) if routes.tls or routes.tcp else None), ()
