"""EnvoyFilters: what they ask, and which of their changes count for a proxy, in which order."""

import json
from collections.abc import Iterable, Mapping

import re2
from msgspec.structs import replace

from lateen.api.envoyfilter import ConfigPatch, EnvoyFilter, ListenerMatch, ObjectMatch, RouteConfigurationMatch
from lateen.api.meta import Key
from lateen.compile.subjects import GATEWAY_NAME, Subject, is_meant
from lateen.model.patchplan import FilterPlan, Patch, PatchMatch, PatchRef
from lateen.model.scope import Proxy
from lateen.util.problem import Problem, Problems
from lateen.util.selectors import canonical, matches

__all__ = ["bootstrap_changes", "compile_envoy_filter", "patches_for"]

_MERGES = ("MERGE", "MERGE_AND_REPLACE_LIST")
_CONTEXTS = {"sidecar": ("ANY", "SIDECAR_INBOUND", "SIDECAR_OUTBOUND"), "router": ("ANY", "GATEWAY")}


def compile_envoy_filter(one: EnvoyFilter) -> tuple[FilterPlan, Problems]:
    """Its plan, and what of it cannot be acted on."""
    meta, spec = one.metadata, one.spec
    key = Key(one.kind, meta.namespace, meta.name)
    patches, problems = [], []
    for index, patch in enumerate(spec.config_patches):
        plan = _patch(index, patch)
        if plan.of_bootstrap and plan.operation not in _MERGES:
            problems.append(_problem(one, index, f"bootstraps are only merged into: {plan.operation} changes nothing; use MERGE"))
        else:
            patches.append(plan)
    return FilterPlan(
        owner=(key, meta.generation),
        selector=canonical(spec.workload_selector.labels) if spec.workload_selector is not None else (),
        targets=spec.target_refs,
        priority=int(spec.priority),
        age=(meta.creation_timestamp, meta.name, meta.namespace),
        patches=tuple(patches),
    ), tuple(problems)


def _problem(one: EnvoyFilter, index: int, message: str) -> Problem:
    meta = one.metadata
    path = f"spec.configPatches[{index}].patch.operation"
    return Problem(
        code="envoy-filter", message=message, kind=one.kind, namespace=meta.namespace, name=meta.name, path=path, severity="warning"
    )


def _patch(index: int, patch: ConfigPatch) -> Patch:
    match = patch.match or ObjectMatch()
    value = patch.patch.value if patch.patch is not None else None
    return Patch(
        index=index,
        apply_to=patch.apply_to,
        operation=patch.patch.operation if patch.patch is not None else "INVALID",
        context=match.context,
        match=_match(match),
        text="" if value is None else json.dumps(value, sort_keys=True),
        version=match.proxy.proxy_version if match.proxy is not None else "",
        metadata=canonical(match.proxy.metadata) if match.proxy is not None else (),
    )


def _match(match: ObjectMatch) -> PatchMatch:
    if match.listener is not None:
        return _listener_match(match.listener)
    if match.route_configuration is not None:
        return _route_match(match.route_configuration)
    cluster = match.cluster
    if cluster is None:
        return PatchMatch()
    return PatchMatch(port=cluster.port_number, cluster=cluster.name, service=cluster.service, subset=cluster.subset)


def _listener_match(listener: ListenerMatch) -> PatchMatch:
    chain = listener.filter_chain
    found = PatchMatch(
        listener=listener.name, port=listener.port_number, port_name=listener.port_name, listener_filter=listener.listener_filter
    )
    if chain is None:
        return found
    network, socket = chain.filter, chain.transport_socket
    return replace(
        found,
        chain=chain.name,
        sni=chain.sni,
        transport=chain.transport_protocol,
        protocols=tuple(chain.application_protocols.split(",")) if chain.application_protocols else (),
        destination_port=chain.destination_port,
        network_filter=network.name if network is not None else None,
        http_filter=network.sub_filter.name if network is not None and network.sub_filter is not None else None,
        socket=socket.name if socket is not None else "",
    )


def _route_match(routes: RouteConfigurationMatch) -> PatchMatch:
    host = routes.vhost
    route = host.route if host is not None else None
    return PatchMatch(
        port=routes.port_number,
        port_name=routes.port_name,
        routes=routes.name,
        gateway=routes.gateway,
        host=host.name if host is not None else "",
        domain=host.domain_name if host is not None else "",
        route=route.name if route is not None else None,
        action=route.action if route is not None else "ANY",
    )


def patches_for(proxy: Proxy, labels: Mapping[str, str], plans: Iterable[FilterPlan], root: str) -> tuple[PatchRef, ...]:
    """The changes that count for the proxy, of `plans` of its own and the root namespace: by priority, the root's first, older first."""
    chosen = _chosen(proxy, labels, plans, root)
    sent = ((plan.owner[0], (patch for patch in plan.patches if not patch.of_bootstrap and _concerns(patch, proxy))) for plan in chosen)
    found = ((key, tuple(patch.index for patch in patches)) for key, patches in sent)
    return tuple(ref for ref in found if ref[1])


def bootstrap_changes(proxy: Proxy, labels: Mapping[str, str], plans: Iterable[FilterPlan], root: str) -> tuple[FilterPlan, ...]:
    """The same for what the proxy starts with: `plans` with nothing but the changes that count for it."""
    chosen = _chosen(proxy, labels, plans, root)
    found = (replace(plan, patches=tuple(one for one in plan.patches if one.of_bootstrap and _concerns(one, proxy))) for plan in chosen)
    return tuple(plan for plan in found if plan.patches)


def _chosen(proxy: Proxy, labels: Mapping[str, str], plans: Iterable[FilterPlan], root: str) -> list[FilterPlan]:
    def order(plan: FilterPlan) -> tuple[int, bool, tuple[str, str, str]]:
        return plan.priority, plan.owner[0].namespace != root, plan.age

    return sorted((plan for plan in plans if _selected(plan, proxy, labels, root)), key=order)


def _selected(plan: FilterPlan, proxy: Proxy, labels: Mapping[str, str], root: str) -> bool:
    subject = Subject(
        namespace=proxy.namespace,
        selectors=(plan.selector,) if matches(plan.selector, labels) else (),
        gateway=labels.get(GATEWAY_NAME, "") if proxy.kind == "router" else None,
    )
    return is_meant(plan.targets, plan.selector, plan.owner[0].namespace, subject, root)


def _concerns(patch: Patch, proxy: Proxy) -> bool:
    if patch.context not in _CONTEXTS[proxy.kind]:
        return False
    told = dict(proxy.metadata)
    if any(told.get(name) != value for name, value in patch.metadata):
        return False
    return not patch.version or _version_matches(patch.version, told.get("ISTIO_VERSION", ""))


def _version_matches(pattern: str, version: str) -> bool:
    try:
        return re2.search(pattern, version) is not None
    except re2.error:
        return False  # validation told it
