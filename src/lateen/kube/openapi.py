"""The OpenAPI v3 documents that kubectl asks for before it writes: a skeleton.

Why: kubectl only looks whether the kind's PATCH knows `fieldValidation`, and then leaves validation to the server. Real schemas come
with the CRDs that are generated from our types. Must not know HTTP.
"""

from collections.abc import Iterable

from lateen.api.kinds import KINDS, KindInfo
from lateen.kube.paths import path_of
from lateen.kube.records import JsonObject

__all__ = ["document", "document_names"]


def document_names() -> Iterable[str]:
    """The names of the documents, one per group and version: `api/v1`, `apis/apps/v1`."""
    return dict.fromkeys(_name(info, version) for info in KINDS for version in info.versions)


def _name(info: KindInfo, version: str) -> str:
    return f"apis/{info.group}/{version}" if info.group else f"api/{version}"


def document(name: str) -> JsonObject | None:
    """One document."""
    served = [(info, version) for info in KINDS for version in info.versions if _name(info, version) == name]
    if not served:
        return None
    paths = {path_of(info, "{namespace}", "{name}", version=version): {"patch": _patch(info, version)} for info, version in served}
    return {
        "openapi": "3.0.0",
        "info": {"title": "Lateen", "version": "1"},
        "paths": paths,
        "components": {"schemas": {}},
    }


def _patch(info: KindInfo, version: str) -> JsonObject:
    return {
        "operationId": f"patch{info.kind}{version}",
        "x-kubernetes-action": "patch",
        "x-kubernetes-group-version-kind": {"group": info.group, "version": version, "kind": info.kind},
        "parameters": [
            {"name": name, "in": "query", "schema": {"type": "string"}} for name in ("dryRun", "fieldManager", "fieldValidation", "force")
        ],
        "responses": {},
    }
