"""VirtualServices as the mesh reads them: full host names, resolved gateways and exports, delegates merged in.

A rule that names a delegate which is absent, hidden or itself delegates is left out with a problem on the root; the rest stays.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

from msgspec.structs import replace

from lateen.api.meta import Key
from lateen.api.virtualservice import (
    Delegate,
    Destination,
    HTTPMatchRequest,
    HTTPMirrorPolicy,
    HTTPRoute,
    HTTPRouteDestination,
    RouteDestination,
    TCPRoute,
    TLSRoute,
    VirtualService,
)
from lateen.compile.delegates import merge_rules
from lateen.model.route import MESH, VirtualRoutes
from lateen.util.hosts import resolve
from lateen.util.problem import Problem

__all__ = ["compile_virtual_service", "exported_to", "gateway_name"]

Find = Callable[[Key], VirtualService | None]
D = TypeVar("D", HTTPRouteDestination, RouteDestination, HTTPMirrorPolicy)


def compile_virtual_service(
    service: VirtualService, *, domain: str, default_export: tuple[str, ...], find: Find
) -> tuple[VirtualRoutes | None, tuple[Problem, ...]]:
    """The routes of a root VirtualService; None for a delegate (one without hosts). `find` gives delegates."""
    meta, spec = service.metadata, service.spec
    if not spec.hosts:
        return None, ()
    namespace = meta.namespace
    problems: list[Problem] = []
    owners = [(_key(service), meta.generation)]
    rules: list[HTTPRoute] = []
    for number, rule in enumerate(spec.http):
        if rule.delegate is None:
            rules.append(_resolve_rule(rule, namespace, domain))
            continue
        delegate, problem = _delegate(service, rule.delegate, number, default_export, find)
        if delegate is None or problem is not None:
            problems += [problem] if problem is not None else []
            continue
        owners.append((_key(delegate), delegate.metadata.generation))
        own = tuple(_resolve_rule(one, delegate.metadata.namespace, domain) for one in delegate.spec.http)
        rules += merge_rules(_resolve_rule(rule, namespace, domain), own)
    return VirtualRoutes(
        key=_key(service),
        age=(meta.creation_timestamp, meta.name, namespace),
        hosts=tuple(resolve(host, namespace, domain) for host in spec.hosts),
        gateways=tuple(gateway_name(name, namespace) for name in spec.gateways) or (MESH,),
        export_to=exported_to(spec.export_to or default_export, namespace),
        http=tuple(rules),
        tls=tuple(_resolve_tls(rule, namespace, domain) for rule in spec.tls),
        tcp=tuple(_resolve_tcp(rule, namespace, domain) for rule in spec.tcp),
        owners=tuple(owners),
    ), tuple(problems)


def exported_to(export_to: Iterable[str], namespace: str) -> tuple[str, ...]:
    """The namespaces that see an object of `namespace`: "*", names, or "~" for none; "." is its own."""
    return tuple(sorted({namespace if entry == "." else entry for entry in export_to})) or ("*",)


def gateway_name(name: str, namespace: str) -> str:
    """`mesh`, or the Gateway as "namespace/name"; a bare name is of the own namespace."""
    return name if name == MESH or "/" in name else f"{namespace}/{name}"


def _key(service: VirtualService) -> Key:
    return Key("VirtualService", service.metadata.namespace, service.metadata.name)


def _delegate(
    root: VirtualService, named: Delegate, number: int, default_export: tuple[str, ...], find: Find
) -> tuple[VirtualService | None, Problem | None]:
    namespace = named.namespace or root.metadata.namespace
    delegate = find(Key("VirtualService", namespace, named.name))
    if delegate is None:
        why = "does not exist: create it, or name another"
    elif delegate.spec.hosts:
        why = "has hosts of its own: a delegate must have none"
    elif any(one.delegate is not None for one in delegate.spec.http):
        why = "delegates further: only one level is allowed"
    else:
        seen = exported_to(delegate.spec.export_to or default_export, namespace)
        if "*" in seen or root.metadata.namespace in seen:
            return delegate, None
        why = f"is not exported to namespace {root.metadata.namespace}: add it to the delegate's exportTo"
    return None, Problem(
        code="delegate",
        message=f"rule {number} is left out: its delegate {namespace}/{named.name} {why}",
        kind="VirtualService",
        namespace=root.metadata.namespace,
        name=root.metadata.name,
        path=f"spec.http[{number}].delegate",
    )


def _resolve_rule(rule: HTTPRoute, namespace: str, domain: str) -> HTTPRoute:
    return replace(
        rule,
        match=tuple(_resolve_match(match, namespace) for match in rule.match),
        route=_resolve_all(rule.route, namespace, domain),
        mirror=_resolve_destination(rule.mirror, namespace, domain),
        mirrors=_resolve_all(rule.mirrors, namespace, domain),
    )


def _resolve_match(match: HTTPMatchRequest, namespace: str) -> HTTPMatchRequest:
    return replace(match, gateways=tuple(gateway_name(name, namespace) for name in match.gateways)) if match.gateways else match


def _resolve_tls(rule: TLSRoute, namespace: str, domain: str) -> TLSRoute:
    match = tuple(replace(m, gateways=tuple(gateway_name(name, namespace) for name in m.gateways)) for m in rule.match)
    return replace(rule, match=match, route=_resolve_all(rule.route, namespace, domain))


def _resolve_tcp(rule: TCPRoute, namespace: str, domain: str) -> TCPRoute:
    match = tuple(replace(m, gateways=tuple(gateway_name(name, namespace) for name in m.gateways)) for m in rule.match)
    return replace(rule, match=match, route=_resolve_all(rule.route, namespace, domain))


def _resolve_all(items: tuple[D, ...], namespace: str, domain: str) -> tuple[D, ...]:
    return tuple(replace(item, destination=_resolve_destination(item.destination, namespace, domain)) for item in items)


def _resolve_destination(destination: Destination | None, namespace: str, domain: str) -> Destination | None:
    return None if destination is None else replace(destination, host=resolve(destination.host, namespace, domain))
