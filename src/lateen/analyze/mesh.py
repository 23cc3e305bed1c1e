"""Questions that several analysers ask: who is in the mesh, whom a selector matches, which host a name means."""

from collections.abc import Iterable, Iterator, Mapping

from lateen.analyze.objects import Item, Objects, listing, part, strings, text
from lateen.util import hosts

__all__ = [
    "PROXY",
    "Hosts",
    "ServiceHost",
    "exported_to",
    "fits",
    "fqdn",
    "in_mesh",
    "injected",
    "is_ambient",
    "is_system",
    "pods_of",
    "resolve_host",
    "service_hosts",
    "template_in_mesh",
]

PROXY = "istio-proxy"
_SYSTEM = frozenset({"kube-system", "kube-public", "kube-node-lease", "local-path-storage"})
_DOMAIN = "cluster.local"
_MODE = "istio.io/dataplane-mode"


def is_system(namespace: str) -> bool:
    """Kubernetes' own namespaces are never part of a mesh."""
    return namespace in _SYSTEM


def fits(selector: Mapping[str, object], labels: Mapping[str, str]) -> bool:
    """Whether all the selector's labels are there; the empty selector fits all."""
    return all(labels.get(key) == value for key, value in selector.items())


def injected(namespace: Item | None) -> bool:
    """Whether pods of the namespace get a sidecar."""
    return namespace is not None and (namespace.labels.get("istio-injection") == "enabled" or "istio.io/rev" in namespace.labels)


def is_ambient(namespace: Item | None) -> bool:
    """Whether pods of the namespace are in the mesh without a sidecar."""
    return namespace is not None and not injected(namespace) and namespace.labels.get(_MODE) == "ambient"


def in_mesh(pod: Item, objects: Objects) -> bool:
    """Whether the pod has a sidecar, or would get one."""
    names = [text(each, "name") for each in listing(pod.spec, "containers")]
    return _in_mesh(objects, pod.namespace, pod.labels, pod.annotations, names, host_network=pod.spec.get("hostNetwork") is True)


def template_in_mesh(deployment: Item, objects: Objects) -> bool:
    """The same of a Deployment's pods."""
    template = part(deployment.spec, "template")
    labels, annotations = (
        {key: str(value) for key, value in part(template, "metadata", each).items()} for each in ("labels", "annotations")
    )
    names = [text(each, "name") for each in listing(template, "spec", "containers")]
    return _in_mesh(
        objects, deployment.namespace, labels, annotations, names, host_network=part(template, "spec").get("hostNetwork") is True
    )


def _in_mesh(
    objects: Objects, namespace: str, labels: Mapping[str, str], annotations: Mapping[str, str], names: Iterable[str], *, host_network: bool
) -> bool:
    told = labels.get("sidecar.istio.io/inject", annotations.get("sidecar.istio.io/inject", ""))
    if host_network:
        return False
    if PROXY in names:
        return True
    if told:
        return told.lower() == "true"
    if annotations.get("ambient.istio.io/redirection") == "enabled":
        return True
    place = objects.namespaces.get(namespace)
    mode = labels.get(_MODE, place.labels.get(_MODE, "") if place is not None else "")
    return mode == "ambient" or injected(place)


def pods_of(selector: Mapping[str, object], pods: Iterable[Item]) -> list[Item]:
    """Those that the selector fits."""
    return [pod for pod in pods if fits(selector, pod.labels)]


def fqdn(host: str, namespace: str) -> str:
    """The whole name of a host as an object of `namespace` writes it."""
    return hosts.resolve(host, namespace, _DOMAIN)


def exported_to(namespaces: Iterable[str], own: str) -> frozenset[str]:
    """Where an object of namespace `own` is seen; `*` for everywhere."""
    found = frozenset(own if each == "." else each for each in namespaces)
    return found or frozenset({"*"})


class ServiceHost:
    """A host that can be routed to: a Service's or a ServiceEntry's, where it is seen, and its ports."""

    def __init__(self, item: Item, host: str, seen: frozenset[str], ports: tuple[int, ...]) -> None:
        self.item = item
        self.host = host
        self.seen = seen
        self.ports = ports

    def seen_in(self, namespace: str) -> bool:
        return "*" in self.seen or namespace in self.seen


class Hosts:
    """All hosts of the mesh: whole names by name, wildcards apart."""

    def __init__(self, found: Iterable[ServiceHost]) -> None:
        self._named: dict[str, list[ServiceHost]] = {}
        self._wild: list[ServiceHost] = []
        for each in found:
            if hosts.is_wildcard(each.host):
                self._wild.append(each)
            else:
                self._named.setdefault(each.host, []).append(each)

    def meant(self, name: str) -> Iterator[ServiceHost]:
        """Those that cover `name`; an exact name goes before a wildcard."""
        yield from self._named.get(name, ())
        yield from sorted(
            (each for each in self._wild if hosts.matches(each.host, name)), key=lambda each: hosts.more_specific_first(each.host)
        )


def service_hosts(objects: Objects) -> Hosts:
    """All hosts of the mesh."""
    found: list[ServiceHost] = []
    for entry in objects.of("ServiceEntry"):
        ports = tuple(int(number) for each in listing(entry.spec, "ports") if (number := text(each, "number")).isdigit())
        seen = exported_to(strings(entry.spec, "exportTo"), entry.namespace)
        found += [ServiceHost(entry, fqdn(host, entry.namespace), seen, ports) for host in strings(entry.spec, "hosts")]
    for service in objects.of("Service"):
        ports = tuple(int(number) for each in listing(service.spec, "ports") if (number := text(each, "port")).isdigit())
        told = service.annotations.get("networking.istio.io/exportTo", "")
        seen = exported_to((each.strip() for each in told.split(",") if each.strip()), service.namespace)
        found.append(ServiceHost(service, fqdn(service.name, service.namespace), seen, ports))
    return Hosts(found)


def resolve_host(known: Hosts, host: str, namespaces: Iterable[str], own: str) -> Iterator[ServiceHost]:
    """Those that `host`, written in namespace `own`, means for proxies of all `namespaces`; an exact name goes before a wildcard."""
    wanted = [own if each in {".", "*"} else each for each in namespaces] or [own]
    yield from (each for each in known.meant(fqdn(host, own)) if any(each.seen_in(space) for space in wanted))
