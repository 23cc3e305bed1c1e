"""JSON patch and JSON merge patch.

Must not know kinds (strategic merge does, in its own module) and must not change the patch it is given.
"""

import copy

import jsonpatch
import jsonpointer

from lateen.kube.errors import bad_request, error, unprocessable
from lateen.kube.records import JsonObject

__all__ = ["json_patch", "merge_patch"]

_MAX_OPERATIONS = 10_000
_MAX_COPIES = 100
_OPERATIONS = ("add", "remove", "replace", "move", "copy", "test")
_REFUSED = "the server rejected our request due to an error in our request"


def merge_patch(target: JsonObject, patch: object) -> JsonObject:
    """RFC 7386: null deletes, objects merge, everything else replaces."""
    if not isinstance(patch, dict):
        raise bad_request(f"error decoding patch: json: cannot unmarshal {_go_name(patch)} into Go value of type map[string]interface {{}}")
    merged = _merge(target, patch)
    return merged if isinstance(merged, dict) else {}


def _merge(target: object, patch: object) -> object:
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merge(result.get(key), value)
    return result


def json_patch(target: JsonObject, patch: object) -> JsonObject:
    """RFC 6902; ApiError 400 for what is no patch, 422 for a failing test or a path that is not there."""
    if not isinstance(patch, list) or not all(isinstance(step, dict) for step in patch):
        raise bad_request(f"error decoding patch: json: cannot unmarshal {_go_name(patch)} into Go value of type []handlers.jsonPatchOp")
    if len(patch) > _MAX_OPERATIONS:
        message = f"The allowed maximum operations in a JSON patch is {_MAX_OPERATIONS}, got {len(patch)}"
        raise error(413, "RequestEntityTooLarge", message)
    if sum(step.get("op") == "copy" for step in patch) > _MAX_COPIES:
        raise error(413, "RequestEntityTooLarge", f"the JSON patch copies more than {_MAX_COPIES} times")
    for step in patch:
        if step.get("op") not in _OPERATIONS or not isinstance(step.get("path"), str):
            raise bad_request(f"error decoding patch: unexpected operation {str(step.get('op'))[:40]!r}")
    try:
        result = jsonpatch.JsonPatch(patch).apply(target)
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException, KeyError, TypeError, ValueError, IndexError) as problem:
        raise unprocessable(_REFUSED) from problem
    if not isinstance(result, dict):
        raise unprocessable(_REFUSED)
    return result


def _go_name(value: object) -> str:
    match value:
        case dict():
            return "object"
        case list():
            return "array"
        case bool():
            return "bool"
        case str():
            return "string"
        case None:
            return "null"
        case _:
            return "number"
