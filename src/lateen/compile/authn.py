"""PeerAuthentication: which mode counts for a workload, a namespace, a port.

The narrowest scope wins (workload, namespace, mesh), inside a scope the oldest object; UNSET inherits from the wider scope.
The mesh's own default is PERMISSIVE. Port modes count only with a selector, and only for that workload.
"""

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from lateen.api.security import AuthorizationPolicy, MutualTLS, PeerAuthentication, RequestAuthentication
from lateen.model.authn import Authn, MtlsMode
from lateen.model.endpoint import Endpoint
from lateen.model.scope import Selector
from lateen.util.selectors import canonical, matches

__all__ = ["disable_refused", "effective_authn", "namespace_mode", "selector_of"]


def selector_of(policy: PeerAuthentication | AuthorizationPolicy | RequestAuthentication) -> Selector:
    """The labels it selects; () for the whole namespace."""
    return canonical(policy.spec.selector.match_labels) if policy.spec.selector is not None else ()


def namespace_mode(policies: Iterable[PeerAuthentication], namespace: str, root: str) -> MtlsMode:
    """The mode of workloads that no selector singles out: what a client may expect of a namespace."""
    ordered = _oldest_first(policies)
    mesh = _mode(_first(ordered, root), MtlsMode.PERMISSIVE)
    return _mode(_first(ordered, namespace), mesh)


def effective_authn(policies: Iterable[PeerAuthentication], namespace: str, selectors: tuple[Selector, ...], root: str) -> Authn:
    """The modes of a workload of `namespace` that `selectors` match."""
    ordered = _oldest_first(policies)
    inherited = namespace_mode(ordered, namespace, root)
    own = next((p for p in ordered if p.metadata.namespace == namespace and selector_of(p) and selector_of(p) in selectors), None)
    if own is None:
        return Authn(mode=inherited)
    mode = _mode(own, inherited)
    ports = {port: _setting(tls, mode) for port, tls in sorted(own.spec.port_level_mtls.items())}
    return Authn(mode=mode, ports={port: port_mode for port, port_mode in ports.items() if port_mode != mode})


def disable_refused(
    endpoints: tuple[Endpoint, ...], policies: Iterable[PeerAuthentication], namespace: str, root: str
) -> tuple[Endpoint, ...]:
    """The endpoints, those without mutual TLS whose workload refuses it on their port."""
    policies = tuple(policies)
    if not policies:
        return endpoints
    known = {selector for policy in policies if (selector := selector_of(policy))}

    def refuses(endpoint: Endpoint) -> bool:
        labels = dict(endpoint.labels)
        own = tuple(selector for selector in known if matches(selector, labels))
        authn = effective_authn(policies, namespace, own, root)
        return authn.ports.get(endpoint.port, authn.mode) == MtlsMode.DISABLE

    return tuple(replace(one, tls_mode="disabled") if one.tls_mode == "istio" and refuses(one) else one for one in endpoints)


def _oldest_first(policies: Iterable[PeerAuthentication]) -> Sequence[PeerAuthentication]:
    return sorted(policies, key=lambda p: (p.metadata.creation_timestamp, p.metadata.name, p.metadata.namespace))


def _first(policies: Sequence[PeerAuthentication], namespace: str) -> PeerAuthentication | None:
    return next((p for p in policies if p.metadata.namespace == namespace and not selector_of(p)), None)


def _mode(policy: PeerAuthentication | None, inherited: MtlsMode) -> MtlsMode:
    return inherited if policy is None else _setting(policy.spec.mtls, inherited)


def _setting(tls: MutualTLS | None, inherited: MtlsMode) -> MtlsMode:
    return inherited if tls is None or tls.mode == "UNSET" else MtlsMode(tls.mode)
