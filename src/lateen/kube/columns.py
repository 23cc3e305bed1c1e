"""The columns of the built-in kinds, as kubectl's users know them.

Why: `kubectl get` prints what the server's table says. One function per kind gives the cells in the order of its columns. Must not
print custom kinds: their columns are JSON paths in the table of kinds.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from lateen.kube.ages import age
from lateen.kube.podstatus import pod_ready, pod_restarts, pod_status
from lateen.kube.records import JsonObject, dicts, section

__all__ = ["COLUMNS", "ColumnDefinition", "Printer", "created"]

_NONE, _UNKNOWN = "<none>", "<unknown>"
_SHOWN = 3  # addresses, then "+ n more..."


class ColumnDefinition(NamedTuple):
    """One column: wide ones have priority 1."""

    name: str
    priority: int = 0
    type: str = "string"


class Printer(NamedTuple):
    """A kind's columns and the function that fills them."""

    columns: tuple[ColumnDefinition, ...]
    cells: Callable[[JsonObject, datetime], list[object]]


def created(obj: JsonObject, now: datetime) -> str:
    """The object's age."""
    return age(section(obj, "metadata").get("creationTimestamp"), now)


def _columns(narrow: str, wide: str = "") -> tuple[ColumnDefinition, ...]:
    """Names divided by bars; `#` before a name says that its cells are numbers."""
    named = [(name, 0) for name in narrow.split("|")] + [(name, 1) for name in wide.split("|") if name]
    return tuple(ColumnDefinition(name.lstrip("#"), priority, "integer" if name[0] == "#" else "string") for name, priority in named)


def _name(obj: JsonObject) -> object:
    return section(obj, "metadata").get("name", "")


def _join(values: Iterable[object], empty: str = _NONE) -> str:
    return ",".join(str(value) for value in values) or empty


def _selector(labels: Mapping[str, object]) -> str:
    return _join(f"{key}={value}" for key, value in sorted(labels.items()))


def _pod(obj: JsonObject, now: datetime) -> list[object]:
    spec, status = section(obj, "spec"), section(obj, "status")
    gates = dicts(spec.get("readinessGates"))
    return [
        _name(obj),
        pod_ready(obj),
        pod_status(obj),
        pod_restarts(obj, now),
        created(obj, now),
        status.get("podIP") or _NONE,
        spec.get("nodeName") or _NONE,
        status.get("nominatedNodeName") or _NONE,
        _join(str(gate.get("conditionType")) for gate in gates),
    ]


def _service(obj: JsonObject, now: datetime) -> list[object]:
    spec = section(obj, "spec")
    kind = spec.get("type", "ClusterIP")
    ports = [_service_port(port) for port in dicts(spec.get("ports"))]
    return [
        _name(obj),
        kind,
        spec.get("clusterIP") or _NONE,
        _external(obj, spec, kind),
        _join(ports),
        created(obj, now),
        _selector(section(spec, "selector")),
    ]


def _service_port(port: JsonObject) -> str:
    node = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port.get('port')}{node}/{port.get('protocol', 'TCP')}"


def _external(obj: JsonObject, spec: JsonObject, kind: object) -> str:
    if kind == "ExternalName":
        return str(spec.get("externalName", ""))
    given = spec.get("externalIPs")
    addresses = [str(a) for a in given] if isinstance(given, list) else []
    if kind == "LoadBalancer":
        ingress = dicts(section(section(obj, "status"), "loadBalancer").get("ingress"))
        addresses += [str(entry.get("ip") or entry.get("hostname")) for entry in ingress]
        return _join(addresses, "<pending>")
    return _join(addresses)


def _containers(obj: JsonObject) -> tuple[str, str]:
    containers = dicts(section(section(section(obj, "spec"), "template"), "spec").get("containers"))
    return _join(c.get("name", "") for c in containers), _join(c.get("image", "") for c in containers)


def _deployment(obj: JsonObject, now: datetime) -> list[object]:
    spec, status = section(obj, "spec"), section(obj, "status")
    ready = f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 1)}"
    names, images = _containers(obj)
    selector = _selector(section(section(spec, "selector"), "matchLabels"))
    up_to_date, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    return [_name(obj), ready, up_to_date, available, created(obj, now), names, images, selector]


def _replica_set(obj: JsonObject, now: datetime) -> list[object]:
    spec, status = section(obj, "spec"), section(obj, "status")
    names, images = _containers(obj)
    selector = _selector(section(section(spec, "selector"), "matchLabels"))
    counts = [spec.get("replicas", 1), status.get("replicas", 0), status.get("readyReplicas", 0)]
    return [_name(obj), *counts, created(obj, now), names, images, selector]


def _namespace(obj: JsonObject, now: datetime) -> list[object]:
    return [_name(obj), section(obj, "status").get("phase", ""), created(obj, now)]


def _node(obj: JsonObject, now: datetime) -> list[object]:
    status, labels = section(obj, "status"), section(section(obj, "metadata"), "labels")
    prefix = "node-role.kubernetes.io/"
    info = section(status, "nodeInfo")
    addresses = {a.get("type"): a.get("address") for a in dicts(status.get("addresses"))}
    return [
        _name(obj),
        _node_status(obj),
        _join(sorted(label.removeprefix(prefix) for label in labels if label.startswith(prefix))),
        created(obj, now),
        info.get("kubeletVersion", ""),
        addresses.get("InternalIP") or _NONE,
        addresses.get("ExternalIP") or _NONE,
        info.get("osImage") or _UNKNOWN,
        info.get("kernelVersion") or _UNKNOWN,
        info.get("containerRuntimeVersion") or _UNKNOWN,
    ]


def _node_status(obj: JsonObject) -> str:
    conditions = {c.get("type"): c.get("status") for c in dicts(section(obj, "status").get("conditions"))}
    ready = {"True": "Ready", "False": "NotReady"}.get(str(conditions.get("Ready")), "Unknown")
    return f"{ready},SchedulingDisabled" if section(obj, "spec").get("unschedulable") else ready


def _config_map(obj: JsonObject, now: datetime) -> list[object]:
    return [_name(obj), len(section(obj, "data")) + len(section(obj, "binaryData")), created(obj, now)]


def _secret(obj: JsonObject, now: datetime) -> list[object]:
    return [_name(obj), obj.get("type", "Opaque"), len(section(obj, "data")), created(obj, now)]


def _service_account(obj: JsonObject, now: datetime) -> list[object]:
    return [_name(obj), len(dicts(obj.get("secrets"))), created(obj, now)]


def _shortened(values: Sequence[str]) -> str:
    more = f" + {len(values) - _SHOWN} more..." if len(values) > _SHOWN else ""
    return _join(values[:_SHOWN]) + more


def _endpoint_slice(obj: JsonObject, now: datetime) -> list[object]:
    addresses: list[str] = []
    for endpoint in dicts(obj.get("endpoints")):
        found = endpoint.get("addresses")
        addresses += [str(a) for a in found] if isinstance(found, list) else []
    ports = [str(port.get("port", "*")) for port in dicts(obj.get("ports"))]
    endpoints = _shortened(addresses) if addresses else "<unset>"
    return [_name(obj), obj.get("addressType", ""), _shortened(ports) if ports else "<unset>", endpoints, created(obj, now)]


def _endpoints(obj: JsonObject, now: datetime) -> list[object]:
    found = [
        f"{address.get('ip')}:{port.get('port')}"
        for subset in dicts(obj.get("subsets"))
        for address in dicts(subset.get("addresses"))
        for port in dicts(subset.get("ports"))
    ]
    return [_name(obj), _shortened(found), created(obj, now)]


def _event(obj: JsonObject, now: datetime) -> list[object]:
    involved, source = section(obj, "involvedObject"), section(obj, "source")
    first = obj.get("firstTimestamp") or obj.get("eventTime") or section(obj, "metadata").get("creationTimestamp")
    last = obj.get("lastTimestamp") or first
    return [
        age(last, now),
        obj.get("type", ""),
        obj.get("reason", ""),
        f"{str(involved.get('kind', '')).lower()}/{involved.get('name', '')}",
        involved.get("fieldPath", ""),
        _join(filter(None, (source.get("component") or obj.get("reportingComponent"), source.get("host"))), ""),
        str(obj.get("message", "")).strip(),
        age(first, now),
        obj.get("count", 1),
        _name(obj),
    ]


def _stateful_set(obj: JsonObject, now: datetime) -> list[object]:
    ready = f"{section(obj, 'status').get('readyReplicas', 0)}/{section(obj, 'spec').get('replicas', 1)}"
    return [_name(obj), ready, created(obj, now), *_containers(obj)]


def _daemon_set(obj: JsonObject, now: datetime) -> list[object]:
    spec, status = section(obj, "spec"), section(obj, "status")
    names = ("desiredNumberScheduled", "currentNumberScheduled", "numberReady", "updatedNumberScheduled", "numberAvailable")
    node = _selector(section(section(section(spec, "template"), "spec"), "nodeSelector"))
    selector = _selector(section(section(spec, "selector"), "matchLabels"))
    return [_name(obj), *(status.get(name, 0) for name in names), node, created(obj, now), *_containers(obj), selector]


def _ingress(obj: JsonObject, now: datetime) -> list[object]:
    spec = section(obj, "spec")
    hosts = [str(rule["host"]) for rule in dicts(spec.get("rules")) if rule.get("host")]
    given = dicts(section(section(obj, "status"), "loadBalancer").get("ingress"))
    addresses = [str(entry.get("ip") or entry.get("hostname")) for entry in given]
    return [
        _name(obj),
        spec.get("ingressClassName") or _NONE,
        _shortened(hosts) if hosts else "*",
        _join(addresses, ""),
        "80, 443" if spec.get("tls") else "80",
        created(obj, now),
    ]


def _lease(obj: JsonObject, now: datetime) -> list[object]:
    return [_name(obj), section(obj, "spec").get("holderIdentity") or "", created(obj, now)]


def _webhooks(obj: JsonObject, now: datetime) -> list[object]:
    return [_name(obj), len(dicts(obj.get("webhooks"))), created(obj, now)]


def _dated(obj: JsonObject, _now: datetime) -> list[object]:
    return [_name(obj), section(obj, "metadata").get("creationTimestamp")]


def _plain(obj: JsonObject, now: datetime) -> list[object]:
    return [_name(obj), created(obj, now)]


_WORKLOAD_WIDE = "Containers|Images|Selector"
_EVENT_COLUMNS = (
    *_columns("Last Seen|Type|Reason|Object", "Subobject|Source"),
    ColumnDefinition("Message"),
    *(ColumnDefinition(name, 1) for name in ("First Seen", "Count", "Name")),
)

COLUMNS: Mapping[str, Printer] = {
    "pods": Printer(_columns("Name|Ready|Status|Restarts|Age", "IP|Node|Nominated Node|Readiness Gates"), _pod),
    "services": Printer(_columns("Name|Type|Cluster-IP|External-IP|Port(s)|Age", "Selector"), _service),
    "deployments.apps": Printer(_columns("Name|Ready|Up-to-date|Available|Age", _WORKLOAD_WIDE), _deployment),
    "replicasets.apps": Printer(_columns("Name|#Desired|#Current|#Ready|Age", _WORKLOAD_WIDE), _replica_set),
    "namespaces": Printer(_columns("Name|Status|Age"), _namespace),
    "nodes": Printer(_columns("Name|Status|Roles|Age|Version", "Internal-IP|External-IP|OS-Image|Kernel-Version|Container-Runtime"), _node),
    "configmaps": Printer(_columns("Name|Data|Age"), _config_map),
    "secrets": Printer(_columns("Name|Type|Data|Age"), _secret),
    "serviceaccounts": Printer(_columns("Name|Secrets|Age"), _service_account),
    "endpointslices.discovery.k8s.io": Printer(_columns("Name|AddressType|Ports|Endpoints|Age"), _endpoint_slice),
    "endpoints": Printer(_columns("Name|Endpoints|Age"), _endpoints),
    "events": Printer(_EVENT_COLUMNS, _event),
    "statefulsets.apps": Printer(_columns("Name|Ready|Age", "Containers|Images"), _stateful_set),
    "daemonsets.apps": Printer(
        _columns("Name|#Desired|#Current|#Ready|#Up-to-date|#Available|Node Selector|Age", _WORKLOAD_WIDE), _daemon_set
    ),
    "ingresses.networking.k8s.io": Printer(_columns("Name|Class|Hosts|Address|Ports|Age"), _ingress),
    "leases.coordination.k8s.io": Printer(_columns("Name|Holder|Age"), _lease),
    **dict.fromkeys(
        ("mutatingwebhookconfigurations.admissionregistration.k8s.io", "validatingwebhookconfigurations.admissionregistration.k8s.io"),
        Printer(_columns("Name|#Webhooks|Age"), _webhooks),
    ),
    **dict.fromkeys(
        ("customresourcedefinitions.apiextensions.k8s.io", "roles.rbac.authorization.k8s.io", "clusterroles.rbac.authorization.k8s.io"),
        Printer((ColumnDefinition("Name"), ColumnDefinition("Created At", 0, "date")), _dated),
    ),
    **dict.fromkeys(
        (
            "persistentvolumeclaims",
            "resourcequotas",
            "limitranges",
            "jobs.batch",
            "cronjobs.batch",
            "ingressclasses.networking.k8s.io",
            "networkpolicies.networking.k8s.io",
            "poddisruptionbudgets.policy",
            "rolebindings.rbac.authorization.k8s.io",
            "clusterrolebindings.rbac.authorization.k8s.io",
        ),
        Printer(_columns("Name|Age"), _plain),
    ),
}
