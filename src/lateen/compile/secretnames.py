"""Names of Secrets as users write them: which SDS resource each is, where it leads, and who may follow it there.

`name` and `kubernetes://name` are of the proxy's own namespace. `kubernetes-gateway://namespace/name` is what a Gateway in the proxy's
namespace names: of that namespace too, or of one where a ReferenceGrant lets that namespace's Gateways use the Secret.
"""

from collections.abc import Callable, Iterable

from lateen.api.gatewayapi import ReferenceGrant
from lateen.api.meta import Key

__all__ = ["CA_SUFFIX", "grant_places", "is_granted", "resource_of", "secret_of", "why_forbidden"]

CA_SUFFIX = "-cacert"  # of the Secret (or its SDS resource) that holds the CA for a credential
_OWN, _GATEWAYS = "kubernetes://", "kubernetes-gateway://"
_GATEWAY_API = "gateway.networking.k8s.io"


def resource_of(name: str) -> str:
    """The SDS resource of a `credentialName`."""
    return name if name.startswith((_OWN, _GATEWAYS)) else f"{_OWN}{name}"


def secret_of(resource: str, namespace: str) -> Key | None:
    """The Secret of an SDS resource for a proxy of `namespace`; None where it names none."""
    place, _, name = resource.partition("://")[2].rpartition("/")
    if not name or "/" in place or (not place and resource.startswith(_GATEWAYS)):
        return None
    return Key("Secret", place or namespace, name)


def why_forbidden(resource: str, user: Key, namespace: str, granted: Callable[[Key], bool]) -> str:
    """Why a proxy of `namespace` may not have what `user` names; "" where it may. Must not depend on what the Secret is or holds."""
    secret = secret_of(resource, namespace)
    if secret is None:
        return f"{resource} names no Secret: write name, or kubernetes-gateway://namespace/name"
    if resource.startswith(_OWN):
        return "" if secret.namespace == namespace else f"{resource} is not of namespace {namespace}, where its proxies are"
    if user.kind != "Gateway" or user.namespace != namespace:
        return f"only Gateways of namespace {namespace}, where the proxies are, may name {resource}"
    if secret.namespace == namespace or granted(secret):
        return ""
    return f"no ReferenceGrant in namespace {secret.namespace} lets Gateways of namespace {namespace} use {resource}"


def grant_places(grant: ReferenceGrant) -> tuple[str, ...]:
    """From where to where it opens Secrets to Gateways: "their namespace/the Secrets'"."""
    spec = grant.spec
    if spec is None or not any(_is_secret(to.group, to.kind) for to in spec.to):
        return ()
    gateways = (one for one in spec.from_ if (one.group, one.kind) == (_GATEWAY_API, "Gateway"))
    return tuple(f"{one.namespace}/{grant.metadata.namespace}" for one in gateways)


def is_granted(grants: Iterable[ReferenceGrant], name: str) -> bool:
    """Whether one of the grants opens the Secret of that name; with a Secret goes the CA that is named after it."""
    names = {None, name, name.removesuffix(CA_SUFFIX)}
    return any(_is_secret(to.group, to.kind) and to.name in names for grant in grants if grant.spec is not None for to in grant.spec.to)


def _is_secret(group: str, kind: str) -> bool:
    return (group, kind) == ("", "Secret")
