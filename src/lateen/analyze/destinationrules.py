"""DestinationRule: servers nobody checks, hosts nobody has, subsets without pods, ejection that cannot be, pools that outlive servers."""

from collections.abc import Iterable, Mapping

from lateen.analyze.mesh import fits, pods_of, resolve_host, service_hosts
from lateen.analyze.objects import Finding, Item, Objects, item_of, listing, part, text
from lateen.util import durations

__all__ = ["check_ejection", "check_idle_timeouts", "check_server_certificates", "check_subsets"]

_REGION, _ZONE, _SUBZONE = "topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone"
_OLD = {"failure-domain.beta.kubernetes.io/region": _REGION, "failure-domain.beta.kubernetes.io/zone": _ZONE}
_EJECTED = "10"  # Envoy's own share
_TOPOLOGY = frozenset({_REGION, _ZONE, _SUBZONE, "topology.istio.io/cluster", "topology.istio.io/network", "kubernetes.io/hostname"})


def check_server_certificates(objects: Objects) -> Iterable[Finding]:
    """TLS without an authority checks no name. A sidecar takes credentialName only from a rule with a workloadSelector."""
    for rule in objects.of("DestinationRule"):
        policy, host = part(rule.spec, "trafficPolicy"), text(rule.spec, "host")
        selects = bool(part(rule.spec, "workloadSelector"))
        if _unchecked(part(policy, "tls"), selects=selects):
            mode = text(policy, "tls", "mode")
            path = ("spec", "trafficPolicy", "tls")
            yield Finding(code="IST0128", item=rule, args=(rule.name, rule.namespace, mode, host), path=path)
        for index, port in enumerate(listing(policy, "portLevelSettings")):
            if _unchecked(part(port, "tls"), selects=selects):
                args = (rule.name, rule.namespace, text(port, "tls", "mode"), host, text(port, "port", "number"))
                yield Finding(code="IST0129", item=rule, args=args, path=("spec", "trafficPolicy", "portLevelSettings", index, "tls"))


def _unchecked(tls: Mapping[str, object], *, selects: bool) -> bool:
    if text(tls, "mode") not in {"MUTUAL", "SIMPLE"}:
        return False
    return not text(tls, "caCertificates") and not (selects and text(tls, "credentialName"))


def check_subsets(objects: Objects) -> Iterable[Finding]:
    """The host is known, and each subset has pods; labels of places are those of the pod's node."""
    known = service_hosts(objects)
    nodes = {node.name: node.labels for node in objects.of("Node")}
    for rule in objects.of("DestinationRule"):
        host = text(rule.spec, "host")
        found = next(resolve_host(known, host, ["*"], rule.namespace), None)
        if found is None and not host.startswith("*"):
            yield Finding(code="IST0174", item=rule, args=(host,), path=("spec", "host"))
        if found is None or found.item.kind != "Service" or not part(found.item.spec, "selector"):
            continue
        pods = _pods(objects, found.item)
        for index, subset in enumerate(listing(rule.spec, "subsets")):
            labels = part(subset, "labels")
            if labels and not any(_selected(labels, pod, nodes) for pod in pods):
                yield Finding(code="IST0173", item=rule, args=(text(subset, "name"),), path=("spec", "subsets", index))


def _pods(objects: Objects, service: Item) -> list[Item]:
    """Those behind the service; of Deployments that have no pods yet, what their pods will be."""
    made = [
        item_of({"kind": "Pod", "metadata": {**part(each.spec, "template", "metadata"), "namespace": each.namespace, "name": each.name}})
        for each in objects.inside("Deployment", service.namespace)
        if fits(
            part(service.spec, "selector"), {key: str(value) for key, value in part(each.spec, "template", "metadata", "labels").items()}
        )
    ]
    return pods_of(part(service.spec, "selector"), (*objects.pods_in.get(service.namespace, ()), *made))


def _selected(labels: Mapping[str, object], pod: Item, nodes: Mapping[str, Mapping[str, str]]) -> bool:
    node = nodes.get(text(pod.spec, "nodeName"), {})
    places = {_OLD.get(key, key): value for key, value in node.items() if value and _OLD.get(key, key) in _TOPOLOGY}
    return fits(labels, {**places, **pod.labels})


def check_ejection(objects: Objects) -> Iterable[Finding]:
    """Outlier detection that can never eject: the share of endpoints that may be ejected comes to none."""
    known = service_hosts(objects)
    for rule in objects.of("DestinationRule"):
        found = next(resolve_host(known, text(rule.spec, "host"), ["*"], rule.namespace), None)
        if found is None or found.item.kind != "Service" or not part(found.item.spec, "selector"):
            continue
        pods = len(pods_of(part(found.item.spec, "selector"), objects.pods_in.get(found.item.namespace, ())))
        outliers = part(rule.spec, "trafficPolicy", "outlierDetection")
        share = text(outliers, "maxEjectionPercent") or _EJECTED
        if outliers and pods and share.isdigit() and pods * int(share) < 100:
            path = ("spec", "trafficPolicy", "outlierDetection", "maxEjectionPercent")
            yield Finding(code="LAT0001", item=rule, args=(share, pods), path=path)


def check_idle_timeouts(objects: Objects) -> Iterable[Finding]:
    """A pool that keeps connections longer than the server's own proxy does sends requests into connections that end."""
    servers: dict[str, int] = {}
    for sidecar in objects.of("Sidecar"):
        idle = text(sidecar.spec, "inboundConnectionPool", "http", "idleTimeout")
        if idle:
            servers[sidecar.namespace] = durations.parse(idle)
    known = service_hosts(objects)
    for rule in objects.of("DestinationRule"):
        idle = text(rule.spec, "trafficPolicy", "connectionPool", "http", "idleTimeout")
        found = next(resolve_host(known, text(rule.spec, "host"), ["*"], rule.namespace), None)
        if not idle or found is None or found.item.namespace not in servers:
            continue
        server = servers[found.item.namespace]
        if server < durations.parse(idle):
            path = ("spec", "trafficPolicy", "connectionPool", "http", "idleTimeout")
            yield Finding(code="LAT0003", item=rule, args=(idle, durations.to_text(server)), path=path)
