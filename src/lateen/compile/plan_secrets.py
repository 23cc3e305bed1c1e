"""Secrets that servers and rules name become SDS resources: of the proxy's own namespace only.

Keys as Istio accepts them: `tls.crt`/`tls.key`/`ca.crt`/`ca.crl` or `cert`/`key`/`cacert`/`crl`; the CA of client certificates, with what
it revoked, in the Secret itself or in one of the same name with `-cacert`.
"""

from collections.abc import Callable, Iterable

from lateen.api.meta import Key
from lateen.api.objects import Secret as SecretObject
from lateen.model.secretplan import SecretPlan
from lateen.util.problem import Problem
from lateen.util.redact import Secret

__all__ = ["plan_secret"]

_CA_SUFFIX = "-cacert"


def plan_secret(name: str, namespace: str, find: Callable[[Key], SecretObject | None]) -> tuple[SecretPlan | None, tuple[Problem, ...]]:
    """The resource `kubernetes://name` for a proxy of `namespace`; a problem says what is missing."""
    resource = f"kubernetes://{name}"
    stem = name.removesuffix(_CA_SUFFIX)
    secret = find(Key("Secret", namespace, name))
    if name.endswith(_CA_SUFFIX):
        holder = secret if secret is not None else find(Key("Secret", namespace, stem))
        root = _value(holder, ("ca.crt", "cacert")) if holder is not None else b""
        if holder is None or not root:
            return None, (_problem(namespace, name, "holds no CA certificate under ca.crt or cacert"),)
        return SecretPlan(name=resource, root=root, revoked=_value(holder, ("ca.crl", "crl")), owners=(_owner(holder),)), ()
    if secret is None:
        return None, (_problem(namespace, name, "does not exist in the namespace of the proxy that needs it"),)
    chain, key = _value(secret, ("tls.crt", "cert")), _value(secret, ("tls.key", "key"))
    if not chain or not key:
        return None, (_problem(namespace, name, "lacks tls.crt and tls.key (or cert and key)"),)
    return SecretPlan(name=resource, chain=chain, key=Secret(key), owners=(_owner(secret),)), ()


def _owner(secret: SecretObject) -> tuple[Key, int]:
    return Key("Secret", secret.metadata.namespace, secret.metadata.name), secret.metadata.generation


def _problem(namespace: str, name: str, why: str) -> Problem:
    return Problem(
        code="gateway-secret",
        message=f"Secret {namespace}/{name} {why}; what names it takes or makes no connections until it is there",
        kind="Secret",
        namespace=namespace,
        name=name,
        severity="warning",
    )


def _value(secret: SecretObject, names: Iterable[str]) -> bytes:
    for name in names:
        if name in secret.data:
            return secret.data[name].reveal()
    return b""
