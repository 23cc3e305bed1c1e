"""Kubernetes' protobuf bodies as JSON values.

Why: client-go's typed clients send them, and kubectl from 1.32 on for its imperative commands, with no second try as JSON. The fields
stand in `kubernetes_messages.txt`, which `scripts/kubernetes_messages.py` writes. Answers are always JSON, which such clients accept too.
Must not know what an object means.
"""

import base64
import struct
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import NamedTuple

from lateen.kube.errors import bad_request
from lateen.kube.records import JsonObject
from lateen.util.times import rfc3339

__all__ = ["MEDIA_TYPE", "decode_protobuf"]

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\0"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class _Field(NamedTuple):
    """`many` is `*` for a list, `%` for a map."""

    name: str
    type: str
    many: str
    inline: bool
    zero: bool


class _MalformedError(ValueError):
    """The bytes are no message."""


def decode_protobuf(body: bytes) -> JsonObject:
    """The object in Kubernetes' envelope, with its apiVersion and kind; ApiError 400 when it cannot be read."""
    try:
        return _envelope(body)
    except (_MalformedError, UnicodeDecodeError, struct.error, OverflowError, OSError, ValueError) as problem:
        raise bad_request(f"the protobuf of the request body cannot be read: {problem}") from problem


def _envelope(body: bytes) -> JsonObject:
    if not body.startswith(_MAGIC):
        raise _MalformedError("it does not begin with Kubernetes' prefix")
    envelope = {number: value for number, _, value in _fields(body[len(_MAGIC) :])}
    meta = {number: _bytes(value).decode() for number, _, value in _fields(_bytes(envelope.get(1, b"")))}
    api_version, kind = meta.get(1, ""), meta.get(2, "")
    if envelope.get(3):
        raise _MalformedError("its content is encoded")
    name = _message_of(api_version, kind)
    if name not in _messages():
        raise _MalformedError(f"no message is known for {kind or 'no kind'} of {api_version or 'no version'}; send JSON")
    return {"apiVersion": api_version, "kind": kind} | _message(name, _bytes(envelope.get(2, b"")))


def _message_of(api_version: str, kind: str) -> str:
    if kind == "DeleteOptions":
        return "meta/v1.DeleteOptions"
    group, slash, version = api_version.partition("/")
    if not slash:
        return f"core/{group}.{kind}"
    return f"{group.removesuffix('.k8s.io').replace('.authorization', '')}/{version}.{kind}"


@cache
def _messages() -> Mapping[str, Mapping[int, _Field]]:
    text = (resources.files(__package__) / "kubernetes_messages.txt").read_text(encoding="ascii")
    return {name: {int(number): field for number, field in map(_field, fields)} for name, *fields in map(str.split, text.splitlines())}


def _field(text: str) -> tuple[str, _Field]:
    number, name, kind = text.split(":")
    type_name = kind.lstrip("!<*%")
    flags = kind[: len(kind) - len(type_name)]
    many = "*" if "*" in flags else "%" if "%" in flags else ""
    return number, _Field(name, type_name, many, "<" in flags, "!" in flags)


def _fields(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        value: int | bytes
        if wire == _VARINT:
            value, at = _varint(data, at)
        else:
            length = {_FIXED64: 8, _FIXED32: 4}.get(wire)
            if wire == _BYTES:
                length, at = _varint(data, at)
            if length is None or at + length > len(data):
                raise _MalformedError(f"field {number} is cut off or of an unknown form")
            value, at = data[at : at + length], at + length
        yield number, wire, value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at
    raise _MalformedError("a number is cut off or too long")


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise _MalformedError("a number stands where a message or text belongs")
    return value


def _number(value: int | bytes) -> int:
    if not isinstance(value, int):
        raise _MalformedError("a message or text stands where a number belongs")
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


def _message(name: str, data: bytes) -> JsonObject:
    known = _messages()[name]
    found: JsonObject = {}
    maps: dict[str, JsonObject] = {}
    lists: dict[str, list[object]] = {}
    for number, _, raw in _fields(data):
        field = known.get(number)
        if field is None:
            continue
        if field.many == "%":
            key, value = _entry(field.type, _bytes(raw))
            maps.setdefault(field.name, {})[key] = value
            continue
        value = _value(field.type, raw)
        if field.many == "*":
            lists.setdefault(field.name, []).append(value)
        elif field.inline and isinstance(value, dict):
            found |= value
        elif field.zero or value not in ("", 0, None):
            found[field.name] = value
    return found | maps | lists


def _entry(kind: str, data: bytes) -> tuple[str, object]:
    parts = {number: value for number, _, value in _fields(data)}
    return _bytes(parts.get(1, b"")).decode(), _value(kind, parts.get(2, b""))


def _value(kind: str, raw: int | bytes) -> object:
    match kind:
        case "s":
            return _bytes(raw).decode()
        case "i":
            return _number(raw)
        case "b":
            return bool(_number(raw))
        case "y":
            return base64.b64encode(_bytes(raw)).decode()
        case "d":
            return struct.unpack("<d", _bytes(raw))[0]
        case _:
            special = _SPECIAL.get(kind)
            return special(_bytes(raw)) if special else _message(kind, _bytes(raw))


def _time(data: bytes) -> str | None:
    return _timestamp(data, 0)


def _micro_time(data: bytes) -> str | None:
    return _timestamp(data, 6)


def _timestamp(data: bytes, digits: int) -> str | None:
    parts = {number: _number(value) for number, _, value in _fields(data)}
    if not parts.get(1):
        return None
    if not digits:
        return rfc3339(parts[1])
    return datetime.fromtimestamp(parts[1] + parts.get(2, 0) / 1e9, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _quantity(data: bytes) -> str:
    return next((_bytes(value).decode() for number, _, value in _fields(data) if number == 1), "0")


def _int_or_string(data: bytes) -> int | str:
    parts = {number: value for number, _, value in _fields(data)}
    return _bytes(parts.get(3, b"")).decode() if parts.get(1) else _number(parts.get(2, 0))


def _extra(data: bytes) -> list[str]:
    return [_bytes(value).decode() for number, _, value in _fields(data) if number == 1]


_SPECIAL: Mapping[str, Callable[[bytes], object]] = {
    "meta/v1.Time": _time,
    "meta/v1.MicroTime": _micro_time,
    "resource.Quantity": _quantity,
    "intstr.IntOrString": _int_or_string,
    "authentication/v1.ExtraValue": _extra,
}
