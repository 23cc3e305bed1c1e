"""Sidecar and Telemetry: selectors that fit no pod, or a pod that another one has; several without a selector; those that do nothing."""

from collections.abc import Iterable

from lateen.analyze.mesh import is_ambient, pods_of
from lateen.analyze.objects import Finding, Item, Objects, listing, part

__all__ = ["check_default_telemetries", "check_gateway_selectors", "check_sidecars", "check_telemetries"]

_GATEWAY_NAME = "gateway.networking.k8s.io/gateway-name"
_POLICIES = ("RequestAuthentication", "AuthorizationPolicy", "WasmPlugin", "Telemetry", "TrafficExtension")


def check_sidecars(objects: Objects) -> Iterable[Finding]:
    """Sidecars of pods in ambient mode, which have none, do nothing; those of other pods do not overlap, with a selector or without."""
    for item in objects.of("Sidecar"):
        if why := _idle(item, objects):
            yield Finding(code="IST0167", item=item, args=(why,), path=("metadata", "name"))
    yield from _conflicts(objects, "Sidecar", ("workloadSelector", "labels"), "IST0110")
    yield from _defaults(objects, "Sidecar", ("workloadSelector", "labels"), "IST0111")


def _idle(item: Item, objects: Objects) -> str:
    selector = part(item.spec, "workloadSelector", "labels")
    if not selector:
        return "its namespace is in ambient mode" if is_ambient(objects.namespaces.get(item.namespace)) else ""
    pods = pods_of(selector, objects.pods_in.get(item.namespace, ()))
    return "it selects a pod in ambient mode" if any(map(_redirected, pods)) else ""


def _redirected(pod: Item) -> bool:
    return pod.annotations.get("ambient.istio.io/redirection") == "enabled"


def check_telemetries(objects: Objects) -> Iterable[Finding]:
    """Of Telemetries with a selector."""
    return _conflicts(objects, "Telemetry", ("selector", "matchLabels"), "IST0159")


def _conflicts(objects: Objects, kind: str, where: tuple[str, str], code: str) -> Iterable[Finding]:
    taken: dict[str, tuple[Item, list[Item]]] = {}
    for item in objects.of(kind):
        selector = part(item.spec, *where)
        if not selector or "targetRef" in item.spec or "targetRefs" in item.spec:
            continue
        pods = pods_of(selector, objects.pods_in.get(item.namespace, ()))
        if not pods:
            words = ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
            yield Finding(code="IST0101", item=item, args=("selector", words), path=("spec", *where))
        for pod in pods:
            if kind != "Sidecar" or not _redirected(pod):
                taken.setdefault(str(pod), (pod, []))[1].append(item)
    for pod, items in taken.values():
        if len(items) > 1:
            names = sorted(each.name for each in items)
            for item in items:
                yield Finding(code=code, item=item, args=(names, pod.namespace, pod.name), path=("spec", *where))


def check_default_telemetries(objects: Objects) -> Iterable[Finding]:
    """One Telemetry without a selector per namespace."""
    return _defaults(objects, "Telemetry", ("selector", "matchLabels"), "IST0160")


def _defaults(objects: Objects, kind: str, where: tuple[str, str], code: str) -> Iterable[Finding]:
    found: dict[str, list[Item]] = {}
    for item in objects.of(kind):
        idle = kind == "Sidecar" and is_ambient(objects.namespaces.get(item.namespace))
        if not idle and not part(item.spec, *where) and not {"targetRef", "targetRefs"} & set(item.spec):
            found.setdefault(item.namespace, []).append(item)
    for namespace, items in found.items():
        if len(items) > 1:
            names = sorted(each.name for each in items)
            for item in items:
                yield Finding(code=code, item=item, args=(names, namespace), path=("metadata", "name"))


def check_gateway_selectors(objects: Objects) -> Iterable[Finding]:
    """Pods of a Kubernetes Gateway are reached by targetRefs; a selector that fits them does nothing."""
    for kind in _POLICIES:
        for item in objects.of(kind):
            selector = part(item.spec, "selector", "matchLabels")
            if not selector or "targetRef" in item.spec or listing(item.spec, "targetRefs"):
                continue
            gateways = {
                pod.labels[_GATEWAY_NAME]
                for pod in pods_of(selector, objects.pods_in.get(item.namespace, ()))
                if _GATEWAY_NAME in pod.labels
            }
            for gateway in sorted(gateways):
                yield Finding(code="IST0166", item=item, args=(gateway,), path=("spec", "selector"))
