"""Fields of an incoming object against our types: unknown ones, and values of the wrong type.

Why: kubectl leaves field validation to the server (`fieldValidation`): Strict refuses unknown fields, Warn drops them with a warning.
Rules between fields are admission's, but for users' kinds, whose definitions state them. Must not know any kind.
"""

import copy
import re

from lateen.api.decode import Decoded, decode_object
from lateen.api.decode_fields import Finding
from lateen.api.decode_typed import Origin, problem
from lateen.api.kinds import KindInfo, by_api
from lateen.kube.celrules import Findings, check_rules
from lateen.kube.defined import VersionForm, form_of
from lateen.kube.errors import ApiError, Cause, bad_request, error, invalid
from lateen.kube.options import WriteOptions
from lateen.kube.records import JsonObject, is_custom, section
from lateen.kube.structural import check, fill, prune
from lateen.util.problem import Problem, Problems

__all__ = ["check_declared", "check_fields", "problems_of_form"]

_UNCHECKED = Cause(
    "FieldValueInvalid",
    "<nil>",
    "Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete"
    " validation",
)
_BLOCKING = tuple(f"FieldValue{why}" for why in ("NotSupported", "Required", "TooLong", "TooMany", "TypeInvalid"))
_STEP = re.compile(r'\.?([A-Za-z0-9_]+)|\[(\d+)\]|\["([^"]*)"\]')


def check_fields(info: KindInfo, version: str, obj: JsonObject, options: WriteOptions, old: JsonObject | None = None) -> tuple[str, ...]:
    """Warnings; unknown fields are taken out of `obj`. ApiError where they are not allowed, or a type is wrong."""
    if (form := form_of(info, version)) is not None:
        return _check_defined(info, version, form, obj, options, old)
    _, problems = decode_object({"apiVersion": info.api_version_of(version), "kind": info.kind} | _without_status(obj))
    unknown = [one for one in problems if one.code == "unknown-field"]
    wrong = [problem for problem in problems if problem.code != "unknown-field" and not problem.path.startswith("metadata")]
    found = [f'unknown field "{problem.path}"' for problem in unknown] + [f'duplicate field "{name}"' for name in options.duplicates]
    if options.validation == "Strict" and found:
        raise _unhandled(info, version, f"strict decoding error: {', '.join(found)}")
    if wrong:
        raise _wrong(info, version, obj, wrong)
    for one in unknown:
        _drop(obj, one.path)
    return tuple(found) if options.validation == "Warn" else ()


def _check_defined(
    info: KindInfo, version: str, form: VersionForm, obj: JsonObject, options: WriteOptions, old: JsonObject | None
) -> tuple[str, ...]:
    """The same by a user's schema, which fills in defaults as well; rules between fields are asked where the schema holds."""
    found = [f'unknown field "{path}"' for path in prune(form.schema, obj)]
    found += [f'duplicate field "{name}"' for name in options.duplicates]
    if options.validation == "Strict" and found:
        raise _unhandled(info, version, f"strict decoding error: {', '.join(found)}")
    fill(form.schema, obj)
    findings = _judge(form.schema, obj, old)
    if findings.causes:
        raise invalid(info, str(section(obj, "metadata").get("name", "")), findings.causes)
    return (*(found if options.validation == "Warn" else ()), *findings.warnings)


def _judge(schema: JsonObject, obj: JsonObject, old: JsonObject | None = None) -> Findings:
    """What breaks a schema or its rules; the rules are not asked where that may be in vain, which is said."""
    causes = tuple(check(schema, obj))
    if any(cause.reason in _BLOCKING for cause in causes):
        return Findings((*causes, _UNCHECKED), ())
    findings = check_rules(schema, obj, old)
    return Findings((*causes, *findings.causes), findings.warnings)


def problems_of_form(decoded: Decoded) -> Problems:
    """What the definition of its kind refuses in an object of a file that could be decoded, where the kind is judged by a definition."""
    raw = decoded.raw
    info = by_api(str(raw.get("apiVersion", "")), str(raw.get("kind", "")))
    form = form_of(info, str(raw["apiVersion"]).rpartition("/")[2]) if info is not None else None
    if form is None or decoded.obj is None:
        return ()
    filled = copy.deepcopy(dict(raw))
    fill(form.schema, filled)
    origin = Origin(decoded.source, decoded.lines)
    return tuple(
        problem(Finding("invalid", _steps(cause.field), cause.message), decoded.key, origin) for cause in _judge(form.schema, filled).causes
    )


def check_declared(info: KindInfo, version: str, configuration: JsonObject) -> None:
    """ApiError 500, as Kubernetes has it, where an applied configuration names a field that is none."""
    if (form := form_of(info, version)) is not None:
        unknown = next(iter(prune(form.schema, copy.deepcopy(configuration))), "")
    else:
        _, problems = decode_object({"apiVersion": info.api_version_of(version), "kind": info.kind} | _without_status(configuration))
        unknown = next((problem.path for problem in problems if problem.code == "unknown-field"), "")
    if unknown:
        name = section(configuration, "metadata").get("name", "")
        group = info.api_version_of(version) if info.group else f"/{version}"
        message = f"failed to create typed patch object (/{name}; {group}, Kind={info.kind}): .{unknown}: field not declared in schema"
        raise error(500, "", message)


def _without_status(obj: JsonObject) -> JsonObject:
    return {name: value for name, value in obj.items() if name != "status"}


def _wrong(info: KindInfo, version: str, obj: JsonObject, problems: list[Problem]) -> ApiError:
    told = [(problem.path or "<nil>", _tail(problem)) for problem in problems]
    if is_custom(info) or all(problem.code == "wrong-value" for problem in problems):
        name = str(section(obj, "metadata").get("name", ""))
        causes = [_cause(problem.code, *one) for problem, one in zip(problems, told, strict=True)]
        return invalid(info, name, [*causes, _UNCHECKED] if is_custom(info) else causes)
    return _unhandled(info, version, "; ".join(f"{path}: {text}" for path, text in told))


def _cause(code: str, path: str, text: str) -> Cause:
    match code:
        case "missing-field":
            return Cause("FieldValueRequired", path, "Required value")
        case "wrong-type":
            return Cause("FieldValueTypeInvalid", path, f"Invalid value: {text}")
        case "wrong-value" if "one of" in text:
            return Cause("FieldValueNotSupported", path, f"Unsupported value: {text}")
        case _:
            return Cause("FieldValueInvalid", path, f"Invalid value: {text}")


def _unhandled(info: KindInfo, version: str, why: str) -> ApiError:
    return bad_request(f'{info.kind} in version "{info.api_version_of(version)}" cannot be handled as a {info.kind}: {why}')


def _tail(problem: Problem) -> str:
    """The sentence without the object and path that stand before it."""
    marker = f"{problem.path}: "
    at = problem.message.find(marker) if problem.path else -1
    return problem.message[at + len(marker) :] if at >= 0 else problem.message


def _steps(path: str) -> tuple[str | int, ...]:
    return tuple(int(found[2]) if found[2] else found[1] or found[3] for found in _STEP.finditer(path))


def _drop(obj: JsonObject, path: str) -> None:
    steps = _steps(path)
    parent: object = obj
    for step in steps[:-1]:
        if isinstance(parent, dict) and isinstance(step, str):
            parent = parent.get(step)
        elif isinstance(parent, list) and isinstance(step, int) and step < len(parent):
            parent = parent[step]
    if steps and isinstance(parent, dict):
        parent.pop(str(steps[-1]), None)
