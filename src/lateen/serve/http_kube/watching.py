"""Watches over HTTP: one JSON object per line for as long as the client stays.

Why: a watch sleeps until the store says that its resource changed, then pulls what is new. Must not translate events itself.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from lateen.kube.errors import ApiError, error
from lateen.kube.parameters import flag, whole_number
from lateen.kube.paths import Target
from lateen.kube.records import resource_id
from lateen.kube.selectors import select
from lateen.kube.watch import Watch, WatchEvent
from lateen.serve.http_kube.answers import object_body
from lateen.serve.http_kube.live import LiveStore

__all__ = ["is_watch", "serve_watch"]

_BOOKMARK_SECONDS = 60.0
_encoder = msgspec.json.Encoder()


class _Options(msgspec.Struct, frozen=True):
    revision: str
    bookmarks: bool
    initial_events: bool
    timeout: float | None


def is_watch(request: Request, target: Target) -> bool:
    """Whether this is a watch and not a list; on a single object the parameter means nothing."""
    return request.method == "GET" and not target.name and flag(request.query_params, "watch")


def serve_watch(live: LiveStore, request: Request, target: Target) -> Response:
    """Start a watch."""
    query = request.query_params
    resource = resource_id(target.info)
    selection = select(resource, query.get("labelSelector", ""), query.get("fieldSelector", ""))
    options = _options(query)
    watch = Watch(live.store, resource, target.namespace, selection)
    return StreamingResponse(_stream(live, resource, watch, target, options), media_type="application/json")


def _options(query: Mapping[str, str]) -> _Options:
    revision = query.get("resourceVersion", "")
    if revision and (not revision.isdecimal() or len(revision) > 20):
        text = f'resourceVersion: Invalid value: "{revision}": strconv.ParseUint: parsing "{revision}": invalid syntax'
        raise error(500, "", text)
    initial, match = flag(query, "sendInitialEvents"), query.get("resourceVersionMatch", "")
    if initial != (match == "NotOlderThan") or ("sendInitialEvents" in query) != bool(match):
        text = "sendInitialEvents and resourceVersionMatch=NotOlderThan must be given together"
        raise error(422, "Invalid", f'ListOptions.meta.k8s.io "" is invalid: sendInitialEvents: Forbidden: {text}')
    timeout = whole_number(query["timeoutSeconds"], "timeoutSeconds") if query.get("timeoutSeconds") else 0
    bookmarks = flag(query, "allowWatchBookmarks")
    return _Options(revision, bookmarks, initial or (bookmarks and revision in ("", "0")), float(timeout) if timeout > 0 else None)


async def _stream(live: LiveStore, resource: str, watch: Watch, target: Target, options: _Options) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    end = loop.time() + options.timeout if options.timeout else None
    with live.watching(resource) as changed:
        try:
            yield b"".join(_first(watch, target, options))
            bookmark_at = loop.time() + _BOOKMARK_SECONDS
            while not live.closed:
                if lines := [_line(event, target) for event in watch.pull()]:
                    yield b"".join(lines)
                until = min(bookmark_at, end) if end else bookmark_at
                if await _wait(changed, until):
                    continue
                if options.bookmarks:
                    yield _bookmark(watch, target)
                if end and until == end:
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


def _first(watch: Watch, target: Target, options: _Options) -> Sequence[bytes]:
    if options.revision in ("", "0") or options.initial_events:
        lines = [_line(event, target) for event in watch.start_now()]
        if options.initial_events and options.bookmarks:
            lines.append(_bookmark(watch, target, initial_end=True))
        return lines
    watch.start_at(int(options.revision))
    return []


def _line(event: WatchEvent, target: Target) -> bytes:
    return b'{"type":"%s","object":%s}\n' % (event.type.encode(), object_body(target, event.stored))


def _bookmark(watch: Watch, target: Target, *, initial_end: bool = False) -> bytes:
    metadata: dict[str, object] = {"resourceVersion": str(watch.revision)}
    if initial_end:
        metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
    body = {"kind": target.info.kind, "apiVersion": target.info.api_version_of(target.version), "metadata": metadata}
    return b'{"type":"BOOKMARK","object":%s}\n' % _encoder.encode(body)
