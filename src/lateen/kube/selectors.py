"""The `labelSelector` and `fieldSelector` of a request, parsed and asked.

Must not know which fields a kind offers beyond what its records carry.
"""

import re
from collections.abc import Iterator

from msgspec import Struct

from lateen.kube.errors import bad_request
from lateen.kube.records import Stored, field_text, load, selectable
from lateen.util.selectors import Requirement, satisfies

__all__ = ["EVERYTHING", "FieldTerm", "Selection", "parse_fields", "parse_labels", "select"]

_SET = re.compile(r"\s*(?P<key>[^\s,()=!<>]+)\s+(?P<op>in|notin)\s*\((?P<values>[^()]*)\)\s*")
_EQUAL = re.compile(r"\s*(?P<key>[^\s,()=!<>]+)\s*(?P<op>==|=|!=)\s*(?P<value>[^\s,()=!<>]*)\s*")
_EXISTS = re.compile(r"\s*(?P<not>!?)\s*(?P<key>[^\s,()=!<>]+)\s*")


class FieldTerm(Struct, frozen=True):
    """`name=value` or `name!=value`."""

    name: str
    value: str
    equal: bool


class Selection(Struct, frozen=True):
    """Which objects a list or watch is about; empty means all."""

    labels: tuple[Requirement, ...] = ()
    fields: tuple[FieldTerm, ...] = ()

    def matches(self, stored: Stored) -> bool:
        """Whether the object is meant."""
        return satisfies(self.labels, stored.labels) and all((_field(stored, t.name) == t.value) is t.equal for t in self.fields)

    def __bool__(self) -> bool:
        return bool(self.labels or self.fields)


EVERYTHING = Selection()


def _field(stored: Stored, name: str) -> str:
    match name:
        case "metadata.name":
            return stored.ref.name
        case "metadata.namespace":
            return stored.ref.namespace
        case _:
            known = stored.fields.get(name)
            return field_text(load(stored.body), name) if known is None else known


def select(resource: str, labels: str, fields: str, own: tuple[str, ...] = ()) -> Selection:
    """The selection that a request's two parameters mean for a resource; ApiError 400 where they make no sense.

    `own` are fields that the kind's definition lets be selected.
    """
    if not labels and not fields:
        return EVERYTHING
    return Selection(tuple(parse_labels(labels)), tuple(parse_fields(resource, fields, own)))


def parse_labels(text: str) -> Iterator[Requirement]:
    """`a=b,c!=d,e in (f,g),h notin (i),j,!k`."""
    at = 0
    while at < len(text):
        requirement, at = _requirement(text, at)
        yield requirement
        if at < len(text):
            if text[at] != ",":
                raise bad_request(f"found '{text[at]}', expected: ',' or 'end of string'")
            at += 1
            if not text[at:].strip():
                raise bad_request("found '', expected: identifier after ','")


def _requirement(text: str, at: int) -> tuple[Requirement, int]:
    if found := _SET.match(text, at):
        values = tuple(value.strip() for value in found["values"].split(","))
        return Requirement(found["key"], "In" if found["op"] == "in" else "NotIn", values), found.end()
    if found := _EQUAL.match(text, at):
        return Requirement(found["key"], "NotIn" if found["op"] == "!=" else "In", (found["value"],)), found.end()
    if found := _EXISTS.match(text, at):
        return Requirement(found["key"], "DoesNotExist" if found["not"] else "Exists"), found.end()
    raise bad_request(f"unable to parse requirement: found '{text[at : at + 20]}', expected: !, identifier, or 'end of string'")


def parse_fields(resource: str, text: str, own: tuple[str, ...] = ()) -> Iterator[FieldTerm]:
    """`metadata.name=x,status.phase!=Running`; backslash escapes a comma, an equals sign or itself."""
    known = (*selectable(resource), *own)
    for term in re.split(r"(?<!\\),", text):
        if not term:
            continue
        found = re.fullmatch(r"([^=!]+)(==|=|!=)(.*)", term, re.DOTALL)
        if not found:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{term}'")
        name = found[1].strip()
        if name not in ("metadata.name", "metadata.namespace") and name not in known:
            raise bad_request(_unknown(resource, name))
        yield FieldTerm(name, re.sub(r"\\([\\,=])", r"\1", found[3]), found[2] != "!=")


def _unknown(resource: str, name: str) -> str:
    if "." not in resource and resource not in ("configmaps", "serviceaccounts", "endpoints"):
        return f"field label not supported: {name}"
    return f'"{name}" is not a known field selector: only "metadata.name", "metadata.namespace"'
