"""Which pods get a sidecar: Istio's rules over the labels of the pod and of its namespace.

Why pure: admission, analysis and `status` ask the same question. Must not look at anything but what is passed in.
"""

from collections.abc import Mapping

__all__ = ["INJECT", "Verdict", "templates", "verdict", "wants_sidecar"]

INJECT = "sidecar.istio.io/inject"
_TEMPLATES = "inject.istio.io/templates"
_REVISION = "istio.io/rev"
_NAMESPACE = "istio-injection"
_STATUS = "sidecar.istio.io/status"
_NEVER = frozenset({"kube-system", "kube-public", "kube-node-lease", "local-path-storage"})
_YES, _NO = frozenset({"true", "yes", "y", "on", "1"}), frozenset({"false", "no", "n", "off", "0"})

# Whether, and why, in a few words.
Verdict = tuple[bool, str]


def _section(obj: Mapping[str, object], name: str) -> Mapping[str, object]:
    value = obj.get(name)
    return value if isinstance(value, Mapping) else {}


def verdict(pod: Mapping[str, object], namespace: str, namespace_labels: Mapping[str, str], revision: str = "default") -> Verdict:
    """Whether the pod gets a sidecar, and why."""
    meta = _section(pod, "metadata")
    labels, annotations = _section(meta, "labels"), _section(meta, "annotations")
    if namespace in _NEVER:
        return False, f"namespace {namespace} is never injected"
    if _section(pod, "spec").get("hostNetwork"):
        return False, "the pod uses the host's network"
    if _STATUS in annotations:
        return False, "it has its sidecar already"
    asked = str(labels.get(INJECT, annotations.get(INJECT, ""))).lower()
    if asked in _NO:
        return False, f"the pod says {INJECT}: {asked}"
    return _by_namespace(namespace_labels, asked, str(labels.get(_REVISION, "")), revision)


def _by_namespace(namespace_labels: Mapping[str, str], asked: str, pod_revision: str, revision: str) -> Verdict:
    whole = namespace_labels.get(_NAMESPACE, "")
    ours = {revision, "default"} if revision == "default" else {revision}
    if whole == "enabled":
        return True, "the namespace has istio-injection: enabled"
    if whole == "disabled":
        return False, "the namespace has istio-injection: disabled"
    of_namespace = namespace_labels.get(_REVISION, "")
    if of_namespace:
        return of_namespace in ours, f"the namespace has {_REVISION}: {of_namespace}"
    if pod_revision:
        return pod_revision in ours, f"the pod has {_REVISION}: {pod_revision}"
    if asked in _YES:
        return True, f"the pod says {INJECT}: {asked}"
    return False, "neither the namespace nor the pod asks for it"


def wants_sidecar(pod: Mapping[str, object], namespace: str, namespace_labels: Mapping[str, str], revision: str = "default") -> bool:
    """Whether the pod gets a sidecar (or, by its template, a gateway's proxy)."""
    return verdict(pod, namespace, namespace_labels, revision)[0]


def templates(pod: Mapping[str, object]) -> tuple[str, ...]:
    """The templates that the pod names; usually `sidecar` alone."""
    named = _section(_section(pod, "metadata"), "annotations").get(_TEMPLATES)
    found = tuple(each.strip() for each in str(named).split(",") if each.strip()) if named else ()
    return found or ("sidecar",)
