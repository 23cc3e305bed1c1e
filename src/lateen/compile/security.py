"""Which security policies count for a workload, and what they come to: tokens and authorization of its chains.

A policy of the root namespace counts everywhere, any other in its own namespace; a selector or target narrows it. Selectors are known
here only through those in use that match (`compile.scope`). Mutual TLS modes are `compile.authn`'s.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

from lateen.api.meta import Key
from lateen.api.security import AuthorizationPolicy, RequestAuthentication
from lateen.compile.authz import AuthzContext, plan_authz
from lateen.compile.base import Base, mesh_of
from lateen.compile.extauthz import ext_authz
from lateen.compile.requestauthn import plan_request_authn
from lateen.compile.subjects import Subject, is_meant
from lateen.graph import Index, Read
from lateen.model.authz import ExtAuthzPlan
from lateen.model.frame import Owner
from lateen.model.security import WorkloadSecurity
from lateen.util.problem import Problems
from lateen.util.selectors import canonical

__all__ = ["counting", "security_of"]

Policy = TypeVar("Policy", AuthorizationPolicy, RequestAuthentication)


def counting(policies: Iterable[Policy], subject: Subject, root: str) -> tuple[Policy, ...]:
    """The policies that count for the subject, root namespace first, then oldest first."""
    found = [one for one in policies if one.metadata.namespace in {root, subject.namespace} and _meant(one, subject, root)]
    return tuple(sorted(found, key=lambda one: (one.metadata.namespace != root, one.metadata.creation_timestamp, one.metadata.name)))


def _meant(policy: AuthorizationPolicy | RequestAuthentication, subject: Subject, root: str) -> bool:
    spec = policy.spec
    targets = (*spec.target_refs, *((spec.target_ref,) if spec.target_ref is not None else ()))
    wanted = canonical(spec.selector.match_labels) if spec.selector is not None else ()
    return is_meant(targets, wanted, policy.metadata.namespace, subject, root)


def security_of(read: Read, base: Base, subject: Subject) -> tuple[WorkloadSecurity, Problems]:
    """What the policies in force come to for the subject."""
    root, mesh = base.settings.root_namespace, mesh_of(read, base.mesh)
    tokens = counting(_of(read, base.request_authn_in, subject, root), subject, root)
    rules = counting(_of(read, base.authz_in, subject, root), subject, root)

    def provider(name: str) -> ExtAuthzPlan | str:
        return ext_authz(name, mesh.extension_providers, _known(read, base))

    domains = tuple(dict.fromkeys([base.settings.trust_domain, *mesh.trust_domain_aliases]))
    authz, problems = plan_authz(rules, AuthzContext(provider=provider, trust_domains=domains))
    authn, keyless = plan_request_authn(tokens, lambda address: read.get(base.jwks, address), gateway=subject.gateway is not None)
    owners = (*map(_owner, rules), *map(_owner, tokens))
    return WorkloadSecurity(authn=authn, authz=authz, owners=owners), (*problems, *keyless)


def _owner(policy: AuthorizationPolicy | RequestAuthentication) -> Owner:
    return Key(policy.kind, policy.metadata.namespace, policy.metadata.name), policy.metadata.generation


def _of(read: Read, index: Index[str, Key, Policy], subject: Subject, root: str) -> list[Policy]:
    found: list[Policy] = []
    for namespace in sorted({root, subject.namespace}):
        found += read.by_index(index, namespace).values()
    return found


def _known(read: Read, base: Base) -> Callable[[str, str], bool]:
    def known(namespace: str, host: str) -> bool:
        return any(not namespace or key.namespace == namespace for key in read.by_index(base.registry.services_named, host))

    return known
