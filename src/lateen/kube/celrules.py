"""Rules between fields (`x-kubernetes-validations`) of user-defined kinds, in CEL.

Why: definitions in the field lean on them. The evaluator is loaded when the first rule is met, since most meshes have none. What Kubernetes
adds to CEL (`isURL`, `quantity`, ...) it lacks: such a rule is not checked, and said to be so. Must not judge rules: see `definitions`.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from lateen.kube.errors import Cause
from lateen.kube.records import dicts, section
from lateen.kube.structural import inner_schema

if TYPE_CHECKING:
    import cel

__all__ = ["Findings", "check_rules"]

_TYPES = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}


class Findings(NamedTuple):
    """What is broken, and what could not be checked."""

    causes: tuple[Cause, ...]
    warnings: tuple[str, ...]


def check_rules(schema: Mapping[str, object], value: object, old: object = None) -> Findings:
    """The rules that a value breaks; those that speak of `oldSelf` count where there is an old value."""
    found = list(_walk(schema, value, old, ""))
    causes = tuple(one for one in found if isinstance(one, Cause))
    return Findings(causes, tuple(dict.fromkeys(one for one in found if isinstance(one, str))))


def _walk(schema: Mapping[str, object], value: object, old: object, path: str) -> Iterator[Cause | str]:
    for rule in dicts(schema.get("x-kubernetes-validations")) if value is not None else ():
        yield from _judge(rule, value, old, path)
    if isinstance(value, dict):
        for name, item in value.items():
            if (below := inner_schema(schema, name)) is not None:
                before = old.get(name) if isinstance(old, dict) else None
                yield from _walk(below, item, before, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        below = section(schema, "items")
        for index, item in enumerate(value):
            yield from _walk(below, item, _same_item(schema, item, old), f"{path}[{index}]")


def _same_item(schema: Mapping[str, object], item: object, old: object) -> object:
    """The old form of an element, where the list's elements have names."""
    keys = schema.get("x-kubernetes-list-map-keys")
    if not isinstance(keys, list) or not isinstance(item, dict):
        return None
    return next((one for one in dicts(old) if all(one.get(key) == item.get(key) for key in keys)), None)


def _judge(rule: Mapping[str, object], value: object, old: object, path: str) -> Iterator[Cause | str]:
    text = str(rule.get("rule", ""))
    if "oldSelf" in text and old is None:
        return
    known = {"self": value} | ({"oldSelf": old} if old is not None else {})
    try:
        if _program(text).execute(known) is True:
            return
        why = ""
    except ValueError as error:
        yield f"{path}: the rule '{text}' is not checked: {error}"
        return
    except (RuntimeError, TypeError, KeyError, IndexError) as error:
        if "Undefined variable or function" in str(error):
            yield f"{path}: the rule '{text}' is not checked: this server does not know one of its functions"
            return
        why = f"rule evaluation error: {error}"
    yield _broken(rule, value, known, path, why)


def _broken(rule: Mapping[str, object], value: object, known: Mapping[str, object], path: str, why: str) -> Cause:
    said = why or _own_words(rule, known) or str(rule.get("message") or f"failed rule: {rule.get('rule')}").strip()
    field = f"{path}{rule.get('fieldPath', '')}".lstrip(".") or "<nil>"
    reason = str(rule.get("reason") or "FieldValueInvalid")
    shown = f'"{_TYPES.get(type(value), "object")}"'
    heads = {
        "FieldValueForbidden": "Forbidden: ",
        "FieldValueRequired": "Required value: ",
        "FieldValueDuplicate": f"Duplicate value: {shown}: ",
    }
    return Cause(reason, field, f"{heads.get(reason, f'Invalid value: {shown}: ')}{said}")


def _own_words(rule: Mapping[str, object], known: Mapping[str, object]) -> str:
    expression = rule.get("messageExpression")
    if not isinstance(expression, str):
        return ""
    try:
        said = _program(expression).execute(dict(known))
    except (ValueError, RuntimeError, TypeError, KeyError, IndexError):
        return ""
    return said.strip() if isinstance(said, str) else ""


@lru_cache(maxsize=512)
def _program(text: str) -> "cel.Program":
    import cel  # noqa: PLC0415  30 MB that most meshes never need

    return cel.compile(text)
