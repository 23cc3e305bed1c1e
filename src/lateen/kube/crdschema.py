"""Schemas of custom kinds, as their definitions have them: made from the types that decode them, and the rules between fields.

Must not know versions or columns.
"""

import re
from collections.abc import Iterable, Mapping

import msgspec
from msgspec import inspect

from lateen.api.gatewaycommon import Filled
from lateen.api.kinds import KindInfo
from lateen.kube.crdrules import RULES
from lateen.kube.gatewayrules import GATEWAY_RULES
from lateen.kube.records import JsonObject, section

__all__ = ["schema_of_kind"]

_ANYTHING: JsonObject = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_STEP = re.compile(r"[A-Za-z0-9]+|\[\]")
_NEEDS_SPEC = ("ServiceEntry", "WorkloadEntry", "WorkloadGroup", "WasmPlugin")
_RANGES = (("ge", "minimum"), ("le", "maximum"), ("pattern", "pattern"), ("min_length", "minLength"), ("max_length", "maxLength"))


def schema_of_kind(info: KindInfo) -> JsonObject:
    """The schema of a kind that has a type."""
    node = inspect.type_info(info.type)
    fields = {field.encode_name: field for field in node.fields} if isinstance(node, inspect.StructType) else {}
    properties: JsonObject = {"spec": _schema(fields["spec"].type)} if "spec" in fields else {}
    spec = properties.get("spec")
    if isinstance(spec, dict) and {"selector", "targetRefs"} <= spec.get("properties", {}).keys():
        spec["x-kubernetes-validations"] = [_one_target(spec)]
    for path, rule in (RULES.get(info.id) or GATEWAY_RULES.get(info.id) or {}).items():
        _add(section(properties, "spec"), path, rule)
    needed = "spec" in fields and fields["spec"].required
    required: JsonObject = {"required": ["spec"]} if needed or info.id in _NEEDS_SPEC else {}
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
            return {"type": "object", "additionalProperties": values} | _sizes(node, "Properties") if values else dict(_ANYTHING)
        case inspect.ListType() | inspect.SetType() | inspect.VarTupleType():
            return {"type": "array", "items": _schema(node.item_type)} | _sizes(node, "Items")
    return _scalar(node)


def _scalar(node: inspect.Type) -> JsonObject:
    match node:
        case inspect.LiteralType():
            return {"type": "integer" if isinstance(node.values[0], int) else "string", "enum": list(node.values)}
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


def _sizes(node: inspect.Type, what: str) -> JsonObject:
    found = {f"{name}{what}": getattr(node, f"{name}_length", None) for name in ("min", "max")}
    return {name: value for name, value in found.items() if value is not None}


def _union(node: inspect.UnionType) -> JsonObject:
    types = [one for one in node.types if not isinstance(one, inspect.NoneType)]
    if len(types) == 1:
        return _schema(types[0])
    return {"x-kubernetes-int-or-string": True} if {type(one) for one in types} <= _SCALARS else {}


_NAMES = {inspect.IntType: "integer", inspect.FloatType: "number", inspect.BoolType: "boolean"}
_SCALARS = {inspect.IntType, inspect.StrType, inspect.FloatType}


def _struct(node: inspect.StructType) -> JsonObject:
    filled = issubclass(node.cls, Filled)
    properties = {field.encode_name: _schema(field.type) | (_default(field) if filled else {}) for field in node.fields}
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


def _default(field: inspect.Field) -> JsonObject:
    """What is written into an object that lacks the field."""
    given = field.default not in (msgspec.NODEFAULT, None, ())
    return {"default": msgspec.json.decode(msgspec.json.encode(field.default))} if given else {}


def _anything() -> JsonObject:
    return {"x-kubernetes-preserve-unknown-fields": True}


def _choice(group: Iterable[str]) -> JsonObject:
    """At most one of these fields."""
    each = [{"required": [_camel(name)]} for name in group]
    return {"oneOf": [{"not": {"anyOf": each}}, *each]}


def _camel(name: str) -> str:
    return re.sub(r"_([a-z0-9])", lambda found: found[1].upper(), name)
