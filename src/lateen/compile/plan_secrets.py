"""Secrets that servers and rules name become SDS resources: of the proxy's own namespace only.

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
from lateen.model.secretplan import SecretPlan
from lateen.util.problem import Problem, Problems, Severity
from lateen.util.redact import Secret

__all__ = ["is_usable", "plan_secrets"]

_CA_SUFFIX = "-cacert"
_THEN = "; "
_CHAIN, _KEY, _ROOT, _REVOKED = ("tls.crt", "cert"), ("tls.key", "key"), ("ca.crt", "cacert"), ("ca.crl", "crl")
Find = Callable[[Key], SecretObject | None]


def plan_secrets(users: Iterable[tuple[str, Key]], namespace: str, find: Find, find_good: Find) -> tuple[tuple[SecretPlan, ...], Problems]:
    """The resources `kubernetes://name` for a proxy of `namespace`, by the names and the objects that name them.

    `find_good` gives the last good form of a Secret whose newest is of no use.

    What is missing or of no use is told on the Secret and on those objects: a Secret has no status to read it in.
    """
    plans: list[SecretPlan] = []
    problems: list[Problem] = []
    for name, named in groupby(sorted(set(users)), key=lambda user: user[0]):
        plan = _plan_authority if name.endswith(_CA_SUFFIX) else _plan_pair
        planned = plan(name, namespace, find)
        if isinstance(planned, SecretPlan):
            plans.append(planned)
        else:
            good = plan(name, namespace, lambda key: find_good(key) or find(key))
            if isinstance(good, SecretPlan):
                plans.append(good)
                planned = replace(planned, message=f"{planned.message.partition(_THEN)[0]}{_THEN}its last good form goes on being used")
            problems.append(planned)
            problems.extend(replace(planned, kind=key.kind, namespace=key.namespace, name=key.name) for _, key in named)
    return tuple(plans), tuple(problems)


def is_usable(secret: SecretObject) -> bool:
    """Whether it holds a certificate with its key, authorities, or both, and no part that Envoy could not use."""
    chain, key = _value(secret, _CHAIN), _value(secret, _KEY)
    root, revoked = _value(secret, _ROOT), _value(secret, _REVOKED)
    if not (chain or key):
        return bool(root) and not authority_fault(root, revoked)
    return bool(chain and key) and not pair_fault(chain, key) and not (root and authority_fault(root, revoked))


def _plan_authority(name: str, namespace: str, find: Find) -> SecretPlan | Problem:
    holder = find(Key("Secret", namespace, name)) or find(Key("Secret", namespace, name.removesuffix(_CA_SUFFIX)))
    root = _value(holder, _ROOT) if holder is not None else b""
    if holder is None or not root:
        return _problem(namespace, name, "holds no CA certificate under ca.crt or cacert", "warning")
    revoked = _value(holder, _REVOKED)
    if fault := authority_fault(root, revoked):
        return _problem(namespace, holder.metadata.name, fault, "error")
    return SecretPlan(name=f"kubernetes://{name}", root=root, revoked=revoked, owners=(_owner(holder),))


def _plan_pair(name: str, namespace: str, find: Find) -> SecretPlan | Problem:
    secret = find(Key("Secret", namespace, name))
    if secret is None:
        return _problem(namespace, name, "does not exist in the namespace of the proxy that needs it", "warning")
    chain, key = _value(secret, _CHAIN), _value(secret, _KEY)
    if not chain or not key:
        return _problem(namespace, name, "lacks tls.crt and tls.key (or cert and key)", "warning")
    if fault := pair_fault(chain, key):
        return _problem(namespace, name, fault, "error")
    return SecretPlan(name=f"kubernetes://{name}", chain=chain, key=Secret(key), owners=(_owner(secret),))


def _owner(secret: SecretObject) -> tuple[Key, int]:
    return Key("Secret", secret.metadata.namespace, secret.metadata.name), secret.metadata.generation


def _problem(namespace: str, name: str, why: str, severity: Severity) -> Problem:
    consequence = (
        "what names it takes or makes no connections until it is there"
        if severity == "warning"
        else "it is not sent: proxies keep the one they hold, and those that hold none take or make no connections with it"
    )
    return Problem(
        code="gateway-secret",
        message=f"Secret {namespace}/{name} {why}{_THEN}{consequence}",
        kind="Secret",
        namespace=namespace,
        name=name,
        severity=severity,
    )


def _value(secret: SecretObject, names: Iterable[str]) -> bytes:
    for name in names:
        if name in secret.data:
            return secret.data[name].reveal()
    return b""
