"""Which parts of an object have an address of their own.

One table, since discovery, OpenAPI and the HTTP door must agree.
"""

from typing import NamedTuple

from lateen.api.kinds import KindInfo
from lateen.kube.defined import form_of
from lateen.kube.records import resource_id

__all__ = ["Subresource", "subresource", "subresources"]

_WITHOUT_STATUS = frozenset(
    {
        "configmaps",
        "secrets",
        "serviceaccounts",
        "events",
        "endpoints",
        "limitranges",
        "endpointslices.discovery.k8s.io",
        "leases.coordination.k8s.io",
        "ingressclasses.networking.k8s.io",
        "networkpolicies.networking.k8s.io",
        "referencegrants.gateway.networking.k8s.io",
        *(f"{plural}.rbac.authorization.k8s.io" for plural in ("roles", "rolebindings", "clusterroles", "clusterrolebindings")),
        *(f"{plural}webhookconfigurations.admissionregistration.k8s.io" for plural in ("mutating", "validating")),
    }
)
_SCALABLE = frozenset({"deployments.apps", "replicasets.apps", "statefulsets.apps"})
_READ_WRITE = ("get", "patch", "update")


class Subresource(NamedTuple):
    """`kind` is what it is read and written as; group and version are empty where they are the parent's."""

    name: str
    kind: str
    verbs: tuple[str, ...]
    group: str = ""
    version: str = ""


_SCALE = Subresource("scale", "Scale", _READ_WRITE, "autoscaling", "v1")


def subresources(info: KindInfo, version: str = "") -> tuple[Subresource, ...]:
    """The subresources of a kind in one of its versions (the preferred where none is named), by name."""
    if (form := form_of(info, version)) is not None:
        status = (Subresource("status", info.kind, _READ_WRITE),) if form.status else ()
        return (*status, _SCALE) if form.scale else status
    resource = resource_id(info)
    found: list[Subresource] = []
    if resource == "pods":
        found.append(Subresource("ephemeralcontainers", "Pod", _READ_WRITE))
        found.append(Subresource("exec", "PodExecOptions", ("create", "get")))
        found.append(Subresource("log", "Pod", ("get",)))
        found.append(Subresource("portforward", "PodPortForwardOptions", ("create", "get")))
        found.append(Subresource("eviction", "Eviction", ("create",), "policy", "v1"))
    if resource == "serviceaccounts":
        found.append(Subresource("token", "TokenRequest", ("create",), "authentication.k8s.io", "v1"))
    if resource in _SCALABLE:
        found.append(_SCALE)
    if resource not in _WITHOUT_STATUS:
        found.append(Subresource("status", info.kind, _READ_WRITE))
    return tuple(found)


def subresource(info: KindInfo, name: str, version: str = "") -> Subresource | None:
    """One of them by name."""
    return next((one for one in subresources(info, version) if one.name == name), None)
