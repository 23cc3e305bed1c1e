"""The OpenAPI documents: version 3, one per group and version, and version 2, one for all, with the operations that patch.

Why: kubectl looks whether a kind's PATCH knows `fieldValidation` before it writes, explains kinds and merges lists by what stands here;
kubectl before 1.29 looks at version 2. Must not know HTTP.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lateen.api.kinds import KindInfo
from lateen.kube.defined import BUILT_IN, Kinds
from lateen.kube.paths import path_of
from lateen.kube.records import JsonObject, dicts, is_custom, section
from lateen.kube.schemas import component_name, schemas_of
from lateen.kube.subresources import subresources

__all__ = ["PatchOperation", "definitions", "document", "document_names", "patch_operations", "swagger"]

_WRITING = ("dryRun", "fieldManager", "fieldValidation")
_LISTING = ("labelSelector", "fieldSelector", "continue", "resourceVersion", "resourceVersionMatch")
_JSON = "application/json"
_PATCHES = ("application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml")


class PatchOperation(NamedTuple):
    """What version 2 has of a kind."""

    path: str
    group: str
    version: str
    kind: str


def document_names(kinds: Kinds = BUILT_IN) -> Iterable[str]:
    """The names of the documents, one per group and version: `api/v1`, `apis/apps/v1`."""
    return dict.fromkeys(_name(info, version) for info in kinds.all for version in info.versions)


def _name(info: KindInfo, version: str) -> str:
    return f"apis/{info.group}/{version}" if info.group else f"api/{version}"


def document(name: str, kinds: Kinds = BUILT_IN) -> JsonObject | None:
    """One document of version 3."""
    served = [(info, version) for info in kinds.all for version in info.versions if _name(info, version) == name]
    if not served:
        return None
    paths: JsonObject = {}
    for info, version in served:
        paths |= _paths(info, version)
    components = schemas_of({component_name(info, version): (info, version) for info, version in served})
    return {
        "openapi": "3.0.0",
        "info": {"title": "Lateen", "version": "1"},
        "paths": paths,
        "components": {"schemas": components},
    }


def _paths(info: KindInfo, version: str) -> JsonObject:
    collection, one = path_of(info, "{namespace}", version=version), path_of(info, "{namespace}", "{name}", version=version)
    in_namespace = [_parameter("namespace", "path")] if info.namespaced else []
    named = [*in_namespace, _parameter("name", "path")]
    found: JsonObject = {
        collection: {
            "get": _operation(info, version, "list", [*(_parameter(name) for name in _LISTING), _parameter("limit", type_="integer")]),
            "post": _operation(info, version, "post", [_parameter(name) for name in _WRITING], body=(_JSON,)),
            **({"parameters": in_namespace} if in_namespace else {}),
        },
        one: {
            "get": _operation(info, version, "get", []),
            "put": _operation(info, version, "put", [_parameter(name) for name in _WRITING], body=(_JSON,)),
            "patch": _patch(info, version),
            "delete": _operation(info, version, "delete", [_parameter("dryRun"), _parameter("propagationPolicy")]),
            "parameters": named,
        },
    }
    if info.namespaced:
        everywhere = _operation(info, version, "list", [_parameter(name) for name in _LISTING], suffix="ForAllNamespaces")
        found[path_of(info, version=version)] = {"get": everywhere}
    for part in subresources(info, version):
        if part.name in ("status", "scale"):
            suffix = part.name.capitalize()
            read = _operation(info, version, "get", [], suffix=suffix)
            patch = _patch(info, version) | {"operationId": f"patch{info.kind}{version}{suffix}"}
            found[f"{one}/{part.name}"] = {"get": read, "patch": patch, "parameters": named}
    return found


def _parameter(name: str, where: str = "query", type_: str = "string") -> JsonObject:
    parameter: JsonObject = {"name": name, "in": where, "schema": {"type": type_}}
    return parameter | {"required": True} if where == "path" else parameter


def _operation(
    info: KindInfo, version: str, action: str, parameters: Sequence[JsonObject], *, body: Sequence[str] = (), suffix: str = ""
) -> JsonObject:
    content = {_JSON: {"schema": {"$ref": f"#/components/schemas/{component_name(info, version)}"}}}
    operation: JsonObject = {
        "operationId": f"{action}{info.kind}{version}{suffix}",
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": {"group": info.group, "version": version, "kind": info.kind},
        "parameters": list(parameters),
        "responses": {"default": {"description": "the object, or a Status", "content": {_JSON: {"schema": {"type": "object"}}}}},
    }
    if body:
        operation["requestBody"] = {"required": True, "content": dict.fromkeys(body, content[_JSON])}
    return operation


def _patch(info: KindInfo, version: str) -> JsonObject:
    parameters = [*(_parameter(name) for name in _WRITING), _parameter("force", type_="boolean")]
    operation = _operation(info, version, "patch", parameters)
    media = _PATCHES if is_custom(info) else (*_PATCHES, "application/strategic-merge-patch+json")
    steps: JsonObject = {"type": "array", "items": {"type": "object"}}
    bodies = {each: {"schema": steps if "json-patch" in each else {"type": "object"}} for each in media}
    return operation | {"requestBody": {"required": True, "content": bodies}}


# -- version 2 ---------------------------------------------------------------------------------------------------------


def patch_operations(kinds: Kinds = BUILT_IN) -> Iterable[PatchOperation]:
    """Where each kind is patched."""
    for info in kinds.all:
        for version in info.versions:
            yield PatchOperation(path_of(info, "{namespace}", "{name}", version=version), info.group, version, info.kind)


def swagger(kinds: Kinds = BUILT_IN) -> JsonObject:
    """Version 2: what the kinds are, and that the server validates fields."""
    parameters = [{"name": name, "in": "query", "type": "string", "uniqueItems": True} for name in _WRITING]
    paths = {
        one.path: {
            "patch": {
                "operationId": f"patch{one.kind}{one.version}",
                "parameters": parameters,
                "responses": {"200": {"description": "OK"}},
                "x-kubernetes-action": "patch",
                "x-kubernetes-group-version-kind": {"group": one.group, "kind": one.kind, "version": one.version},
            }
        }
        for one in patch_operations(kinds)
    }
    return {"swagger": "2.0", "info": {"title": "Lateen", "version": "1"}, "paths": paths, "definitions": definitions(kinds)}


def definitions(kinds: Kinds = BUILT_IN) -> JsonObject:
    """The schemas of all kinds, by name, as version 2 writes them."""
    served = {component_name(info, version): (info, version) for info in kinds.all for version in info.versions}
    return section({"all": _moved(schemas_of(served))}, "all")


def _moved(schema: object) -> object:
    """With references to where version 2 has its schemas, beside what describes them: it does not know `allOf` of one."""
    if isinstance(schema, list):
        return [_moved(value) for value in schema]
    if not isinstance(schema, dict):
        return schema
    refs = [str(part["$ref"]) for part in (schema, *dicts(schema.get("allOf"))) if "$ref" in part]
    moved = {key: _moved(value) for key, value in schema.items() if key not in ("allOf", "$ref")}
    return {"$ref": refs[0].replace("#/components/schemas/", "#/definitions/"), **moved} if refs else moved
