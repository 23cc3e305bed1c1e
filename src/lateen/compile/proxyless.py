"""gRPC programs without a proxy: what `xds:///host:port` means to them, and how their servers take calls.

Clusters, endpoints and rules are those of sidecars. A program asks by name, so there is a listener for each name that a service has, with
routes of that service alone. Mutual TLS is used where a DestinationRule says ISTIO_MUTUAL, never by itself: nobody knows here whether
a program was written to take the certificates it is offered (docs/decisions/026). Must not know how a listener is printed.
"""

from collections.abc import Iterable, Iterator, Mapping

from msgspec.structs import replace

from lateen.api.security import PeerAuthentication
from lateen.compile.authn import effective_authn
from lateen.compile.base import Base
from lateen.compile.clusters import Clusters
from lateen.compile.domains import service_domains
from lateen.compile.routes import ClientHost, Routes
from lateen.compile.scope import Scopes
from lateen.compile.security import security_of
from lateen.compile.subjects import Subject
from lateen.graph import Collection, Graph, Read
from lateen.model.authn import MtlsMode
from lateen.model.authz import AllOf, Always, AnyOf, AuthzPlan, AuthzRule, Condition, Metadata, Not, RbacPlan, RuleSet
from lateen.model.names import outbound_cluster
from lateen.model.proxylessplan import CallPlan, ServerPlan
from lateen.model.routeplan import VirtualHostPlan
from lateen.model.scope import OutboundScope, ServerScope
from lateen.model.service import Protocol, Service
from lateen.util.problem import Problems

__all__ = ["Proxyless"]

_ANY = ("0.0.0.0", "::")  # noqa: S104 - addresses that servers say, none is bound
_ASKED = AuthzRule(name="asks-a-service", operations=(Always(),), sources=(Always(),))


class Proxyless:
    """Listeners and routes of gRPC programs, by scope."""

    def __init__(self, graph: Graph, base: Base, scopes: Scopes, clusters: Clusters, routes: Routes) -> None:
        self._base = base
        self._clusters = clusters
        self._routes = routes
        self.calls: Collection[OutboundScope, tuple[CallPlan, ...]] = graph.one("calls of gRPC clients", scopes.callers, self._calls)
        self.tables: Collection[OutboundScope, Mapping[str, ClientHost]] = graph.one(
            "route tables of gRPC clients", scopes.callers, self._tables
        )
        keys: Collection[ClientHost, None] = graph.many("virtual host keys of gRPC clients", self.tables, _keys)
        self.hosts: Collection[ClientHost, VirtualHostPlan] = graph.one("virtual hosts of gRPC clients", keys, routes.host)
        self.servers: Collection[ServerScope, tuple[ServerPlan, ...]] = graph.one("gRPC servers", scopes.servers, self._servers)

    def _calls(self, read: Read, scope: OutboundScope, _none: None) -> tuple[tuple[CallPlan, ...], Problems]:
        domain = self._base.settings.domain or "cluster.local"
        found: dict[str, CallPlan] = {}
        services = list(self._clusters.services_of(read, scope.client))
        full = ((service, service.hostname) for service in services)
        short = ((service, name) for service in services for name in _short_names(service, scope.namespace, domain))
        for service, host in (*full, *short):
            for port in _ports(service):
                name = f"{host}:{port}"
                found.setdefault(name, CallPlan(name, outbound_cluster(port, "", service.hostname)))
        return tuple(found[name] for name in sorted(found)), ()

    def _tables(self, read: Read, scope: OutboundScope, _none: None) -> tuple[Mapping[str, ClientHost], Problems]:
        by_port: dict[int, list[Service]] = {}
        for service in self._clusters.services_of(read, scope.client):
            for port in _ports(service):
                by_port.setdefault(port, []).append(service)
        heads = self._routes.heads(read, scope.client)
        return {
            outbound_cluster(port, "", key[1].host): key
            for port, services in sorted(by_port.items())
            for key in self._routes.table(read, port, services, heads, scope, alone=True)
        }, ()

    def _servers(self, read: Read, scope: ServerScope, _none: None) -> tuple[tuple[ServerPlan, ...], Problems]:
        """One for each address that a server may say it listens at: gRPC asks for that very text."""
        root = self._base.settings.root_namespace
        policies: list[PeerAuthentication] = []
        for namespace in sorted({root, scope.namespace}):
            policies += read.by_index(self._base.authn_in, namespace).values()
        authn = effective_authn(policies, scope.namespace, scope.selectors, root)
        security, problems = security_of(read, self._base, Subject(namespace=scope.namespace, selectors=scope.selectors))
        rules = tuple(_rules(security.authz)) if security.authz is not None else ()
        ports = sorted({one.target_port for one in scope.instances if one.port.protocol != Protocol.UDP})
        return tuple(
            ServerPlan(
                address=address,
                port=port,
                mutual_tls=_mutual(authn.of(port), certified=scope.certified),
                rules=rules,
                owners=(*authn.owners, *security.owners),
            )
            for port in ports
            for address in dict.fromkeys((*_ANY, scope.address))
        ), problems


def _short_names(service: Service, namespace: str, domain: str) -> Iterator[str]:
    """All but the full name; gRPC takes a name as it is, with no search domains."""
    for name in service_domains(service, namespace, domain):
        if not name.startswith("*") and not name.endswith("."):
            yield name


def _ports(service: Service) -> Iterator[int]:
    if not service.hostname.startswith("*"):
        yield from (port.number for port in service.ports if port.protocol != Protocol.UDP)


def _keys(_read: Read, _scope: OutboundScope, tables: Mapping[str, ClientHost]) -> tuple[Mapping[ClientHost, None], Problems]:
    return dict.fromkeys(tables.values()), ()


def _mutual(mode: MtlsMode, *, certified: bool) -> bool:
    """A gRPC server cannot take both: PERMISSIVE is mutual TLS for those whose clients are told to come with it."""
    return mode == MtlsMode.STRICT or (mode == MtlsMode.PERMISSIVE and certified)


def _rules(plan: AuthzPlan) -> Iterator[RuleSet]:
    """The rules in force. A service cannot be asked from within gRPC: where one would be, nobody is let in (docs/decisions/026)."""
    if plan.custom:
        yield RuleSet(action="DENY", rules=(_ASKED,))
    for step in plan.rules:
        if isinstance(step, RbacPlan) and step.rules is not None and step.rules.action != "LOG":
            yield _without_tokens(step.rules)


def _without_tokens(rules: RuleSet) -> RuleSet:
    """Nobody reads tokens in gRPC: what would be allowed by them is not, what would be denied by them is denied without."""
    if rules.action == "ALLOW":
        return replace(rules, rules=tuple(one for one in rules.rules if not _reads_tokens((*one.sources, *one.operations))))
    return replace(rules, rules=tuple(replace(one, sources=(Always(),)) if _reads_tokens(one.sources) else one for one in rules.rules))


def _reads_tokens(conditions: Iterable[Condition]) -> bool:
    for condition in conditions:
        match condition:
            case Metadata():
                return True
            case AllOf(inner) | AnyOf(inner):
                if _reads_tokens(inner):
                    return True
            case Not(one):
                if _reads_tokens((one,)):
                    return True
    return False
