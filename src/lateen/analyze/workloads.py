"""Pods and Deployments: services that disagree about a port, programs that run as the proxy's user."""

from collections.abc import Iterable

from lateen.analyze.mesh import PROXY, fits, template_in_mesh
from lateen.analyze.objects import Finding, Item, Objects, listing, part, text

__all__ = ["check_application_uid", "check_service_association"]

_PROXY_UID = "1337"
_WAYPOINT = ("gateway.istio.io/managed", "istio.io-mesh-controller")


def check_application_uid(objects: Objects) -> Iterable[Finding]:
    """The interception rules let user 1337 pass, so such a program's traffic never reaches its sidecar."""
    for pod in objects.of("Pod"):
        of_pod = text(pod.spec, "securityContext", "runAsUser")
        own = [
            text(each, "securityContext", "runAsUser") or of_pod for each in listing(pod.spec, "containers") if text(each, "name") != PROXY
        ]
        if _PROXY_UID in own or (not own and of_pod == _PROXY_UID):
            yield Finding(code="IST0144", item=pod, path=("spec", "securityContext", "runAsUser"))


def check_service_association(objects: Objects) -> Iterable[Finding]:
    """One port of a workload must have one protocol, and one target port one port, whichever service leads to it."""
    for deployment in objects.of("Deployment"):
        if deployment.labels.get(_WAYPOINT[0]) == _WAYPOINT[1] or not template_in_mesh(deployment, objects):
            continue
        labels = {key: str(value) for key, value in part(deployment.spec, "template", "metadata", "labels").items()}
        services = [
            each
            for each in objects.inside("Service", deployment.namespace)
            if part(each.spec, "selector") and fits(part(each.spec, "selector"), labels)
        ]
        yield from _protocols(deployment, services)
        yield from _targets(deployment, services)


def _protocols(deployment: Item, services: Iterable[Item]) -> Iterable[Finding]:
    found: dict[str, dict[str, list[str]]] = {}
    for service in services:
        for port in listing(service.spec, "ports"):
            found.setdefault(text(port, "port"), {}).setdefault(text(port, "protocol") or "TCP", []).append(str(service))
    for number, protocols in found.items():
        if len(protocols) > 1:
            names = sorted(name for each in protocols.values() for name in each)
            yield Finding(code="IST0116", item=deployment, args=(deployment.name, number, names), path=("metadata", "name"))


def _targets(deployment: Item, services: Iterable[Item]) -> Iterable[Finding]:
    found: dict[str, dict[str, str]] = {}
    for service in services:
        for port in listing(service.spec, "ports"):
            target = text(port, "targetPort")
            number = text(port, "port")
            found.setdefault(target if target not in {"", "0"} else number, {})[number] = str(service)
    for target, ports in found.items():
        if len(ports) > 1:
            args = (deployment.name, sorted(ports.values()), target, sorted(ports))
            yield Finding(code="IST0137", item=deployment, args=args, path=("metadata", "name"))
