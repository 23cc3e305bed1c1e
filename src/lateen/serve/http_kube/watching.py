"""Watches over HTTP: one JSON object per line for as long as the client stays.

Why: a watch sleeps until the store says that its resource changed, then pulls what is new. Must not translate events itself.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from lateen.kube.defined import Kinds
from lateen.kube.errors import ApiError, error
from lateen.kube.listing import Page, check_revision
from lateen.kube.options import flag, refused_option, whole_number
from lateen.kube.paths import Target, parse_path
from lateen.kube.records import JsonObject, resource_id
from lateen.kube.selectors import select
from lateen.kube.table import column_definitions, metadata_only
from lateen.kube.watch import Watch, WatchEvent
from lateen.serve.http_kube.forms import Form, Shape, render_object, table_of
from lateen.serve.http_kube.live import LiveStore

__all__ = ["is_watch", "legacy_watch", "serve_watch"]

_BOOKMARK_SECONDS = 60.0
_LEGACY = re.compile(r"(/api/[^/]+|/apis/[^/]+/[^/]+)/watch/(.+)")
_encoder = msgspec.json.Encoder()


class _Options(msgspec.Struct, frozen=True):
    form: Form
    revision: str
    bookmarks: bool
    initial_events: bool
    timeout: float | None


def is_watch(request: Request, target: Target) -> bool:
    """Whether this is a watch and not a list; on a single object the parameter means nothing."""
    return request.method == "GET" and not target.name and flag(request.query_params, "watch")


def legacy_watch(path: str, kinds: Kinds) -> Target | None:
    """What an old-fashioned path watches: `/api/v1/watch/namespaces/N/pods`."""
    found = _LEGACY.fullmatch(path)
    return parse_path(f"{found[1]}/{found[2]}", kinds) if found else None


def serve_watch(live: LiveStore, request: Request, target: Target) -> Response:
    """Start a watch."""
    query = request.query_params
    resource = resource_id(target.info)
    named = f"metadata.name={target.name}" if target.name else ""
    fields = ",".join(part for part in (query.get("fieldSelector", ""), named) if part)
    selection = select(resource, query.get("labelSelector", ""), fields, target.selectable)
    options = _options(query, Form.of(request))
    watch = Watch(live.store, resource, target.namespace, selection)
    return StreamingResponse(_stream(live, watch, _Lines(live, target, options.form), options), media_type="application/json")


def _options(query: Mapping[str, str], form: Form) -> _Options:
    revision = query.get("resourceVersion", "")
    if revision and (not revision.isdecimal() or len(revision) > 20):
        text = f'resourceVersion: Invalid value: "{revision}": strconv.ParseUint: parsing "{revision}": invalid syntax'
        raise error(500, "", text)
    initial, match = flag(query, "sendInitialEvents"), query.get("resourceVersionMatch", "")
    if initial != (match == "NotOlderThan") or ("sendInitialEvents" in query) != bool(match):
        if initial or "sendInitialEvents" in query:
            text = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        else:
            text = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        raise refused_option("ListOptions", "resourceVersionMatch", "FieldValueForbidden", f"Forbidden: {text}")
    timeout = whole_number(query["timeoutSeconds"], "timeoutSeconds") if query.get("timeoutSeconds") else 0
    bookmarks = flag(query, "allowWatchBookmarks")
    return _Options(form, revision, bookmarks, initial or (bookmarks and revision in ("", "0")), float(timeout) if timeout > 0 else None)


class _Lines:
    """Prints events in the client's form; only a table's first event has its head."""

    def __init__(self, live: LiveStore, target: Target, form: Form) -> None:
        self._live = live
        self._target = target
        self._form = form
        self._head = True
        self.resource = resource_id(target.info)

    def event(self, event: WatchEvent) -> bytes:
        """One event."""
        if self._form.shape is Shape.TABLE:
            body = _encoder.encode(self._table(Page([event.stored], event.stored.rv)))
        else:
            body = render_object(self._form, self._target, event.stored, self._live)
        return b'{"type":"%s","object":%s}\n' % (event.type.encode(), body)

    def bookmark(self, revision: int, *, initial_end: bool = False) -> bytes:
        """How far the client has come, and whether all that was there has been told."""
        metadata: dict[str, object] = {"resourceVersion": str(revision)}
        if initial_end:
            metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
        body: JsonObject = {"kind": self._target.info.kind, "apiVersion": self._target.info.api_version_of(self._target.version)}
        if self._form.shape is Shape.METADATA:
            body = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
        body["metadata"] = metadata
        if self._form.shape is Shape.TABLE:
            table = self._table(Page((), revision))
            cells = [None] * len(column_definitions(self._target.info, self._target.version))
            body = table | {"rows": [{"cells": cells, "object": metadata_only(body)}]}
        return b'{"type":"BOOKMARK","object":%s}\n' % _encoder.encode(body)

    def _table(self, page: Page) -> JsonObject:
        head, self._head = self._head, False
        return table_of(self._form, self._target, page, self._live, head=head)


async def _stream(live: LiveStore, watch: Watch, lines: _Lines, options: _Options) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    end = loop.time() + options.timeout if options.timeout else None
    with live.watching(lines.resource) as changed:
        try:
            yield b"".join(_first(watch, lines, options))
            bookmark_at = loop.time() + _BOOKMARK_SECONDS
            while not live.closed:
                if events := watch.pull():
                    yield b"".join([lines.event(event) for event in events])
                until = min(bookmark_at, end) if end else bookmark_at
                if await _wait(changed, until):
                    continue
                if options.bookmarks:
                    yield lines.bookmark(watch.revision)
                if until == end:
                    return
                bookmark_at = loop.time() + _BOOKMARK_SECONDS
        except ApiError as problem:
            yield b'{"type":"ERROR","object":%s}\n' % _encoder.encode(problem.status)


async def _wait(changed: asyncio.Event, until: float) -> bool:
    try:
        async with asyncio.timeout_at(until):
            await changed.wait()
    except TimeoutError:
        return False
    changed.clear()
    return True


def _first(watch: Watch, lines: _Lines, options: _Options) -> Sequence[bytes]:
    if options.revision not in ("", "0") and not options.initial_events:
        watch.start_at(int(options.revision))
        return []
    if options.revision:
        check_revision(watch.store, options.revision)
    first = [lines.event(event) for event in watch.start_now()]
    if options.initial_events and options.bookmarks:
        first.append(lines.bookmark(watch.revision, initial_end=True))
    return first
