"""The options of writes, from query parameters, checked.

Must not know HTTP: it takes a mapping.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec import Struct

from lateen.kube.errors import ApiError, bad_request, error, unprocessable

__all__ = [
    "DeleteOptions",
    "LogOptions",
    "WriteOptions",
    "check_delete",
    "delete_options",
    "dry_run",
    "flag",
    "log_options",
    "refused_option",
    "whole_number",
    "write_options",
]

_POD_LOG = 'PodLogOptions "" is invalid:'
_POLICIES = ("Foreground", "Background", "Orphan")
_VALIDATIONS = ("", "Ignore", "Strict", "Warn")


class DeleteOptions(Struct, frozen=True, rename="camel"):
    """The parts of Kubernetes' DeleteOptions that are read."""

    propagation_policy: str | None = None
    grace_period_seconds: int | None = None
    dry_run: tuple[str, ...] = ()
    preconditions: Mapping[str, str] = {}
    orphan_dependents: bool | None = None

    @property
    def policy(self) -> str:
        """Background unless said otherwise."""
        if self.propagation_policy is None and self.orphan_dependents:
            return "Orphan"
        return self.propagation_policy or "Background"


class WriteOptions(Struct, frozen=True):
    """What a create, replace or patch was asked for beside its body."""

    dry_run: bool = False
    manager: str = ""
    validation: str = "Warn"
    force: bool | None = None
    duplicates: tuple[str, ...] = ()  # fields that the body gives twice


class LogOptions(Struct, frozen=True, kw_only=True):
    """What of a container's log is asked for: the last `tail` lines (None: all), none older than `since` (seconds since the epoch),
    `limit` bytes at most; with `follow` what comes as well; with `previous` that of the run before the present one.
    """

    follow: bool = False
    previous: bool = False
    tail: int | None = None
    since: float | None = None
    timestamps: bool = False
    limit: int | None = None


def log_options(query: Mapping[str, str], now: float) -> LogOptions:
    """The options of a request for a log at a time; ApiError 422 for those that cannot be."""
    numbers = {name: whole_number(query[name], name) for name in ("tailLines", "sinceSeconds", "limitBytes") if query.get(name)}
    if numbers.get("tailLines", 0) < 0:
        raise unprocessable(f"{_POD_LOG} tailLines: Invalid value: {numbers['tailLines']}: must be greater than or equal to 0")
    for name in ("sinceSeconds", "limitBytes"):
        if numbers.get(name, 1) < 1:
            raise unprocessable(f"{_POD_LOG} {name}: Invalid value: {numbers[name]}: must be greater than 0")
    since = now - numbers["sinceSeconds"] if "sinceSeconds" in numbers else None
    if given := query.get("sinceTime"):
        if since is not None:
            raise unprocessable(f"{_POD_LOG} sinceSeconds: Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified")
        since = _instant(given)
    return LogOptions(
        follow=flag(query, "follow"),
        previous=flag(query, "previous"),
        tail=numbers.get("tailLines"),
        since=since,
        timestamps=flag(query, "timestamps"),
        limit=numbers.get("limitBytes"),
    )


def _instant(text: str) -> float:
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        when = None
    if when is None or when.tzinfo is None:
        raise bad_request(f'sinceTime: "{text[:40]}" is no time as RFC 3339 writes it, such as 2026-01-31T12:00:00Z')
    return when.timestamp()


def write_options(kind: str, query: Mapping[str, str]) -> WriteOptions:
    """The options of a request; `kind` is CreateOptions, UpdateOptions or PatchOptions."""
    validation = query.get("fieldValidation", "")
    if validation not in _VALIDATIONS:
        supported = ", ".join(f'"{value}"' for value in _VALIDATIONS)
        raise _unsupported(kind, "fieldValidation", f'"{validation}"', supported)
    force = flag(query, "force") if "force" in query else None
    return WriteOptions(dry_run(kind, query.get("dryRun")), query.get("fieldManager", ""), validation or "Warn", force)


def dry_run(kind: str, value: str | Sequence[str] | None) -> bool:
    """Whether nothing must be stored; the only value is All."""
    if not value:
        return False
    values = [value] if isinstance(value, str) else list(value)
    if values != ["All"]:
        shown = ", ".join(f'"{v}"' for v in values)
        raise _unsupported(kind, "dryRun", f"[{shown}]", '"All"')
    return True


def delete_options(query: Mapping[str, str]) -> DeleteOptions:
    """The options of a delete that stand in the query."""
    grace = query.get("gracePeriodSeconds")
    return DeleteOptions(
        query.get("propagationPolicy") or None,
        whole_number(grace, "gracePeriodSeconds") if grace else None,
        (query["dryRun"],) if query.get("dryRun") else (),
    )


def check_delete(options: DeleteOptions) -> DeleteOptions:
    """The same options, or ApiError 422."""
    dry_run("DeleteOptions", options.dry_run)
    if options.propagation_policy not in (None, *_POLICIES):
        supported = ", ".join(f'"{policy}"' for policy in (*_POLICIES, "nil"))
        raise _unsupported("DeleteOptions", "propagationPolicy", f'"{options.propagation_policy}"', supported)
    return options


def _unsupported(kind: str, field: str, shown: str, supported: str) -> ApiError:
    return refused_option(kind, field, "FieldValueNotSupported", f"Unsupported value: {shown}: supported values: {supported}")


def refused_option(kind: str, field: str, reason: str, text: str) -> ApiError:
    """422 for an option of a request."""
    causes = [{"reason": reason, "message": text, "field": field}]
    details = {"group": "meta.k8s.io", "kind": kind, "causes": causes}
    return error(422, "Invalid", f'{kind}.meta.k8s.io "" is invalid: {field}: {text}', details)


def whole_number(text: str, name: str) -> int:
    """A number of a query; ApiError 400 when it is none."""
    try:
        if len(text) > 18:
            raise ValueError(name)
        return int(text)
    except ValueError as problem:
        raise bad_request(f'strconv.ParseInt: parsing "{text[:40]}": invalid syntax') from problem


def flag(query: Mapping[str, str], name: str) -> bool:
    """A boolean of a query, in any of Go's spellings."""
    return query.get(name, "").lower() in ("1", "t", "true")
