"""Facts of workloads: whose they are, what they are called, whether a sidecar takes mutual TLS for them."""

from collections.abc import Mapping

from lateen.api.meta import ObjectMeta

__all__ = ["canonical_name", "canonical_revision", "spiffe_uri", "tls_mode", "workload_name", "workload_tag"]

_TLS_MODE = "security.istio.io/tlsMode"
_NAMES = ("service.istio.io/canonical-name", "app.kubernetes.io/name", "app")
_REVISIONS = ("service.istio.io/canonical-revision", "app.kubernetes.io/version", "version")


def spiffe_uri(trust_domain: str, namespace: str, account: str) -> str:
    """The identity of a service account."""
    return f"spiffe://{trust_domain}/ns/{namespace}/sa/{account}"


def tls_mode(labels: Mapping[str, str], unlabelled: str = "disabled") -> str:
    """Whether a sidecar takes mutual TLS for the workload: "istio", else "disabled"."""
    return labels.get(_TLS_MODE, unlabelled)


def canonical_name(labels: Mapping[str, str], workload: str) -> str:
    """The name under which people know the workload's service."""
    return next((labels[name] for name in _NAMES if labels.get(name)), workload)


def canonical_revision(labels: Mapping[str, str]) -> str:
    """Its version; "latest" where none is told."""
    return next((labels[name] for name in _REVISIONS if labels.get(name)), "latest")


def workload_name(meta: ObjectMeta) -> str:
    """The Deployment (or other owner) that a pod belongs to, or the pod itself."""
    owner = next((ref for ref in meta.owner_references if ref.controller), None)
    if owner is None:
        return meta.name
    suffix = f"-{meta.labels.get('pod-template-hash', '')}"
    return owner.name.removesuffix(suffix) if owner.kind == "ReplicaSet" and suffix != "-" else owner.name


def workload_tag(labels: Mapping[str, str], workload: str, namespace: str, cluster: str) -> str:
    """The workload as Istio writes it into endpoint metadata: no revision where no label tells it."""
    revision = next((labels[name] for name in _REVISIONS if labels.get(name)), "")
    return ";".join((workload, namespace, canonical_name(labels, workload), revision, cluster))
