"""Checks JSON-shaped data against a type, field by field, and brings it into the type's own spelling.

Why: `msgspec.convert` is fast but stops at the first mistake and knows nothing of protobuf's JSON. `decode` asks here
only when it refused: here every mistake is found, and what protobuf's JSON allows is put right (snake_case names,
numbers as text, enums by number, null for "not given"). Must not read files nor build objects.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any, Literal, NamedTuple, get_args, get_origin

from msgspec import Struct, inspect, structs

from lateen.api.meta import ObjectMeta
from lateen.api.objects import PlainText
from lateen.util.redact import Secret

__all__ = ["LEFT_RAW", "Finding", "Path", "check", "did_you_mean"]

Path = tuple[str | int, ...]

_LISTED = 25  # names in one sentence
LEFT_RAW = frozenset({"managedFields", "selfLink"})  # of ObjectMeta: legal, not typed
_WORDS = {dict: "a mapping", list: "a list", tuple: "a list", bool: "true or false", str: "text", type(None): "nothing"}


class Finding(NamedTuple):
    """One mistake at a path of the data as its writer spelt it."""

    code: str
    path: Path
    message: str


class _Missing:
    """Stands for a value that is left out."""


_OUT = _Missing()


def check(raw: object, type_: type[Struct], path: Path = (), *, proto: bool) -> tuple[Any, tuple[Finding, ...]]:
    """The data with legal liberties put right, and all that is wrong with it.

    With `proto`, what protobuf's JSON allows is allowed; otherwise, what Kubernetes' JSON allows.
    """
    walk = _Walk(proto=proto)
    tidy = walk.value(_shape(type_).node, raw, path)
    return tidy, tuple(walk.findings)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean "x"?` where something known is close, otherwise nothing."""
    by_lower = {one.lower(): one for one in known}
    close = get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return f'; did you mean "{by_lower[close[0]]}"?' if close else ""


def _found(value: object) -> str:
    """What was found, in words; text itself is not repeated, for it may be a secret."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"the number {str(value)[:40]}"
    return _WORDS.get(type(value), "something else")


class _Shape(NamedTuple):
    """A struct's fields, by wire name and by protobuf's own snake_case name."""

    node: inspect.StructType
    wire: dict[str, inspect.Field]
    snake: dict[str, inspect.Field]
    enums: dict[str, tuple[str, ...]]  # by wire name: the names in the order of their numbers


@cache
def _shape(cls: type[Struct]) -> _Shape:
    node = inspect.type_info(cls)
    if not isinstance(node, inspect.StructType):
        raise TypeError(f"{cls!r} is not a struct")
    wire = {field.encode_name: field for field in node.fields}
    snake = {field.name.rstrip("_"): field for field in node.fields}
    enums = {field.encode_name: _names(field.type) for field in structs.fields(cls) if _names(field.type)}
    return _Shape(node, wire, snake, enums)


def _names(annotation: Any) -> tuple[str, ...]:
    """The names of a `Literal`, also within an optional one; `inspect` would give them sorted."""
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return next((names for one in get_args(annotation) if (names := _names(one))), ())


class _Walk:
    """One pass over one object; collects findings."""

    def __init__(self, *, proto: bool) -> None:
        self.findings: list[Finding] = []
        self._proto = proto

    def value(self, node: inspect.Type, value: object, path: Path) -> object:
        """The value in the type's own spelling; `_OUT` where it is wrong."""
        while isinstance(node, inspect.Metadata):
            expected = (node.extra or {}).get("expected")
            if expected and isinstance(node.type, inspect.StrType):
                return self._text(node.type, value, path, str(expected))
            node = node.type
        handler = _HANDLERS.get(type(node))
        return value if handler is None else handler(self, node, value, path)

    def wrong(self, path: Path, expected: str, value: object) -> _Missing:
        """Notes a value of the wrong type."""
        hint = "; write it in quotes" if expected == "text" and isinstance(value, bool | int | float) else ""
        self.findings.append(Finding("wrong-type", path, f"expected {expected}, found {_found(value)}{hint}"))
        return _OUT

    def struct(self, node: inspect.StructType, value: object, path: Path) -> object:
        shape = _shape(node.cls)
        if not isinstance(value, dict):
            return self.wrong(path, "a mapping", value)
        tidy: dict[str, object] = {}
        for key, item in value.items():
            field = self._field(shape, key, (*path, key))
            if field is None or item is None:
                continue
            if field.encode_name in tidy:
                self.findings.append(Finding("duplicate-field", (*path, key), "the field is given twice, in two spellings"))
                continue
            result = self.value(field.type, self._by_number(shape.enums.get(field.encode_name), item), (*path, key))
            if result is not _OUT:
                tidy[field.encode_name] = result
        self._one_of(shape.node, tidy, path)
        return tidy

    def _by_number(self, names: tuple[str, ...] | None, value: object) -> object:
        is_number = self._proto and names and isinstance(value, int) and not isinstance(value, bool)
        return names[value] if is_number and names and isinstance(value, int) and 0 <= value < len(names) else value

    def _field(self, shape: _Shape, key: str, path: Path) -> inspect.Field | None:
        field = shape.wire.get(key) or (shape.snake.get(key) if self._proto else None)
        if field is None and self._is_unknown(shape.node, key):
            hint = did_you_mean(key, shape.wire) or f"; known here: {_listing(shape.wire)}"
            self.findings.append(Finding("unknown-field", path, f"unknown field{hint}"))
        return field

    def _is_unknown(self, node: inspect.StructType, key: str) -> bool:
        if issubclass(node.cls, ObjectMeta):
            return key not in LEFT_RAW
        return node.forbid_unknown_fields

    def _one_of(self, node: inspect.StructType, tidy: Mapping[str, object], path: Path) -> None:
        for group in getattr(node.cls, "one_of", ()):
            given = [field.encode_name for field in node.fields if field.name in group and field.encode_name in tidy]
            if len(given) > 1:
                message = f"only one of {_listing(given)} may be given"
                self.findings.append(Finding("one-of", (*path, given[1]), message))

    def sequence(self, node: inspect.VarTupleType, value: object, path: Path) -> object:
        if not isinstance(value, list | tuple):
            return self.wrong(path, "a list", value)
        items = (self._item(node.item_type, item, (*path, index)) for index, item in enumerate(value))
        return [item for item in items if item is not _OUT]

    def _item(self, node: inspect.Type, value: object, path: Path) -> object:
        return self.wrong(path, _expectation(node), value) if value is None else self.value(node, value, path)

    def mapping(self, node: inspect.DictType, value: object, path: Path) -> object:
        if not isinstance(value, dict):
            return self.wrong(path, "a mapping", value)
        tidy: dict[str, object] = {}
        for key, item in value.items():
            here = (*path, key)
            if isinstance(node.key_type, inspect.IntType) and not re.fullmatch(r"[0-9]{1,10}", key):
                self.findings.append(Finding("wrong-type", here, "expected a number as the key"))
                continue
            result = self._entry(node.value_type, item, here)
            if result is not _OUT:
                tidy[key] = result
        return tidy

    def _entry(self, node: inspect.Type, value: object, path: Path) -> object:
        if value is None and isinstance(node, inspect.StrType) and not self._proto:
            return ""  # as Kubernetes reads `key:` without a value
        return self._item(node, value, path) if not isinstance(node, inspect.CustomType) else self.value(node, value, path)

    def union(self, node: inspect.UnionType, value: object, path: Path) -> object:
        options = [one for one in node.types if not isinstance(one, inspect.NoneType)]
        if len(options) == 1:
            return self.value(options[0], value, path)
        for option in options:
            probe = _Walk(proto=self._proto)
            result = probe.value(option, value, path)
            if not probe.findings:
                return result
        return self.wrong(path, " or ".join(_expectation(option) for option in options), value)

    def literal(self, node: inspect.LiteralType, value: object, path: Path) -> object:
        values = node.values
        if value in values and isinstance(value, str):
            return value
        known = [str(one) for one in values if one]
        if not isinstance(value, str):
            return self.wrong(path, f"one of {_listing(known)}", value)
        hint = did_you_mean(value, known)
        self.findings.append(Finding("wrong-value", path, f'"{value[:60]}" is not one of {_listing(known)}{hint}'))
        return _OUT

    def text(self, node: inspect.StrType, value: object, path: Path) -> object:
        if isinstance(value, dict) and len(value) == 1 and next(iter(value.items()))[1] is None:
            key = str(next(iter(value)))
            value = f"{key}:" if key.endswith(":") else value  # YAML takes an IPv6 address that ends in `::` for a mapping
        return self._text(node, value, path, "text")

    def _text(self, node: inspect.StrType, value: object, path: Path, expected: str) -> object:
        if not isinstance(value, str):
            return self.wrong(path, expected, value)
        if node.pattern and not re.search(node.pattern, value):
            self.findings.append(Finding("wrong-value", path, f'expected {expected}, found "{value[:40]}"'))
            return _OUT
        return value

    def integer(self, node: inspect.IntType, value: object, path: Path) -> object:
        number = value
        if self._proto and isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,20}", value):
            number = int(value)
        if isinstance(number, float) and number.is_integer():
            number = int(number)
        if not isinstance(number, int) or isinstance(number, bool):
            return self.wrong(path, "a whole number", value)
        least, most = -(2**63) if node.ge is None else node.ge, 2**63 - 1 if node.le is None else node.le
        if not least <= number <= most:
            message = f"expected a whole number from {least} to {most}, found {str(number)[:40]}"
            self.findings.append(Finding("wrong-value", path, message))
            return _OUT
        return number

    def decimal(self, _node: inspect.FloatType, value: object, path: Path) -> object:
        number = value
        if self._proto and isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}(\.[0-9]{1,18})?", value):
            number = float(value)
        if not isinstance(number, int | float) or isinstance(number, bool) or not _fits(number):
            return self.wrong(path, "a number", value)
        return number

    def boolean(self, _node: inspect.BoolType, value: object, path: Path) -> object:
        return value if isinstance(value, bool) else self.wrong(path, "true or false", value)

    def custom(self, node: inspect.CustomType, value: object, path: Path) -> object:
        if not issubclass(node.cls, Secret):
            return value
        if not isinstance(value, str):
            self.findings.append(Finding("wrong-type", path, "expected text, found something else; write it in quotes"))
            return _OUT
        if node.cls is not PlainText and not re.fullmatch(r"[A-Za-z0-9+/\s]*={0,2}\s*", value):
            self.findings.append(
                Finding("wrong-value", path, "expected text in base64, found something else; plain text goes into stringData")
            )
            return _OUT
        return value


_HANDLERS: dict[type, Callable[[_Walk, Any, object, Path], object]] = {
    inspect.StructType: _Walk.struct,
    inspect.VarTupleType: _Walk.sequence,
    inspect.DictType: _Walk.mapping,
    inspect.UnionType: _Walk.union,
    inspect.LiteralType: _Walk.literal,
    inspect.StrType: _Walk.text,
    inspect.IntType: _Walk.integer,
    inspect.FloatType: _Walk.decimal,
    inspect.BoolType: _Walk.boolean,
    inspect.CustomType: _Walk.custom,
}

_EXPECTATIONS: dict[type, str] = {
    inspect.StructType: "a mapping",
    inspect.DictType: "a mapping",
    inspect.VarTupleType: "a list",
    inspect.IntType: "a whole number",
    inspect.FloatType: "a number",
    inspect.BoolType: "true or false",
}


def _expectation(node: inspect.Type) -> str:
    while isinstance(node, inspect.Metadata):
        node = node.type
    return _EXPECTATIONS.get(type(node), "text")


def _fits(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:
        return False


def _listing(names: Iterable[str]) -> str:
    every = tuple(names)
    return ", ".join(every[:_LISTED]) + (", ..." if len(every) > _LISTED else "")
