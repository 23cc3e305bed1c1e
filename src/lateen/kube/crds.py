"""CustomResourceDefinitions of the custom kinds, made from the types that decode them.

For clusters whose API server has them not yet, and for clients that ask which kinds there are. Schemas say shapes, ranges and choices;
rules between fields are the webhook's. Must not do I/O.
"""

import re
from collections.abc import Iterable, Mapping

from msgspec import inspect

from lateen.api.kinds import KINDS, Column, KindInfo
from lateen.kube.crdrules import RULES
from lateen.kube.records import JsonObject, is_custom, resource_id, section
from lateen.kube.subresources import subresource

__all__ = ["CUSTOM", "definition"]

CUSTOM = tuple(info for info in KINDS if is_custom(info))
_ANYTHING: JsonObject = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_STEP = re.compile(r"[A-Za-z0-9]+|\[\]")
_NEEDS_SPEC = ("ServiceEntry", "WorkloadEntry", "WorkloadGroup", "WasmPlugin")
_RANGES = (("ge", "minimum"), ("le", "maximum"), ("pattern", "pattern"), ("min_length", "minLength"), ("max_length", "maxLength"))


def definition(info: KindInfo, *, schemas: bool = True) -> JsonObject:
    """The definition of a custom kind; without `schemas` every version takes anything."""
    names: JsonObject = {
        "kind": info.kind,
        "listKind": f"{info.kind}List",
        "plural": info.plural,
        "singular": info.singular,
        **({"shortNames": list(info.short_names)} if info.short_names else {}),
        **({"categories": list(info.categories)} if info.categories else {}),
    }
    spec: JsonObject = {
        "group": info.group,
        "names": names,
        "scope": "Namespaced" if info.namespaced else "Cluster",
        "versions": [_version(info, version, schemas=schemas) for version in info.versions],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": resource_id(info)},
        "spec": spec,
    }


def _version(info: KindInfo, version: str, *, schemas: bool) -> JsonObject:
    schema = _of_kind(info) if schemas and info.type is not None else dict(_ANYTHING)
    return {
        "name": version,
        "served": True,
        "storage": version == (info.storage_version or info.versions[0]),
        "schema": {"openAPIV3Schema": schema},
        **({"subresources": {"status": {}}} if subresource(info, "status") else {}),
        **({"additionalPrinterColumns": [_column(column) for column in info.columns]} if info.columns else {}),
    }


def _column(column: Column) -> JsonObject:
    more: JsonObject = {"priority": column.priority} if column.priority else {}
    return {"name": column.name, "type": column.type, "jsonPath": column.jsonpath} | more


def _of_kind(info: KindInfo) -> JsonObject:
    node = inspect.type_info(info.type)
    fields = {field.encode_name: field for field in node.fields} if isinstance(node, inspect.StructType) else {}
    properties: JsonObject = {"spec": _schema(fields["spec"].type)} if "spec" in fields else {}
    spec = properties.get("spec")
    if isinstance(spec, dict) and {"selector", "targetRefs"} <= spec.get("properties", {}).keys():
        spec["x-kubernetes-validations"] = [_one_target(spec)]
    for path, rule in RULES.get(info.id, {}).items():
        _add(section(properties, "spec"), path, rule)
    required: JsonObject = {"required": ["spec"]} if info.id in _NEEDS_SPEC else {}
    return {"type": "object", "properties": {**properties, "status": dict(_ANYTHING)}} | required


def _add(schema: JsonObject, path: str, rule: Mapping[str, object]) -> None:
    """Put a rule at its place, beside the rules that are there."""
    for step in _STEP.findall(path):
        inner = schema["items"] if step == "[]" else section(section(schema, "properties"), step)
        assert isinstance(inner, dict), path  # noqa: S101 - the table names fields of our own types
        schema = inner
    rules = [*_list(schema.get("x-kubernetes-validations")), *_list(rule.get("x-kubernetes-validations"))]
    schema.update({**rule, **({"x-kubernetes-validations": rules} if rules else {})})


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _one_target(spec: Mapping[str, object]) -> JsonObject:
    properties = spec["properties"]
    asked = [name for name in ("selector", "targetRef", "targetRefs") if isinstance(properties, dict) and name in properties]
    rule = " + ".join(f"(has(self.{name}) ? 1 : 0)" for name in asked)
    return {"rule": f"{rule} <= 1", "message": "only one of targetRefs or selector can be set"}


def _schema(node: inspect.Type) -> JsonObject:
    match node:
        case inspect.StructType():
            return _struct(node)
        case inspect.Metadata():
            return _schema(node.type)
        case inspect.UnionType():
            return _union(node)
        case inspect.DictType():
            values = _schema(node.value_type)
            return {"type": "object", "additionalProperties": values} if values else dict(_ANYTHING)
        case inspect.ListType() | inspect.SetType() | inspect.VarTupleType():
            return {"type": "array", "items": _schema(node.item_type)}
    return _scalar(node)


def _scalar(node: inspect.Type) -> JsonObject:
    match node:
        case inspect.LiteralType():
            return {"type": "string", "enum": list(node.values)}
        case inspect.BytesType():
            return {"type": "string", "format": "byte"}
        case inspect.AnyType():
            return {}
        case inspect.CustomType() if node.cls is object:
            return {}
    return {"type": _NAMES.get(type(node), "string")} | _ranges(node)  # a type of our own is text on the wire


def _ranges(node: inspect.Type) -> JsonObject:
    found = {name: getattr(node, ours, None) for ours, name in _RANGES}
    return {name: value for name, value in found.items() if value is not None}


def _union(node: inspect.UnionType) -> JsonObject:
    types = [one for one in node.types if not isinstance(one, inspect.NoneType)]
    if len(types) == 1:
        return _schema(types[0])
    return {"x-kubernetes-int-or-string": True} if {type(one) for one in types} <= _SCALARS else {}


_NAMES = {inspect.IntType: "integer", inspect.FloatType: "number", inspect.BoolType: "boolean"}
_SCALARS = {inspect.IntType, inspect.StrType, inspect.FloatType}


def _struct(node: inspect.StructType) -> JsonObject:
    properties = {field.encode_name: _schema(field.type) for field in node.fields}
    required = [field.encode_name for field in node.fields if field.required]
    found: JsonObject = {"type": "object", "properties": {name: schema or _anything() for name, schema in properties.items()}}
    if required:
        found["required"] = required
    groups = [_choice(group) for group in getattr(node.cls, "one_of", ())]
    if len(groups) == 1:
        found |= groups[0]
    elif groups:
        found["allOf"] = groups
    return found


def _anything() -> JsonObject:
    return {"x-kubernetes-preserve-unknown-fields": True}


def _choice(group: Iterable[str]) -> JsonObject:
    """At most one of these fields."""
    each = [{"required": [_camel(name)]} for name in group]
    return {"oneOf": [{"not": {"anyOf": each}}, *each]}


def _camel(name: str) -> str:
    return re.sub(r"_([a-z0-9])", lambda found: found[1].upper(), name)
