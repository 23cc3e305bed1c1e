"""Secrets that servers and rules name become SDS resources, where the proxies may have them (see secretnames).

Keys as Istio accepts them: `tls.crt`/`tls.key`/`ca.crt`/`ca.crl` or `cert`/`key`/`cacert`/`crl`; the CA of client certificates, with what
it revoked, in the Secret itself or in one of the same name with `-cacert`. What Envoy could not use is not sent (see certificates): the
last good form is, where there is one.
"""

from collections.abc import Callable, Iterable
from itertools import groupby

from msgspec.structs import replace

from lateen.api.meta import Key
from lateen.api.objects import Secret as SecretObject
from lateen.compile.certificates import authority_fault, pair_fault
from lateen.compile.secretnames import CA_SUFFIX, secret_of
from lateen.compile.secretreads import SecretReads
from lateen.model.secretplan import SecretPlan
from lateen.util.problem import Problem, Problems, Severity
from lateen.util.redact import Secret

__all__ = ["is_usable", "plan_secrets"]

_THEN = "; "
_WITHOUT = "what names it takes or makes no connections"
_CHAIN, _KEY, _ROOT, _REVOKED = ("tls.crt", "cert"), ("tls.key", "key"), ("ca.crt", "cacert"), ("ca.crl", "crl")
Find = Callable[[Key], SecretObject | None]


def plan_secrets(users: Iterable[tuple[str, Key]], reads: SecretReads) -> tuple[tuple[SecretPlan, ...], Problems]:
    """The SDS resources that `users` name, and the objects that name them.

    What is missing or of no use is told on the Secret and on those objects: a Secret has no status to read it in. What the proxies
    may not have is told on those objects alone, whether it is there or not.
    """
    plans: list[SecretPlan] = []
    problems: list[Problem] = []
    for resource, named in groupby(sorted(set(users)), key=lambda user: user[0]):
        why = {user: reads.why_forbidden(resource, user) for _, user in named}
        problems.extend(_told(user, f"{reason}{_THEN}{_WITHOUT}", "error") for user, reason in why.items() if reason)
        allowed = [user for user, reason in why.items() if not reason]
        secret = secret_of(resource, reads.namespace)
        if not allowed or secret is None:
            continue
        plan = _plan_authority if resource.endswith(CA_SUFFIX) else _plan_pair
        planned = plan(resource, secret, reads.newest)
        if isinstance(planned, SecretPlan):
            plans.append(planned)
        else:
            good = plan(resource, secret, lambda key: reads.good(key) or reads.newest(key))
            if isinstance(good, SecretPlan):
                plans.append(good)
                planned = replace(planned, message=f"{planned.message.partition(_THEN)[0]}{_THEN}its last good form goes on being used")
            problems.append(planned)
            problems.extend(replace(planned, kind=key.kind, namespace=key.namespace, name=key.name) for key in allowed)
    return tuple(plans), tuple(problems)


def is_usable(secret: SecretObject) -> bool:
    """Whether it holds a certificate with its key, authorities, or both, and no part that Envoy could not use."""
    chain, key = _value(secret, _CHAIN), _value(secret, _KEY)
    root, revoked = _value(secret, _ROOT), _value(secret, _REVOKED)
    if not (chain or key):
        return bool(root) and not authority_fault(root, revoked)
    return bool(chain and key) and not pair_fault(chain, key) and not (root and authority_fault(root, revoked))


def _plan_authority(resource: str, secret: Key, find: Find) -> SecretPlan | Problem:
    holder = find(secret) or find(secret._replace(name=secret.name.removesuffix(CA_SUFFIX)))
    root = _value(holder, _ROOT) if holder is not None else b""
    if holder is None or not root:
        return _problem(secret, "holds no CA certificate under ca.crt or cacert", "warning")
    revoked = _value(holder, _REVOKED)
    if fault := authority_fault(root, revoked):
        return _problem(secret._replace(name=holder.metadata.name), fault, "error")
    return SecretPlan(name=resource, root=root, revoked=revoked, owners=(_owner(holder),))


def _plan_pair(resource: str, secret: Key, find: Find) -> SecretPlan | Problem:
    holder = find(secret)
    if holder is None:
        return _problem(secret, "does not exist", "warning")
    chain, key = _value(holder, _CHAIN), _value(holder, _KEY)
    if not chain or not key:
        return _problem(secret, "lacks tls.crt and tls.key (or cert and key)", "warning")
    if fault := pair_fault(chain, key):
        return _problem(secret, fault, "error")
    return SecretPlan(name=resource, chain=chain, key=Secret(key), owners=(_owner(holder),))


def _owner(secret: SecretObject) -> tuple[Key, int]:
    return Key("Secret", secret.metadata.namespace, secret.metadata.name), secret.metadata.generation


def _problem(secret: Key, why: str, severity: Severity) -> Problem:
    consequence = (
        f"{_WITHOUT} until it is there"
        if severity == "warning"
        else "it is not sent: proxies keep the one they hold, and those that hold none take or make no connections with it"
    )
    return _told(secret, f"Secret {secret.namespace}/{secret.name} {why}{_THEN}{consequence}", severity)


def _told(on: Key, message: str, severity: Severity) -> Problem:
    return Problem(code="gateway-secret", message=message, kind=on.kind, namespace=on.namespace, name=on.name, severity=severity)


def _value(secret: SecretObject, names: Iterable[str]) -> bytes:
    for name in names:
        if name in secret.data:
            return secret.data[name].reveal()
    return b""
