"""Defaults that the API server fills in, for the kinds whose clients count on them.

Why: merge keys (`ports` by port and protocol), kubectl's tables and the node read fields that people leave out. Must not overwrite
what is there, and must not look at other objects.
"""

from lateen.kube.records import JsonObject, dicts, section

__all__ = ["apply_defaults"]


def apply_defaults(resource: str, obj: JsonObject) -> None:
    """Fill in `obj`, which is the caller's own copy."""
    spec = obj.get("spec")
    match resource:
        case "services" if isinstance(spec, dict):
            _service(spec)
        case "pods" if isinstance(spec, dict):
            _pod(spec)
            spec.setdefault("enableServiceLinks", True)
            spec.setdefault("priority", 0)
            spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
            spec.setdefault("tolerations", [_while(name) for name in ("not-ready", "unreachable")])
        case "deployments.apps" | "replicasets.apps" | "statefulsets.apps" | "daemonsets.apps" if isinstance(spec, dict):
            _workload(resource, spec)
        case "endpointslices.discovery.k8s.io":
            _protocols(obj.get("ports"))
        case "namespaces":
            _namespace(obj)
        case "secrets":
            obj.setdefault("type", "Opaque")


def _while(condition: str) -> JsonObject:
    """A pod stays on a node in trouble for five minutes."""
    return {"key": f"node.kubernetes.io/{condition}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}


def _namespace(obj: JsonObject) -> None:
    meta = section(obj, "metadata")
    labels = meta.setdefault("labels", {})
    if isinstance(labels, dict):
        labels["kubernetes.io/metadata.name"] = meta.get("name")
    obj["spec"] = {"finalizers": ["kubernetes"]} | section(obj, "spec")
    obj["status"] = {"phase": "Active"} | section(obj, "status")


def _protocols(ports: object) -> None:
    for port in dicts(ports):
        port.setdefault("protocol", "TCP")


def _service(spec: JsonObject) -> None:
    spec.setdefault("type", "ClusterIP")
    spec.setdefault("sessionAffinity", "None")
    _protocols(spec.get("ports"))
    if spec["type"] == "ExternalName":
        return
    for port in dicts(spec.get("ports")):
        if "port" in port:
            port.setdefault("targetPort", port["port"])
    spec.setdefault("ipFamilies", ["IPv4"])
    spec.setdefault("ipFamilyPolicy", "SingleStack")
    spec.setdefault("internalTrafficPolicy", "Cluster")
    if spec["type"] in ("LoadBalancer", "NodePort"):
        spec.setdefault("externalTrafficPolicy", "Cluster")


def _pod(spec: JsonObject) -> None:
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("securityContext", {})
    spec.setdefault("schedulerName", "default-scheduler")
    for container in (*dicts(spec.get("initContainers")), *dicts(spec.get("containers"))):
        container.setdefault("resources", {})
        _protocols(container.get("ports"))
        if image := container.get("image"):
            container.setdefault("imagePullPolicy", _pull_policy(str(image)))
        container.setdefault("terminationMessagePath", "/dev/termination-log")
        container.setdefault("terminationMessagePolicy", "File")
        for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
            _probe(container.get(probe))


def _pull_policy(image: str) -> str:
    tag = image.rpartition("/")[2].partition(":")[2]
    return "Always" if tag in ("", "latest") and "@" not in image else "IfNotPresent"


def _probe(probe: object) -> None:
    if not isinstance(probe, dict):
        return
    for name, value in (("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)):
        probe.setdefault(name, value)
    http = probe.get("httpGet")
    if isinstance(http, dict):
        http.setdefault("path", "/")
        http.setdefault("scheme", "HTTP")


def _workload(resource: str, spec: JsonObject) -> None:
    template = spec.get("template")
    if isinstance(template, dict) and isinstance(template.get("spec"), dict):
        _pod(template["spec"])
    if resource != "daemonsets.apps":
        spec.setdefault("replicas", 1)
    if resource == "deployments.apps":
        strategy = spec.setdefault("strategy", {})
        if isinstance(strategy, dict):
            strategy.setdefault("type", "RollingUpdate")
            if strategy["type"] == "RollingUpdate":
                rolling = strategy.setdefault("rollingUpdate", {})
                if isinstance(rolling, dict):
                    rolling.setdefault("maxUnavailable", "25%")
                    rolling.setdefault("maxSurge", "25%")
        spec.setdefault("revisionHistoryLimit", 10)
        spec.setdefault("progressDeadlineSeconds", 600)
