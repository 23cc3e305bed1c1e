"""PeerAuthentication: which mode counts for a workload, a namespace, a port.

The narrowest scope wins (workload, namespace, mesh), inside a scope the oldest object; UNSET inherits from the wider scope.
The mesh's own default is PERMISSIVE. Port modes count only with a selector, and only for that workload.
"""

from collections.abc import Iterable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from lateen.api.meta import Key
from lateen.api.security import AuthorizationPolicy, MutualTLS, PeerAuthentication, RequestAuthentication
from lateen.model.authn import Authn, MtlsMode
from lateen.model.endpoint import Endpoint
from lateen.model.frame import Owner
from lateen.model.scope import Selector
from lateen.util.selectors import canonical, matches

__all__ = ["SecuredEndpoints", "disable_refused", "effective_authn", "namespace_mode", "selector_of"]


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
    owners = _deciding(own, _first(ordered, namespace), _first(ordered, root))
    if own is None:
        return Authn(mode=inherited, owners=owners)
    mode = _mode(own, inherited)
    ports = {port: _setting(tls, mode) for port, tls in sorted(own.spec.port_level_mtls.items())}
    return Authn(mode=mode, ports={port: port_mode for port, port_mode in ports.items() if port_mode != mode}, owners=owners)


class SecuredEndpoints(Struct, frozen=True):
    """Endpoints, those without mutual TLS whose workload refuses it on their port; `owners` are the policies that made them so."""

    endpoints: tuple[Endpoint, ...] = ()
    owners: tuple[Owner, ...] = ()


def disable_refused(endpoints: tuple[Endpoint, ...], policies: Iterable[PeerAuthentication], namespace: str, root: str) -> SecuredEndpoints:
    """The endpoints as the policies have it."""
    policies = tuple(policies)
    if not policies:
        return SecuredEndpoints(endpoints)
    known = {selector for policy in policies if (selector := selector_of(policy))}
    owners: set[Owner] = set()

    def secured(endpoint: Endpoint) -> Endpoint:
        if endpoint.tls_mode != "istio":
            return endpoint
        labels = dict(endpoint.labels)
        own = tuple(selector for selector in known if matches(selector, labels))
        authn = effective_authn(policies, namespace, own, root)
        if authn.of(endpoint.port) != MtlsMode.DISABLE:
            return endpoint
        owners.update(authn.owners)
        return replace(endpoint, tls_mode="disabled")

    return SecuredEndpoints(tuple(map(secured, endpoints)), tuple(sorted(owners)))


def _deciding(*narrowest_first: PeerAuthentication | None) -> tuple[Owner, ...]:
    """The policies that have a say, as far as the first that inherits from no wider one."""
    found = dict[Owner, None]()
    for policy in narrowest_first:
        if policy is not None:
            meta = policy.metadata
            found[Key("PeerAuthentication", meta.namespace, meta.name), meta.generation] = None
            if policy.spec.mtls is not None and policy.spec.mtls.mode != "UNSET":
                break
    return tuple(found)


def _oldest_first(policies: Iterable[PeerAuthentication]) -> Sequence[PeerAuthentication]:
    return sorted(policies, key=lambda p: (p.metadata.creation_timestamp, p.metadata.name, p.metadata.namespace))


def _first(policies: Sequence[PeerAuthentication], namespace: str) -> PeerAuthentication | None:
    return next((p for p in policies if p.metadata.namespace == namespace and not selector_of(p)), None)


def _mode(policy: PeerAuthentication | None, inherited: MtlsMode) -> MtlsMode:
    return inherited if policy is None else _setting(policy.spec.mtls, inherited)


def _setting(tls: MutualTLS | None, inherited: MtlsMode) -> MtlsMode:
    return inherited if tls is None or tls.mode == "UNSET" else MtlsMode(tls.mode)
