"""Kubernetes' error answers as values: a `Status` object with the exact reason, code and message.

Why: clients (kubectl, client-go, ours) decide by `reason` and `code`, and print `message`. The same exception is raised by the
store, answered by the HTTP door and raised again by the client. Must not know HTTP.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple, NoReturn

import msgspec

from lateen.api.kinds import KindInfo
from lateen.kube.records import JsonObject, resource_id

__all__ = [
    "ApiError",
    "Cause",
    "already_exists",
    "bad_request",
    "conflict",
    "error",
    "expired",
    "forbidden",
    "invalid",
    "method_not_allowed",
    "missing_kind",
    "not_found",
    "precondition_failed",
    "refusal",
    "reject",
    "unavailable",
    "unprocessable",
    "unsupported_media",
]

STALE = "the object has been modified; please apply your changes to the latest version and try again"


class Cause(NamedTuple):
    """One field at fault: `reason` is FieldValueInvalid, FieldValueRequired, FieldValueForbidden, ..."""

    reason: str
    field: str
    message: str


class ApiError(Exception):
    """A request was refused; `status` is Kubernetes' Status object."""

    def __init__(self, status: Mapping[str, object]) -> None:
        super().__init__(str(status.get("message", "")))
        self.status = dict(status)

    @property
    def code(self) -> int:
        """The HTTP code."""
        code = self.status.get("code")
        return code if isinstance(code, int) else 500

    @property
    def reason(self) -> str:
        """Kubernetes' reason, such as NotFound; empty where the server gave none."""
        return str(self.status.get("reason", ""))

    @property
    def message(self) -> str:
        """The sentence for people."""
        return str(self.status.get("message", ""))


def refusal(code: int, body: bytes, otherwise: str) -> ApiError:
    """What a server's answer of that HTTP code says: its Status, or else its text, or `otherwise` where it is empty."""
    with suppress(msgspec.MsgspecError):
        status = msgspec.json.decode(body, type=JsonObject)
        if status.get("kind") == "Status":
            return ApiError(status)
    return error(code, "", body[:500].decode("utf-8", "replace").strip() or otherwise)


def error(code: int, reason: str, message: str, details: Mapping[str, object] | None = None) -> ApiError:
    """Any Status failure."""
    status: dict[str, object] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message}
    if reason:
        status["reason"] = reason
    if details is not None:
        status["details"] = dict(details)
    status["code"] = code
    return ApiError(status)


def _details(info: KindInfo, name: str) -> dict[str, object]:
    details: dict[str, object] = {"name": name} if name else {}
    if info.group:
        details["group"] = info.group
    details["kind"] = info.plural
    return details


def not_found(info: KindInfo, name: str) -> ApiError:
    """404: no such object."""
    return error(404, "NotFound", f'{resource_id(info)} "{name}" not found', _details(info, name))


def missing_kind() -> ApiError:
    """404: no such resource in a group that is served."""
    return error(404, "NotFound", "the server could not find the requested resource", {})


def already_exists(info: KindInfo, name: str, *, deleting: bool = False) -> ApiError:
    """409: create met an object of that name."""
    message = f'{resource_id(info)} "{name}" already exists'
    return error(409, "AlreadyExists", f"object is being deleted: {message}" if deleting else message, _details(info, name))


def conflict(info: KindInfo, name: str, why: str = STALE) -> ApiError:
    """409: the writer's resourceVersion or uid is not the present one."""
    return error(409, "Conflict", f'Operation cannot be fulfilled on {resource_id(info)} "{name}": {why}', _details(info, name))


def precondition_failed(info: KindInfo, name: str, why: str) -> ApiError:
    """409: a deletion's precondition does not hold; unlike other conflicts it names the kind."""
    details = {"name": name} | ({"group": info.group} if info.group else {}) | {"kind": info.kind}
    return error(409, "Conflict", f'Operation cannot be fulfilled on {info.kind} "{name}": {why}', details)


def forbidden(info: KindInfo, name: str, why: str, causes: Sequence[Cause] = ()) -> ApiError:
    """403: never allowed on this object."""
    details = _details(info, name)
    if causes:
        details["causes"] = [_cause(cause) for cause in causes]
    return error(403, "Forbidden", f'{resource_id(info)} "{name}" is forbidden: {why}', details)


def bad_request(message: str) -> ApiError:
    """400: the request itself makes no sense."""
    return error(400, "BadRequest", message)


def method_not_allowed() -> ApiError:
    """405."""
    return error(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {})


def unsupported_media(message: str) -> ApiError:
    """415: a body in a form that this server does not read."""
    return error(415, "UnsupportedMediaType", message)


def unprocessable(message: str) -> ApiError:
    """422 without a field."""
    return error(422, "Invalid", message, {})


def unavailable(message: str) -> ApiError:
    """500: the store could not be written."""
    return error(500, "InternalError", message)


def expired(wanted: int, oldest: int) -> ApiError:
    """410: the history no longer reaches back so far."""
    return error(410, "Expired", f"too old resource version: {wanted} ({oldest})")


def _cause(cause: Cause) -> dict[str, object]:
    return {"reason": cause.reason, "message": cause.message, "field": cause.field}


def invalid(info: KindInfo, name: str, causes: Sequence[Cause]) -> ApiError:
    """422: fields at fault, each with its path."""
    kind = f"{info.kind}.{info.group}" if info.group else info.kind
    lines = [f"{cause.field}: {cause.message}" for cause in causes]
    text = lines[0] if len(lines) == 1 else "[" + ", ".join(lines) + "]"
    details: dict[str, object] = {"name": name} if name else {}
    if info.group:
        details["group"] = info.group
    details["kind"] = info.kind
    details["causes"] = [_cause(cause) for cause in causes]
    return error(422, "Invalid", f'{kind} "{name}" is invalid: {text}', details)


def reject(info: KindInfo, name: str, field: str, message: str, reason: str = "FieldValueInvalid") -> NoReturn:
    """Raise 422 for one field."""
    raise invalid(info, name, (Cause(reason, field, message),))
