"""Of whom policies and extensions are asked for, and whether one that names targets or labels is meant for them."""

from msgspec import Struct

from lateen.api.meta import PolicyTargetReference
from lateen.model.scope import Selector

__all__ = ["GATEWAY_NAME", "Subject", "is_meant"]

_GATEWAYS = "gateway.networking.k8s.io"
GATEWAY_NAME = f"{_GATEWAYS}/gateway-name"  # label of a gateway's pods and its Service


class Subject(Struct, frozen=True, kw_only=True):
    """Whose policies are asked for. `gateway`: the Kubernetes Gateway that a gateway pod serves, "" for Istio's own; None: a sidecar."""

    namespace: str
    selectors: tuple[Selector, ...] = ()
    gateway: str | None = None


def is_meant(targets: tuple[PolicyTargetReference, ...], wanted: Selector, namespace: str, subject: Subject, root: str) -> bool:
    """Whether what has these targets, or this selector, in the namespace counts for the subject."""
    if targets:
        return any(_is_target(target, namespace, subject, root) for target in targets)
    return not wanted or wanted in subject.selectors


def _is_target(target: PolicyTargetReference, namespace: str, subject: Subject, root: str) -> bool:
    if not subject.gateway or target.group != _GATEWAYS:
        return False
    if target.kind == "GatewayClass":
        return namespace == root
    return target.kind == "Gateway" and target.name == subject.gateway and namespace == subject.namespace
