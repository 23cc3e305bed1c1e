"""AuthorizationPolicy and RequestAuthentication: for nobody, naming nobody, fetching keys from anywhere."""

from collections.abc import Iterable

from lateen.analyze.mesh import in_mesh, pods_of
from lateen.analyze.objects import Finding, Item, Objects, listing, part, strings, text

__all__ = ["check_authorization_policies", "check_jwks_addresses"]

_BLOCKED = "BLOCKED_CIDRS_IN_JWKS_URIS"


def check_authorization_policies(objects: Objects) -> Iterable[Finding]:
    """A selector that fits no pod of the mesh; a namespace that does not exist."""
    pods = {namespace: [pod for pod in each if in_mesh(pod, objects)] for namespace, each in objects.pods_in.items()}
    for policy in objects.of("AuthorizationPolicy"):
        yield from _workloads(policy, pods, objects.root)
        for number, rule in enumerate(listing(policy.spec, "rules")):
            for position, source in enumerate(listing(rule, "from")):
                for field in ("namespaces", "notNamespaces"):
                    for index, wanted in enumerate(strings(source, "source", field)):
                        if not any(_fits(name, wanted) for name in objects.namespaces):
                            path = ("spec", "rules", number, "from", position, "source", field, index)
                            yield Finding(code="IST0101", item=policy, args=("namespace", wanted), path=path)


def _workloads(policy: Item, pods: dict[str, list[Item]], root: str) -> Iterable[Finding]:
    if "targetRef" in policy.spec or "targetRefs" in policy.spec:
        return
    selector = part(policy.spec, "selector", "matchLabels")
    selects = "selector" in policy.spec
    if policy.namespace == root:
        candidates = [pod for each in pods.values() for pod in each]
        empty = selects and not pods_of(selector, candidates)
    else:
        empty = not pods_of(selector, pods.get(policy.namespace, []))
    if empty:
        labels = ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
        yield Finding(code="IST0127", item=policy, args=(labels,), path=("spec", "selector"))


def _fits(name: str, wanted: str) -> bool:
    if wanted == "*":
        return True
    if wanted.startswith("*"):
        return name.endswith(wanted[1:])
    return name.startswith(wanted[:-1]) if wanted.endswith("*") else name.lower() == wanted.lower()


def check_jwks_addresses(objects: Objects) -> Iterable[Finding]:
    """Keys are fetched by the control plane from addresses that users write; told once, with all who have one."""
    found = [each for each in objects.of("RequestAuthentication") if any(text(rule, "jwksUri") for rule in listing(each.spec, "jwtRules"))]
    planes = [each for each in objects.of("Deployment") if each.labels.get("app") == "istiod" or each.name.startswith("istiod")]
    guarded = any(
        text(variable, "name") == _BLOCKED and text(variable, "value")
        for plane in planes
        for container in listing(plane.spec, "template", "spec", "containers")
        for variable in listing(container, "env")
    )
    if found and planes and not guarded:
        yield Finding(code="IST0175", item=planes[0], args=(len(found), [str(each) for each in found]), path=("metadata", "name"))
