"""What validation says of each object alone, under the codes of analysis; and the networks of MeshNetworks."""

from collections.abc import Iterable

from lateen.analyze.objects import Finding, Item, Objects, listing, part, text

__all__ = ["check_deprecations", "check_mesh_networks", "check_schema"]

_REGISTRIES = frozenset({"Mock", "Kubernetes", "External"})
_MULTICLUSTER = ("istio/multiCluster", "true")


def check_schema(objects: Objects) -> Iterable[Finding]:
    """Errors, warnings, and rules that are never reached."""
    for item in objects.items:
        for problem in item.problems:
            yield Finding(code="IST0106", item=item, args=(problem.message,), path=())
        for verdict in item.verdicts:
            code = verdict.code or ("IST0106" if verdict.severity == "error" else "IST0133")
            yield Finding(code=code, item=item, args=(verdict.message,), path=verdict.path)


def check_deprecations(objects: Objects) -> Iterable[Finding]:
    """Fields that are still read, or no longer, and have a successor."""
    for item in objects.of("VirtualService"):
        for number, rule in enumerate(listing(item.spec, "http")):
            if "percent" in part(rule, "fault", "delay"):
                yield _deprecated(item, ("spec", "http", number, "fault", "delay", "percent"), "percent", "percentage")
            if "mirrorPercent" in rule:
                yield _deprecated(item, ("spec", "http", number, "mirrorPercent"), "mirrorPercent", "mirrorPercentage")
            if part(rule, "corsPolicy").get("allowOrigin"):
                yield _deprecated(item, ("spec", "http", number, "corsPolicy", "allowOrigin"), "allowOrigin", "allowOrigins")
    for item in objects.of("DestinationRule"):
        if "consecutiveErrors" in part(item.spec, "trafficPolicy", "outlierDetection"):
            path = ("spec", "trafficPolicy", "outlierDetection", "consecutiveErrors")
            yield _deprecated(item, path, "consecutiveErrors", "consecutive5xxErrors or consecutiveGatewayErrors")


def _deprecated(item: Item, path: tuple[str | int, ...], old: str, new: str) -> Finding:
    return Finding(code="IST0002", item=item, args=(f"the field {old}; use {new}",), path=path)


def check_mesh_networks(objects: Objects) -> Iterable[Finding]:
    """A network's endpoints come from a registry that somebody has connected."""
    remote = {
        key
        for secret in objects.of("Secret")
        if secret.labels.get(_MULTICLUSTER[0]) == _MULTICLUSTER[1]
        for key in (*part(secret.json, "data"), *part(secret.json, "stringData"))
    }
    holder = Item(kind="MeshNetworks", group="", namespace=objects.root, name="meshnetworks", json={})
    for name, network in part(objects.networks, "networks").items():
        for endpoint in listing(network, "endpoints"):
            registry = text(endpoint, "fromRegistry")
            if registry and registry not in remote | _REGISTRIES:
                yield Finding(code="IST0126", item=holder, args=(registry, name))
