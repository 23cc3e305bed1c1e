"""Objects against the structural schemas of user-defined kinds: unknown fields, defaults, and what breaks a schema.

Why: a definition's schema decides what an API server keeps, fills in and refuses. The words are Kubernetes'. Rules between fields are
`celrules`'. Must not know where a schema comes from.
"""

import copy
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from ipaddress import ip_address, ip_network

import msgspec
import re2

from lateen.kube.errors import Cause
from lateen.kube.records import JsonObject, dicts, section

__all__ = ["check", "fill", "inner_schema", "prune"]

_KEEPS = "x-kubernetes-preserve-unknown-fields"
_EITHER = "x-kubernetes-int-or-string"
_HEAD = ("apiVersion", "kind", "metadata")
_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}
_NAMES = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}
_Causes = Iterator[Cause]


# -- unknown fields and defaults ---------------------------------------------------------------------------------------


def prune(schema: Mapping[str, object], value: object, path: str = "", *, head: bool = True) -> list[str]:
    """Take fields out of `value` that the schema does not name; their paths. The root keeps `apiVersion`, `kind` and `metadata`."""
    found: list[str] = []
    if isinstance(value, list):
        for index, item in enumerate(value):
            found += prune(section(schema, "items"), item, f"{path}[{index}]", head=False)
    if not isinstance(value, dict):
        return found
    kept = _HEAD if head or schema.get("x-kubernetes-embedded-resource") else ()
    for name in list(value):
        below, here = inner_schema(schema, name), f"{path}.{name}" if path else name
        if name in kept:
            continue
        if below is not None:
            found += prune(below, value[name], here, head=False)
        elif not schema.get(_KEEPS) and not schema.get("additionalProperties"):
            del value[name]
            found.append(here)
    return found


def inner_schema(schema: Mapping[str, object], name: str) -> JsonObject | None:
    """The schema of a field or of a map's value."""
    found = section(schema, "properties").get(name, schema.get("additionalProperties"))
    return found if isinstance(found, dict) else None


def fill(schema: Mapping[str, object], value: object) -> None:
    """Put the schema's defaults into `value`; a null that may not be one counts as absent where there is a default."""
    if isinstance(value, list):
        for item in value:
            fill(section(schema, "items"), item)
    if not isinstance(value, dict):
        return
    for name, below in section(schema, "properties").items():
        if not isinstance(below, dict) or "default" not in below:
            continue
        if name not in value or (value[name] is None and not below.get("nullable")):
            value[name] = copy.deepcopy(below["default"])
    for name, item in value.items():
        fill(inner_schema(schema, name) or {}, item)


# -- what breaks a schema ----------------------------------------------------------------------------------------------


def check(schema: Mapping[str, object], value: object, path: str = "") -> _Causes:
    """What the value breaks, in it and below it."""
    if value is None and schema.get("nullable"):
        return
    if not _has_type(schema, value):
        name, wanted = _NAMES[type(value)], "integer,string" if schema.get(_EITHER) else schema.get("type")
        text = f'Invalid value: "{name}": {path} in body must be of type {wanted}: "{name}"'
        yield Cause("FieldValueTypeInvalid", path or "<nil>", text)
        return
    for broken in (_choices, _numbers, _texts, _sizes, _alternatives):
        yield from broken(schema, value, path)
    if isinstance(value, dict):
        yield from _fields(schema, value, path)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from check(section(schema, "items"), item, f"{path}[{index}]")
        yield from _repeated(schema, value, path)


def _has_type(schema: Mapping[str, object], value: object) -> bool:
    if schema.get(_EITHER):
        return isinstance(value, int | str) and not isinstance(value, bool)
    wanted = schema.get("type")
    if wanted is None or wanted == "":
        return True
    if isinstance(value, bool):
        return wanted == "boolean"
    if isinstance(value, float) and wanted == "integer":
        return value.is_integer()
    return isinstance(value, _TYPES.get(str(wanted), (object,)))


def _fields(schema: Mapping[str, object], value: JsonObject, path: str) -> _Causes:
    required = schema.get("required")
    for name in required if isinstance(required, list) else ():
        if name not in value:
            yield Cause("FieldValueRequired", f"{path}.{name}" if path else str(name), "Required value")
    for name, item in value.items():
        below = inner_schema(schema, name)
        if below is not None and (path or name not in _HEAD):
            yield from check(below, item, f"{path}.{name}" if path else name)


def _choices(schema: Mapping[str, object], value: object, path: str) -> _Causes:
    allowed = schema.get("enum")
    if isinstance(allowed, list) and not any(one == value and type(one) is type(value) for one in allowed):
        yield Cause(
            "FieldValueNotSupported", path, f"Unsupported value: {_json(value)}: supported values: {', '.join(map(_json, allowed))}"
        )


def _numbers(schema: Mapping[str, object], value: object, path: str) -> _Causes:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    least, most, step = schema.get("minimum"), schema.get("maximum"), schema.get("multipleOf")
    if isinstance(least, int | float) and (value < least or (value == least and schema.get("exclusiveMinimum"))):
        yield _invalid(path, value, f"should be greater than{'' if schema.get('exclusiveMinimum') else ' or equal to'} {least}")
    if isinstance(most, int | float) and (value > most or (value == most and schema.get("exclusiveMaximum"))):
        yield _invalid(path, value, f"should be less than{'' if schema.get('exclusiveMaximum') else ' or equal to'} {most}")
    if isinstance(step, int | float) and step and value % step:
        yield _invalid(path, value, f"should be a multiple of {step}")


def _texts(schema: Mapping[str, object], value: object, path: str) -> _Causes:
    if not isinstance(value, str):
        return
    least, most, pattern = schema.get("minLength"), schema.get("maxLength"), schema.get("pattern")
    if isinstance(least, int) and len(value) < least:
        yield _invalid(path, value, f"should be at least {least} chars long")
    if isinstance(most, int) and len(value) > most:
        yield Cause("FieldValueTooLong", path, f"Too long: may not be more than {most} bytes")
    if isinstance(pattern, str) and not _matches(pattern, value):
        yield _invalid(path, value, f"should match '{pattern}'")
    form = schema.get("format")
    if isinstance(form, str) and (reads := _FORMATS.get(form)) and not _readable(reads, value):
        text = f"Invalid value: {_json(value)}: {path} in body must be of type {form}: {_json(value)}"
        yield Cause("FieldValueTypeInvalid", path, text)


def _matches(pattern: str, value: str) -> bool:
    try:
        return re2.search(pattern, value) is not None
    except re2.error:
        return True  # no API server takes such a definition


def _readable(reads: Callable[[str], object], value: str) -> bool:
    try:
        return bool(reads(value))
    except ValueError:
        return False


def _moment(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if re.match(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$", text) else None


_FORMATS: Mapping[str, Callable[[str], object]] = {
    "date-time": _moment,
    "date": lambda text: re.fullmatch(r"\d{4}-\d\d-\d\d", text) and datetime.fromisoformat(text),
    "ipv4": lambda text: ip_address(text).version == 4,
    "ipv6": lambda text: ip_address(text).version == 6,
    "cidr": lambda text: "/" in text and bool(ip_network(text, strict=False)),
    "uuid": lambda text: re.fullmatch(r"(?i)[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}", text),
    "byte": lambda text: re.fullmatch(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", text),
    "duration": lambda text: re.fullmatch(r"[+-]?(\d+(\.\d+)?(ns|us|µs|ms|s|m|h|d|w))+|0", text),
    "hostname": lambda text: len(text) < 256 and re.fullmatch(r"(?i)([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.?)+", text),
    "email": lambda text: re.fullmatch(r"[^@\s]+@[^@\s]+", text),
    "uri": lambda text: re.match(r"[A-Za-z][A-Za-z0-9+.-]*:|/", text),
}


def _sizes(schema: Mapping[str, object], value: object, path: str) -> _Causes:
    if not isinstance(value, list | dict):
        return
    word, noun = ("Items", "items") if isinstance(value, list) else ("Properties", "properties")
    least, most = schema.get(f"min{word}"), schema.get(f"max{word}")
    if isinstance(least, int) and len(value) < least:
        yield Cause(
            "FieldValueInvalid", path or "<nil>", f"Invalid value: {len(value)}: {path} in body should have at least {least} {noun}"
        )
    if isinstance(most, int) and len(value) > most:
        yield Cause("FieldValueTooMany", path or "<nil>", f"Too many: {len(value)}: must have at most {most} {noun}")


def _repeated(schema: Mapping[str, object], value: list[object], path: str) -> _Causes:
    match schema.get("x-kubernetes-list-type"):
        case "set":
            names = value
        case "map":
            keys = schema.get("x-kubernetes-list-map-keys")
            known = [str(key) for key in keys] if isinstance(keys, list) else []
            names = [{key: item[key] for key in known if key in item} if isinstance(item, dict) else item for item in value]
        case _:
            names = value if schema.get("uniqueItems") else []
    seen: set[str] = set()
    for index, name in enumerate(map(_json, names)):
        if name in seen:
            yield Cause("FieldValueDuplicate", f"{path}[{index}]", f"Duplicate value: {name}")
        seen.add(name)


def _alternatives(schema: Mapping[str, object], value: object, path: str) -> _Causes:
    for each in dicts(schema.get("allOf")):
        yield from check(each, value, path)
    any_of, one_of, refused = dicts(schema.get("anyOf")), dicts(schema.get("oneOf")), schema.get("not")
    if any_of and not schema.get(_EITHER) and not any(_holds(each, value, path) for each in any_of):
        yield _unnamed(f'"{path}" must validate at least one schema (anyOf)')
    if one_of and (count := sum(_holds(each, value, path) for each in one_of)) != 1:
        found = f"Found {count} valid alternatives" if count else "Found none valid"
        yield _unnamed(f'"{path}" must validate one and only one schema (oneOf). {found}')
    if isinstance(refused, dict) and _holds(refused, value, path):
        yield _unnamed(f'"{path}" must not validate the schema (not)')


def _holds(schema: Mapping[str, object], value: object, path: str) -> bool:
    return next(check(schema, value, path), None) is None


def _unnamed(text: str) -> Cause:
    return Cause("FieldValueInvalid", "<nil>", f'Invalid value: "": {text}')


def _invalid(path: str, value: object, text: str) -> Cause:
    return Cause("FieldValueInvalid", path, f"Invalid value: {_json(value)}: {path} in body {text}")


def _json(value: object) -> str:
    return msgspec.json.encode(value, order="deterministic").decode()
