"""Gateway: pods and ports that are not there, certificates shared by several, servers that compete, secrets that are incomplete."""

from collections.abc import Iterable, Mapping

from lateen.analyze.mesh import fits, pods_of
from lateen.analyze.objects import Finding, Item, Objects, listing, part, strings, text
from lateen.util import hosts

__all__ = ["check_certificates", "check_conflicts", "check_ports", "check_secrets"]

_GROUP = "networking.istio.io"


def _selector(gateway: Item) -> Mapping[str, object]:
    return part(gateway.spec, "selector")


def _words(selector: Mapping[str, object]) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(selector.items()))


def check_ports(objects: Objects) -> Iterable[Finding]:
    """The selector fits a pod, and a Service in front of such a pod has each port."""
    for gateway in objects.of("Gateway", _GROUP):
        selector = _selector(gateway)
        pods = pods_of(selector, objects.of("Pod"))
        if not pods:
            yield Finding(code="IST0101", item=gateway, args=("selector", _words(selector)), path=("spec", "selector"))
            continue
        open_ports = {
            number
            for pod in pods
            for service in objects.inside("Service", pod.namespace)
            if fits(part(service.spec, "selector"), pod.labels)
            for port in listing(service.spec, "ports")
            if text(port, "protocol") in {"", "TCP"}
            for number in (text(port, "port"), text(port, "targetPort"))
        }
        for index, server in enumerate(listing(gateway.spec, "servers")):
            number = text(server, "port", "number")
            if number and number not in open_ports:
                yield Finding(
                    code="IST0162", item=gateway, args=(number, _words(selector)), path=("spec", "servers", index, "port", "number")
                )


def check_certificates(objects: Objects) -> Iterable[Finding]:
    """One certificate on several gateways of a proxy: browsers keep one connection for all its names, and get 404 for the others."""
    used: dict[str, dict[str, Item]] = {}
    for gateway in objects.of("Gateway", _GROUP):
        for server in listing(gateway.spec, "servers"):
            tls = part(server, "tls")
            names = [text(tls, "credentialName"), *strings(tls, "credentialNames")]
            if text(tls, "serverCertificate"):
                names.append(f"{text(tls, 'serverCertificate')}~{text(tls, 'privateKey')}")
            for name in filter(None, names):
                used.setdefault(name, {})[str(gateway)] = gateway
    for gateways in used.values():
        for gateway in gateways.values():
            others = [each for each in gateways.values() if each is not gateway and _within(_selector(gateway), _selector(each))]
            if others:
                names = sorted(str(each) for each in (gateway, *others))
                yield Finding(code="IST0138", item=gateway, args=(names,), path=("metadata", "name"))


def _within(smaller: Mapping[str, object], larger: Mapping[str, object]) -> bool:
    return all(larger.get(key) == value for key, value in smaller.items())


def check_conflicts(objects: Objects) -> Iterable[Finding]:
    """Two gateways of one proxy with a port and a host in common: which of them answers depends on their age."""
    gateways = list(objects.of("Gateway", _GROUP))
    for gateway in gateways:
        rivals = [each for each in gateways if each is not gateway and _same_proxies(_selector(gateway), _selector(each))]
        for index, server in enumerate(listing(gateway.spec, "servers")):
            number = text(server, "port", "number")
            names = [str(rival) for rival in rivals if number and any(_collide(server, other) for other in listing(rival.spec, "servers"))]
            if names:
                args = (", ".join(names), _words(_selector(gateway)), number, ", ".join(strings(server, "hosts")))
                yield Finding(code="IST0145", item=gateway, args=args, path=("spec", "servers", index))


def _same_proxies(left: Mapping[str, object], right: Mapping[str, object]) -> bool:
    return _within(left, right) or _within(right, left)


def _collide(left: Mapping[str, object], right: Mapping[str, object]) -> bool:
    if text(left, "port", "number") != text(right, "port", "number") or text(left, "bind") != text(right, "bind"):
        return False
    ours, theirs = ([each.rpartition("/")[2] for each in strings(server, "hosts")] for server in (left, right))
    return any(hosts.overlaps(one, other) for one in ours for other in theirs)


def check_secrets(objects: Objects) -> Iterable[Finding]:
    """The Secret of credentialName is where the gateway's pods are, and holds a certificate and its key."""
    for gateway in objects.of("Gateway", _GROUP):
        places = {pod.namespace for pod in pods_of(_selector(gateway), objects.of("Pod"))}
        for index, server in enumerate(listing(gateway.spec, "servers")):
            tls = part(server, "tls")
            if text(tls, "mode") in {"PASSTHROUGH", "AUTO_PASSTHROUGH", "ISTIO_MUTUAL"}:
                continue
            path = ("spec", "servers", index, "tls", "credentialName")
            for name in filter(None, [text(tls, "credentialName"), *strings(tls, "credentialNames")]):
                if name.startswith(("sds://", "builtin://")) or not places:
                    continue
                secrets = [found for key in _secrets(name, places) if (found := objects.named("Secret", *key))]
                if not secrets:
                    yield Finding(code="IST0101", item=gateway, args=("credentialName", name), path=path)
                elif not all(_complete(secret) for secret in secrets):
                    yield Finding(code="IST0161", item=gateway, args=(gateway.name, gateway.namespace), path=path)


def _secrets(name: str, places: Iterable[str]) -> Iterable[tuple[str, str]]:
    """Namespace and name of the Secrets that a credential means where its proxies are."""
    if name.startswith("kubernetes-gateway://"):
        place, _, own = name.removeprefix("kubernetes-gateway://").partition("/")
        return [(place, own)]
    return [(place, name.removeprefix("kubernetes://")) for place in places]


def _complete(secret: Item) -> bool:
    keys = {*part(secret.json, "data"), *part(secret.json, "stringData")}
    return {"tls.crt", "tls.key"} <= keys or {"cert", "key"} <= keys
