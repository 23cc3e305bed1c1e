"""Sidecar and Telemetry: selectors that fit no pod, or a pod that another one has; several without a selector in a namespace."""

from collections.abc import Iterable

from lateen.analyze.mesh import pods_of
from lateen.analyze.objects import Finding, Item, Objects, listing, part

__all__ = ["check_defaults", "check_gateway_selectors", "check_sidecars", "check_telemetries"]

_GATEWAY_NAME = "gateway.networking.k8s.io/gateway-name"
_POLICIES = ("RequestAuthentication", "AuthorizationPolicy", "WasmPlugin", "Telemetry", "TrafficExtension")


def check_sidecars(objects: Objects) -> Iterable[Finding]:
    """Of Sidecars with a workloadSelector."""
    return _conflicts(objects, "Sidecar", ("workloadSelector", "labels"), "IST0110")


def check_telemetries(objects: Objects) -> Iterable[Finding]:
    """Of Telemetries with a selector."""
    return _conflicts(objects, "Telemetry", ("selector", "matchLabels"), "IST0159")


def _conflicts(objects: Objects, kind: str, where: tuple[str, str], code: str) -> Iterable[Finding]:
    taken: dict[str, tuple[Item, list[Item]]] = {}
    for item in objects.of(kind):
        selector = part(item.spec, *where)
        if where[0] not in item.spec or "targetRef" in item.spec or "targetRefs" in item.spec:
            continue
        pods = pods_of(selector, objects.pods_in.get(item.namespace, ()))
        if not pods:
            words = ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
            yield Finding(code="IST0101", item=item, args=("selector", words), path=("spec", *where))
        for pod in pods:
            taken.setdefault(str(pod), (pod, []))[1].append(item)
    for pod, items in taken.values():
        if len(items) > 1:
            names = sorted(each.name for each in items)
            for item in items:
                yield Finding(code=code, item=item, args=(names, pod.namespace, pod.name), path=("spec", *where))


def check_defaults(objects: Objects) -> Iterable[Finding]:
    """One Sidecar, and one Telemetry, without a selector per namespace."""
    for kind, field, code in (("Sidecar", "workloadSelector", "IST0111"), ("Telemetry", "selector", "IST0160")):
        found: dict[str, list[Item]] = {}
        for item in objects.of(kind):
            if not {field, "targetRef", "targetRefs"} & set(item.spec):
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
