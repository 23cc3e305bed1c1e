"""Lists: selectors, pages, and snapshots of the past.

Why: a list that is read in pages must be of one revision, so a page's token names the revision of the first, and older states are
made by undoing what the history has since. Must not render.
"""

import base64
from collections.abc import Sequence

import msgspec

from lateen.kube import errors
from lateen.kube.options import refused_option
from lateen.kube.records import Ref, Stored
from lateen.kube.selectors import EVERYTHING, Selection
from lateen.kube.store import Store

__all__ = ["ListOptions", "Page", "check_revision", "list_page"]


class ListOptions(msgspec.Struct, frozen=True):
    """A list's parameters, as they came."""

    namespace: str = ""
    selection: Selection = EVERYTHING
    limit: int = 0
    token: str = ""
    revision: str = ""
    match: str = ""


class Page(msgspec.Struct, frozen=True):
    """Some of the objects; `token` asks for the next ones."""

    items: Sequence[Stored]
    revision: int
    token: str = ""
    remaining: int | None = None


class _Token(msgspec.Struct):
    v: str
    rv: int
    start: str


def list_page(store: Store, resource: str, options: ListOptions) -> Page:
    """One page, or all where no limit is given."""
    revision, after = store.revision, ""
    if options.token:
        token = _decode(options.token)
        revision, after = token.rv, token.start
    elif options.revision or options.match:
        revision = _wanted_revision(store, options)
    items = _present(store, resource, options.namespace, revision, after)
    if options.selection:
        items = [stored for stored in items if options.selection.matches(stored)]
    limit = 0 if options.revision == "0" else options.limit
    if not limit or len(items) <= limit:
        return Page(items, revision)
    last = items[limit - 1]
    remaining = None if options.selection else len(items) - limit
    return Page(items[:limit], revision, _encode(revision, last.ref), remaining)


def _wanted_revision(store: Store, options: ListOptions) -> int:
    if options.match and not options.revision:
        raise _invalid_match("resourceVersionMatch is forbidden unless resourceVersion is provided")
    if options.match not in ("", "Exact", "NotOlderThan"):
        raise _invalid_match(f'Unsupported value: "{options.match}": supported values: "Exact", "NotOlderThan", ""')
    if options.match == "Exact" and options.revision == "0":
        raise _invalid_match('resourceVersionMatch "exact" is forbidden for resourceVersion "0"')
    revision = check_revision(store, options.revision)
    return revision if options.match == "Exact" else store.revision


def _invalid_match(message: str) -> errors.ApiError:
    return refused_option("ListOptions", "resourceVersionMatch", "FieldValueForbidden", f"Forbidden: {message}")


def check_revision(store: Store, text: str) -> int:
    """The revision a reader wants; ApiError 400 when it is none, 504 when it lies in the future."""
    if not text.isdecimal() or len(text) > 20:
        raise errors.bad_request(
            f'invalid resource version: resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'
        )
    if (revision := int(text)) > store.revision:
        details = {
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        }
        message = f"Timeout: Too large resource version: {revision}, current: {store.revision}"
        raise errors.error(504, "Timeout", message, details)
    return revision


def _present(store: Store, resource: str, namespace: str, revision: int, after: str) -> Sequence[Stored]:
    items = store.list(resource, namespace)
    if revision != store.revision:
        items = _undone(store, resource, namespace, items, revision, after)
    return [stored for stored in items if _position(stored.ref) > after] if after else items


def _undone(store: Store, resource: str, namespace: str, items: Sequence[Stored], revision: int, after: str) -> Sequence[Stored]:
    try:
        changes = store.since(resource, revision)
    except errors.ApiError as gone:
        if not after:
            raise errors.error(410, "Expired", "The resourceVersion for the provided list is too old.") from gone
        raise _expired_token(store.revision, after) from gone
    present: dict[Ref, Stored | None] = {stored.ref: stored for stored in items}
    for change in reversed(changes):
        if not namespace or change.stored.ref.namespace == namespace:
            present[change.stored.ref] = change.previous
    return [stored for _, stored in sorted(present.items()) if stored is not None]


def _expired_token(revision: int, after: str) -> errors.ApiError:
    message = (
        "The provided continue parameter is too old to display a consistent list result. You can start a new list without the"
        " continue parameter, or use the continue token in this response to retrieve the remainder of the results."
    )
    gone = errors.error(410, "Expired", message)
    gone.status["metadata"] = {"continue": _encode_start(revision, after)}
    return gone


def _position(ref: Ref) -> str:
    return f"{ref.namespace}/{ref.name}\0"


def _encode(revision: int, last: Ref) -> str:
    return _encode_start(revision, _position(last))


def _encode_start(revision: int, start: str) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(_Token("meta.k8s.io/v1", revision, start))).decode().rstrip("=")


def _decode(text: str) -> _Token:
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=_Token)
    except (ValueError, msgspec.MsgspecError) as problem:
        raise errors.bad_request(f"invalid continue token: continue key is not valid: {problem}") from problem
