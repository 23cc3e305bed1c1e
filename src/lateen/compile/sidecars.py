"""Sidecars: which one counts for a workload, and what it lets the workload see.

A Sidecar that selects the workload comes before the namespace's, that before the one of the root namespace; inside each the oldest
counts. Gateways know no Sidecars.
"""

from collections.abc import Callable, Iterable, Mapping

from lateen.api.meta import Key
from lateen.api.sidecar import IstioEgressListener, Sidecar
from lateen.api.virtualservice import Destination
from lateen.compile.protocols import protocol_of
from lateen.model.names import LOOPBACK
from lateen.model.route import VirtualRoutes
from lateen.model.service import Service
from lateen.model.sidecar import HostRule, Imports, SidecarHead, SidecarPlan
from lateen.util.hosts import matches as covers
from lateen.util.hosts import overlaps, resolve
from lateen.util.selectors import canonical, matches

__all__ = ["choose_sidecar", "compile_sidecar", "destinations_of", "head_of_sidecar", "imports_routes", "imports_service"]

_EVERYTHING = ("*/*",)


def head_of_sidecar(sidecar: Sidecar) -> SidecarHead:
    """The head of `sidecar`."""
    meta, spec = sidecar.metadata, sidecar.spec
    return SidecarHead(
        key=Key("Sidecar", meta.namespace, meta.name),
        age=(meta.creation_timestamp, meta.name),
        selector=canonical(spec.workload_selector.labels) if spec.workload_selector is not None else (),
        inbound=bool(spec.ingress) or spec.inbound_connection_pool is not None,
    )


def choose_sidecar(own: Iterable[SidecarHead], root: Iterable[SidecarHead], labels: Mapping[str, str]) -> SidecarHead | None:
    """The Sidecar of a workload; `own` are those of its namespace, `root` those of the root namespace."""
    mine = sorted(own, key=lambda head: head.age)
    selecting = (head for head in mine if head.selector and matches(head.selector, labels))
    general = (head for head in mine if not head.selector)
    shared = (head for head in sorted(root, key=lambda head: head.age) if not head.selector)
    return next((head for group in (selecting, general, shared) for head in group), None)


def compile_sidecar(sidecar: Sidecar, *, domain: str) -> SidecarPlan:
    """The plan of `sidecar`. "." stays: it means the namespace of the workload, which may be another than the Sidecar's."""
    meta, spec = sidecar.metadata, sidecar.spec
    policy = spec.outbound_traffic_policy
    proxy = policy.egress_proxy if policy is not None else None
    key = Key("Sidecar", meta.namespace, meta.name)
    return SidecarPlan(
        key=key,
        egress=tuple(_imports(listener) for listener in spec.egress) or (Imports(hosts=tuple(map(_rule, _EVERYTHING))),),
        allow_any=policy.mode == "ALLOW_ANY" if policy is not None else None,
        egress_proxy=Destination(host=resolve(proxy.host, meta.namespace, domain), subset=proxy.subset, port=proxy.port)
        if proxy is not None
        else None,
        ingress=spec.ingress,
        connection_pool=spec.inbound_connection_pool,
        owners=((key, meta.generation),),
    )


def _imports(listener: IstioEgressListener) -> Imports:
    """A listener with a port of its own listens itself where it says at which address, or where nothing is captured for it."""
    hosts, port = tuple(map(_rule, listener.hosts)), listener.port
    if port is None:
        return Imports(hosts=hosts)
    bind = listener.bind or (LOOPBACK if listener.capture_mode == "NONE" else "")
    return Imports(hosts=hosts, port=port.number, protocol=protocol_of(port.protocol or port.name, None, port.number), bind=bind)


def _rule(text: str) -> HostRule:
    namespace, slash, host = text.lower().partition("/")
    if not slash:
        return HostRule("*", namespace)
    refused = len(namespace) > 1 and namespace.startswith("~")
    return HostRule(namespace.removeprefix("~") if refused else namespace, host, refused)


def imports_service(imports: Imports, service: Service, client: str) -> bool:
    """Whether an egress listener of a workload of namespace `client` lets the service in."""
    if imports.port and service.port(imports.port) is None:
        return False
    return _let_in(imports, service.namespace, client, lambda host: covers(host, service.hostname))


def imports_routes(imports: Imports, namespace: str, hosts: Iterable[str], client: str) -> bool:
    """Whether it lets in a VirtualService of `namespace`: one of its hosts and one of the listener's must overlap."""
    names = tuple(hosts)
    return _let_in(imports, namespace, client, lambda host: any(overlaps(host, name) for name in names))


def _let_in(imports: Imports, namespace: str, client: str, fits: Callable[[str], bool]) -> bool:
    found = [rule for rule in imports.hosts if _in_namespace(rule, namespace, client) and fits(rule.host)]
    return bool(found) and not any(rule.refused for rule in found)


def _in_namespace(rule: HostRule, namespace: str, client: str) -> bool:
    return rule.namespace == "*" or namespace == (client if rule.namespace == "." else rule.namespace)


def destinations_of(routes: VirtualRoutes) -> tuple[str, ...]:
    """Every host that the rules send traffic to: what a workload reaches by a rule it need not import by name."""
    hosts: set[str] = set()
    for rule in routes.http:
        targets = [*(one.destination for one in rule.route), rule.mirror, *(one.destination for one in rule.mirrors)]
        hosts |= {target.host for target in targets if target is not None}
    streams = [*(one.route for one in routes.tls), *(one.route for one in routes.tcp)]
    hosts |= {one.destination.host for route in streams for one in route if one.destination is not None}
    return tuple(sorted(hosts))
