"""What the API serves, as clients ask for it: the aggregated form of kubectl and the older one of everybody else.

Must not know HTTP; the door adds ETags.
"""

import zlib
from collections.abc import Iterable, Mapping, Sequence

from lateen.api.kinds import KindInfo
from lateen.kube.defined import BUILT_IN, Kinds
from lateen.kube.paths import REVIEW_GROUPS
from lateen.kube.records import JsonObject, resource_id
from lateen.kube.subresources import subresources

__all__ = ["aggregated", "group_versions", "legacy_group", "legacy_groups", "legacy_resources", "legacy_versions"]

_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
_REVIEWS: Mapping[str, tuple[str, ...]] = {
    "authorization.k8s.io": ("LocalSubjectAccessReview", "SelfSubjectAccessReview", "SelfSubjectRulesReview", "SubjectAccessReview"),
    "authentication.k8s.io": ("SelfSubjectReview",),
}


def group_versions(kinds: Kinds = BUILT_IN) -> Mapping[str, Sequence[str]]:
    """Every group with its versions, the preferred first; groups in the order that decides ambiguous names."""
    found: dict[str, list[str]] = {}
    for info in kinds.all:
        versions = found.setdefault(info.group, [])
        versions.extend(version for version in info.versions if version not in versions)
    return found | {group: [version] for group, version in REVIEW_GROUPS.items()}


def _kinds(kinds: Kinds, group: str, version: str) -> Iterable[KindInfo]:
    return (info for info in kinds.all if info.group == group and version in info.versions)


def _verbs(info: KindInfo) -> list[str]:
    return [verb for verb in _VERBS if info.namespaced or verb != "deletecollection"]


# -- aggregated ----------------------------------------------------------------------------------------------------


def aggregated(kinds: Kinds = BUILT_IN, *, core: bool) -> JsonObject:
    """An APIGroupDiscoveryList: of the core group, or of all the others."""
    groups = [(group, versions) for group, versions in group_versions(kinds).items() if (group == "") is core]
    items = [
        {
            "metadata": {"name": group} if group else {},
            "versions": [{"version": v, "resources": _aggregated_resources(kinds, group, v), "freshness": "Current"} for v in versions],
        }
        for group, versions in groups
    ]
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}


def _aggregated_resources(kinds: Kinds, group: str, version: str) -> list[JsonObject]:
    if group in _REVIEWS:
        return [_aggregated_review(group, version, kind) for kind in _REVIEWS[group]]
    return [_aggregated_kind(info, version) for info in _kinds(kinds, group, version)]


def _aggregated_review(group: str, version: str, kind: str) -> JsonObject:
    return {
        "resource": f"{kind.lower()}s",
        "responseKind": {"group": group, "version": version, "kind": kind},
        "scope": "Cluster",
        "singularResource": kind.lower(),
        "verbs": ["create"],
    }


def _aggregated_kind(info: KindInfo, version: str) -> JsonObject:
    resource: JsonObject = {
        "resource": info.plural,
        "responseKind": {"group": info.group, "version": version, "kind": info.kind},
        "scope": "Namespaced" if info.namespaced else "Cluster",
        "singularResource": info.singular,
        "verbs": _verbs(info),
    }
    if info.short_names:
        resource["shortNames"] = list(info.short_names)
    if info.categories:
        resource["categories"] = list(info.categories)
    parts = [
        {
            "subresource": part.name,
            "responseKind": {"group": part.group or info.group, "version": part.version or version, "kind": part.kind},
            "verbs": list(part.verbs),
        }
        for part in subresources(info, version)
    ]
    return resource | ({"subresources": parts} if parts else {})


# -- legacy --------------------------------------------------------------------------------------------------------


def legacy_versions(server: str) -> JsonObject:
    """`GET /api`."""
    address = [{"clientCIDR": "0.0.0.0/0", "serverAddress": server}]
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": address}


def legacy_groups(kinds: Kinds = BUILT_IN) -> JsonObject:
    """`GET /apis`."""
    groups = [_group(group, versions) for group, versions in group_versions(kinds).items() if group]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def legacy_group(group: str, kinds: Kinds = BUILT_IN) -> JsonObject | None:
    """`GET /apis/G`."""
    versions = group_versions(kinds).get(group) if group else None
    return {"kind": "APIGroup", "apiVersion": "v1"} | _group(group, versions) if versions else None


def _group(group: str, versions: Sequence[str]) -> JsonObject:
    named = [{"groupVersion": f"{group}/{version}", "version": version} for version in versions]
    return {"name": group, "versions": named, "preferredVersion": named[0]}


def legacy_resources(group: str, version: str, kinds: Kinds = BUILT_IN) -> JsonObject | None:
    """`GET /api/v1` or `/apis/G/V`."""
    if version not in group_versions(kinds).get(group, ()):
        return None
    if group in _REVIEWS:
        resources = [_legacy_entry(f"{k.lower()}s", k.lower(), k, namespaced=False, verbs=["create"]) for k in _REVIEWS[group]]
    else:
        resources = [entry for info in _kinds(kinds, group, version) for entry in _legacy_kind(info, version)]
    group_version = f"{group}/{version}" if group else version
    head: JsonObject = {"kind": "APIResourceList", **({"apiVersion": "v1"} if group else {})}  # as Kubernetes has it
    return head | {"groupVersion": group_version, "resources": resources}


def _legacy_entry(name: str, singular: str, kind: str, *, namespaced: bool, verbs: Sequence[str]) -> JsonObject:
    return {"name": name, "singularName": singular, "namespaced": namespaced, "kind": kind, "verbs": list(verbs)}


def _legacy_kind(info: KindInfo, version: str) -> Iterable[JsonObject]:
    entry = _legacy_entry(info.plural, info.singular, info.kind, namespaced=info.namespaced, verbs=_verbs(info))
    if info.short_names:
        entry["shortNames"] = list(info.short_names)
    if info.categories:
        entry["categories"] = list(info.categories)
    entry["storageVersionHash"] = f"{zlib.crc32(resource_id(info).encode()):08x}"
    yield entry
    for part in subresources(info, version):
        sub = _legacy_entry(f"{info.plural}/{part.name}", "", part.kind, namespaced=info.namespaced, verbs=part.verbs)
        if part.group:
            sub |= {"group": part.group, "version": part.version}
        yield sub
