"""From one JSON-shaped object to its typed form, its key and all that is wrong with it; and back.

Why apart from `decode`: objects also come from the API, where there is no text. Must not read text.
"""

import base64
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from lateen.api import kinds
from lateen.api.decode_fields import LEFT_RAW, Finding, Path, check, did_you_mean
from lateen.api.decode_lines import Lines
from lateen.api.kinds import KindInfo
from lateen.api.meta import Key, ObjectMeta
from lateen.api.objects import PlainText
from lateen.util.problem import Problem, Severity
from lateen.util.redact import Secret

__all__ = ["Origin", "Typed", "message", "path_text", "problem", "to_json", "typed"]

T = TypeVar("T", bound=Struct)

_META_FIELDS = frozenset(field.encode_name for field in msgspec.structs.fields(ObjectMeta)) | LEFT_RAW
_PLAIN_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")


class Origin(Struct, frozen=True):
    """Where an object comes from: a file's name and the lines of its fields; nothing for the API."""

    source: str = ""
    lines: Lines | None = None


class Typed(Struct, frozen=True):
    """The outcome: `obj` is None where any problem is an error."""

    obj: Struct | None
    key: Key | None
    problems: tuple[Problem, ...]


def typed(raw: object, origin: Origin, *, lenient: bool = False) -> Typed:
    """The typed object; with `lenient`, unknown fields are left out with a warning instead of refused."""
    if not isinstance(raw, dict):
        finding = Finding("wrong-type", (), "expected an object with apiVersion, kind and metadata")
        return Typed(None, None, (problem(finding, None, origin),))
    info, findings = _kind_of(raw)
    key = _key_of(raw, info)
    if info is None or info.type is None:
        return Typed(None, key, tuple(problem(one, key, origin) for one in findings))
    obj, more = _convert(raw, info.type, proto=info.is_istio, lenient=lenient)
    findings = (*findings, *_nameless(raw), *more)
    problems = tuple(problem(one, key, origin, _severity(one, lenient=lenient)) for one in findings)
    refused = any(one.severity == "error" for one in problems)
    return Typed(None if refused else obj, key, problems)


def message(raw: object, type_: type[T], origin: Origin) -> tuple[T | None, tuple[Problem, ...]]:
    """A lone message in protobuf's JSON, such as MeshConfig; unknown fields are warned about and left out."""
    obj, findings = _convert(raw, type_, proto=True, lenient=True)
    return obj, tuple(problem(one, None, origin, _severity(one, lenient=True)) for one in findings)


def problem(finding: Finding, key: Key | None, origin: Origin, severity: Severity = "error") -> Problem:
    """The finding as a sentence that stands alone: file, line, object, field, what is wrong."""
    line = 0 if origin.lines is None else origin.lines.at(finding.path)
    path = path_text(finding.path)
    file = f"{origin.source}:{line}" if origin.source and line else origin.source
    key = key or Key("", "", "")
    parts = (file, str(key) if key.kind else "", path, finding.message)
    return Problem(
        code=finding.code,
        message=": ".join(part for part in parts if part),
        kind=key.kind,
        namespace=key.namespace,
        name=key.name,
        path=path,
        file=origin.source,
        line=line,
        severity=severity,
    )


def path_text(path: Path) -> str:
    """The path as people write it: `spec.http[0].match[0].headers["end-user"]`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif step and _PLAIN_NAME.issuperset(step):
            text += f".{step}" if text else step
        else:
            text += f'["{step[:80]}"]'
    return text


def to_json(obj: Struct) -> dict[str, Any]:
    """The object in JSON's shape, camelCase, without the fields that have their default."""
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(obj, enc_hook=_encode_secret))
    info = kinds.by_api(str(getattr(obj, "api_version", "")), str(getattr(obj, "kind", "")))
    if info is None or not isinstance(obj, info.type or ()):
        return plain
    return {"apiVersion": getattr(obj, "api_version", info.api_version), "kind": info.kind} | plain


def _severity(finding: Finding, *, lenient: bool) -> Severity:
    return "warning" if lenient and finding.code == "unknown-field" else "error"


def _convert(raw: Any, type_: type[T], *, proto: bool, lenient: bool) -> tuple[T | None, tuple[Finding, ...]]:
    obj = _fast(raw, type_, lenient=lenient)
    if obj is not None:
        return obj, ()
    tidy, findings = check(raw, type_, proto=proto)
    if any(_severity(one, lenient=lenient) == "error" for one in findings):
        return None, findings
    try:
        return msgspec.convert(tidy, type_, str_keys=True, dec_hook=_decode_secret), findings
    except msgspec.ValidationError as error:  # a rule that only the type itself knows
        return None, (*findings, Finding("wrong-value", (), str(error)))


def _fast(raw: Any, type_: type[T], *, lenient: bool) -> T | None:
    """The common case; None wherever there is anything to say or to put right."""
    metadata = raw.get("metadata") if isinstance(raw, dict) else None
    if not lenient and isinstance(metadata, dict) and not metadata.keys() <= _META_FIELDS:
        return None
    try:
        return msgspec.convert(raw, type_, str_keys=True, dec_hook=_decode_secret)
    except msgspec.ValidationError:
        return None


def _kind_of(raw: Mapping[str, Any]) -> tuple[KindInfo | None, tuple[Finding, ...]]:
    api_version, kind = raw.get("apiVersion"), raw.get("kind")
    for name, value in (("apiVersion", api_version), ("kind", kind)):
        if not isinstance(value, str) or not value:
            return None, (Finding("missing-field", (name,), "expected text, such as apiVersion: v1, kind: Service"),)
    info = kinds.by_api(str(api_version), str(kind))
    return (info, ()) if info else (None, (_unknown_kind(str(api_version), str(kind)),))


def _unknown_kind(api_version: str, kind: str) -> Finding:
    known = kinds.by_kind(kind)
    group = api_version.rpartition("/")[0]
    if known is not None and known.group == group:
        versions = ", ".join(known.api_version_of(version) for version in known.versions)
        return Finding("unknown-kind", ("apiVersion",), f'{kind} has no version "{api_version[:80]}"; expected {versions}')
    if known is not None:
        return Finding("unknown-kind", ("apiVersion",), f'{kind} of "{api_version[:80]}" is unknown; expected {known.api_version}')
    hint = did_you_mean(kind, (info.kind for info in kinds.KINDS))
    return Finding("unknown-kind", ("kind",), f'the kind "{kind[:80]}" of "{api_version[:80]}" is unknown{hint}')


def _key_of(raw: Mapping[str, Any], info: KindInfo | None) -> Key | None:
    """The key as far as it can be told, so that problems name the object."""
    kind, metadata = raw.get("kind"), raw.get("metadata")
    if not isinstance(kind, str) or not kind:
        return None
    fields = metadata if isinstance(metadata, dict) else {}
    namespace, name = (value if isinstance(value, str) else "" for value in (fields.get("namespace"), fields.get("name")))
    return Key(info.id if info is not None else kind, namespace if info is None or info.namespaced else "", name)


def _nameless(raw: Mapping[str, Any]) -> tuple[Finding, ...]:
    metadata = raw.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        return ()  # the wrong type is told already
    if any((metadata or {}).get(field) not in (None, "") for field in ("name", "generateName")):
        return ()
    return (Finding("missing-field", ("metadata", "name"), "the object needs a name"),)


def _decode_secret(type_: type, value: Any) -> Any:
    if type_ is PlainText:
        return PlainText(value.encode())
    return Secret(base64.b64decode(value)) if type_ is Secret else value


def _encode_secret(value: object) -> str:
    if isinstance(value, PlainText):
        return value.reveal().decode()
    if isinstance(value, Secret):
        return base64.b64encode(value.reveal()).decode()
    raise TypeError(f"{type(value).__name__} has no JSON form")
