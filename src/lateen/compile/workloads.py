"""Facts of workloads: whose they are, what they are called, whether a sidecar takes mutual TLS for them."""

from collections.abc import Callable, Mapping

from lateen.api.meta import ObjectMeta
from lateen.api.objects import Node
from lateen.api.pods import Pod
from lateen.model.endpoint import Locality
from lateen.model.workload import Workload
from lateen.util.selectors import canonical

__all__ = [
    "LOCALITY",
    "canonical_name",
    "compile_workload",
    "locality_of",
    "place_in",
    "spiffe_uri",
    "tls_mode",
    "workload_name",
    "workload_tag",
]

_ENDED = ("Succeeded", "Failed")
LOCALITY = "istio-locality"  # a pod's label that overrules its node: region.zone.subzone
_PLACE = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone")
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


def locality_of(node: Node | None) -> Locality:
    """Where a node is, by Kubernetes' labels."""
    labels = node.metadata.labels if node is not None else {}
    return Locality(*(labels.get(name, "") for name in _PLACE))


def compile_workload(pod: Pod, node: Callable[[str], Node | None], *, trust_domain: str, cluster: str) -> Workload | None:
    """The workload of a pod; None for one that has ended, whose address may be another's by now."""
    meta, spec, status = pod.metadata, pod.spec, pod.status
    if status.phase in _ENDED:
        return None
    name, labels = workload_name(meta), meta.labels
    own = labels.get(LOCALITY, "")
    ports = (one for container in spec.containers for one in container.ports)
    return Workload(
        name=meta.name,
        namespace=meta.namespace,
        workload=name,
        addresses=tuple(dict.fromkeys(ip for ip in (status.pod_ip, *(one.ip for one in status.pod_ips)) if ip)),
        labels=canonical(labels),
        identity=spiffe_uri(trust_domain, meta.namespace, spec.service_account_name or "default"),
        tls_mode=tls_mode(labels),
        locality=place_in(own) if own else locality_of(node(spec.node_name) if spec.node_name else None),
        cluster=cluster,
        node=spec.node_name,
        tag=workload_tag(labels, name, meta.namespace, cluster),
        ports={one.name: one.container_port for one in ports if one.name},
        ready=any(one.type == "Ready" and one.status == "True" for one in status.conditions),
        host_network=spec.host_network,
    )


def place_in(text: str) -> Locality:
    """`region/zone/subzone`, in labels with dots instead."""
    parts = (text if "/" in text else text.replace(".", "/")).split("/")
    return Locality(*[*parts, "", ""][:3])
