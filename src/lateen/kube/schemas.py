"""JSON schemas of the kinds, made from our types, in OpenAPI 3.0's form.

Why: kubectl explain prints them, apply takes the keys of its list merges from them, and clients check against them. One source: the types
that decode. Must not know paths.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec

from lateen.api.kinds import KINDS, KindInfo
from lateen.kube.defined import form_of
from lateen.kube.records import JsonObject, dicts, is_custom, resource_id, section
from lateen.kube.strategic import merge_key

__all__ = ["component_name", "schemas_of"]

_ANYTHING = {"x-kubernetes-preserve-unknown-fields": True}
_REF = "#/components/schemas/"
_KEPT = ("type", "description", "enum", "pattern", "minimum", "maximum", "required", "format", "additionalProperties")


def component_name(info: KindInfo, version: str) -> str:
    """The name of a kind's schema in its document."""
    return ".".join([*reversed((info.group or "core").split(".")), version, info.kind])


def schemas_of(infos: Mapping[str, tuple[KindInfo, str]]) -> JsonObject:
    """The schemas of some kinds (by component name) and of all that they are made of."""
    found: JsonObject = {}
    for name, (info, version) in infos.items():
        tops, parts = _schemas()
        form = form_of(info, version)
        schema = dict(tops[info.id] if form is None else form.schema)
        gvk = {"group": info.group, "version": version, "kind": info.kind}
        if form is not None:
            schema["properties"] = section(schema, "properties") | {"metadata": {"allOf": [{"$ref": f"{_REF}ObjectMeta"}]}}
        properties = dict(section(schema, "properties")) | {"apiVersion": {"type": "string"}, "kind": {"type": "string"}}
        built_in = not is_custom(info)
        found[name] = schema | {"properties": properties, "x-kubernetes-group-version-kind": [gvk]}
        for needed in _reached(schema, parts):
            found.setdefault(needed, _with_keys(resource_id(info), section(parts, needed)) if built_in else parts[needed])
    return found


@cache
def _schemas() -> tuple[dict[str, JsonObject], JsonObject]:
    types = [info.type for info in KINDS if info.type is not None]
    tops, parts = msgspec.json.schema_components(types, ref_template=_REF + "{name}", schema_hook=_hook)
    converted = {name: _converted(schema) for name, schema in parts.items()}
    by_kind: dict[str, JsonObject] = {}
    for info, top in zip((info for info in KINDS if info.type is not None), tops, strict=True):
        by_kind[info.id] = section(converted, str(top["$ref"]).removeprefix(_REF))
    plain: JsonObject = {"type": "object", "properties": {"metadata": {"$ref": f"{_REF}ObjectMeta"}}}
    return {info.id: by_kind.get(info.id, plain) for info in KINDS}, dict(converted)


def _hook(type_: Any) -> dict[str, Any]:  # noqa: ANN401  msgspec's own signature
    return dict(_ANYTHING) if type_ is object else {"type": "string"}


def _converted(schema: Mapping[str, Any]) -> JsonObject:
    """A JSON schema as OpenAPI 3.0 writes it: no null type, no default, no closed object."""
    if "$ref" in schema:
        return {"allOf": [{"$ref": schema["$ref"]}]}
    if "anyOf" in schema:
        return _alternatives([_converted(each) for each in dicts(schema["anyOf"]) if each.get("type") != "null"])
    kept: JsonObject = {key: value for key, value in schema.items() if key in _KEPT}
    for name in ("properties",):
        if name in schema:
            kept[name] = {key: _converted(value) for key, value in schema[name].items()}
    if "items" in schema:
        kept["items"] = _converted(schema["items"]) if isinstance(schema["items"], dict) else {}
    if isinstance(kept.get("additionalProperties"), dict):
        kept["additionalProperties"] = _converted(schema["additionalProperties"])
    elif "additionalProperties" in kept:
        del kept["additionalProperties"]
    if not kept.get("required"):
        kept.pop("required", None)
    if "enum" in kept and "type" not in kept:
        kept["type"] = "string"
    return kept or dict(_ANYTHING)


def _alternatives(found: list[JsonObject]) -> JsonObject:
    if len(found) == 1:
        return found[0]
    types = {str(each.get("type")) for each in found}
    if types == {"integer", "string"}:
        return {"type": "string", "format": "int-or-string", "x-kubernetes-int-or-string": True}
    return dict(_ANYTHING)


def _reached(schema: object, parts: JsonObject) -> list[str]:
    found: dict[str, None] = {}
    todo = [schema]
    while todo:
        for name in _refs(todo.pop()):
            if name not in found:
                found[name] = None
                todo.append(parts.get(name))
    return list(found)


def _refs(schema: object) -> list[str]:
    if isinstance(schema, dict):
        own = [str(schema["$ref"]).removeprefix(_REF)] if "$ref" in schema else []
        return own + [name for value in schema.values() for name in _refs(value)]
    return [name for value in schema for name in _refs(value)] if isinstance(schema, list) else []


def _with_keys(resource: str, schema: JsonObject) -> JsonObject:
    """The schema with the keys by which kubectl merges its lists."""
    properties = {}
    for name, value in section(schema, "properties").items():
        key = _key(resource, name, value)
        if not key:
            properties[name] = value
            continue
        known = value if isinstance(value, dict) and value.get("type") == "array" else {"type": "array", "items": {"type": "object"}}
        strategy = "merge,retainKeys" if name == "volumes" else "merge"
        extra = {"x-kubernetes-patch-strategy": strategy} | ({"x-kubernetes-patch-merge-key": key} if key != "finalizers" else {})
        properties[name] = known | extra
    return schema | {"properties": properties} if properties else schema


def _key(resource: str, name: str, value: object) -> str:
    if isinstance(value, dict) and value.get("type") not in (None, "array"):
        return ""
    if name == "finalizers" and isinstance(value, dict) and value.get("type") == "array":
        return name
    return merge_key(resource, (name,)) if isinstance(value, dict) and "allOf" not in value else ""
