"""The one client of the Kubernetes API: control plane, node and command line use nothing else.

Why: embedded and real API differ only by the endpoint, so one code path is tested for both. Objects are plain JSON dicts that carry
their `kind` and `apiVersion`; refusals are `ApiError`, a dead server is `UnreachableError`. Must not interpret any kind.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Literal, TypeVar
from urllib.parse import urlencode

import msgspec

from lateen.api.kinds import KindInfo, info_of
from lateen.kube.errors import ApiError, refusal
from lateen.kube.paths import path_of
from lateen.kube.records import JsonObject, section
from lateen.runtime.clock import Clock, SystemClock
from lateen.sources.kubehttp import Endpoint, HttpPool, Reply, UnreachableError
from lateen.sources.kubereflect import Listing, OnEvent, WatchEvent, reflect

if TYPE_CHECKING:
    from lateen.sources.kubeexec import ExecStream

__all__ = ["ApiError", "Endpoint", "KubeClient", "Listing", "PatchType", "Token", "UnreachableError", "WatchEvent"]

PatchType = Literal["merge", "json", "strategic", "apply"]
_MEDIA: Mapping[PatchType, str] = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}
_WATCH_SECONDS = 540
_POD = info_of("Pod")
_T = TypeVar("_T")


class _ListBody(msgspec.Struct):
    items: list[JsonObject] | None = None
    metadata: dict[str, object] = {}


class _EventBody(msgspec.Struct):
    type: str
    object: JsonObject


# RFC 7234: code, agent, quoted text; several are joined with commas.
_WARNING = re.compile(r'299 \S+ "((?:[^"\\]|\\.)*)"')


def _nothing() -> None:
    """Nobody waits for the first list."""


def _no_headers() -> Mapping[str, str]:
    return {}


class KubeClient:
    """Calls one API server. `namespace` is ignored for kinds that have none; empty means all namespaces where that makes sense.

    `on_warning` is told each sentence that the server warns with.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        token: "Token | None" = None,
        timeout: float = 30.0,
        clock: Clock | None = None,
    ) -> None:
        self.on_warning: Callable[[str], None] | None = None
        self._pool = HttpPool(endpoint, token.headers if token else _no_headers)
        self._timeout = timeout
        self._clock = clock or SystemClock()

    @property
    def endpoint(self) -> Endpoint:
        """Where the server is."""
        return self._pool.endpoint

    def close(self) -> None:
        """Close the kept connections."""
        self._pool.close()

    # -- reading ---------------------------------------------------------------------------------------------------

    async def get(self, info: KindInfo, name: str, namespace: str = "", *, subresource: str = "") -> JsonObject:
        """One object; ApiError 404 when it is not there."""
        return await self._object("GET", path_of(info, namespace, name, subresource))

    async def list(
        self, info: KindInfo, namespace: str = "", *, label_selector: str = "", field_selector: str = "", limit: int = 0
    ) -> Listing:
        """All objects that the selectors match; `limit` is the size of the pages that they are fetched in."""
        items: list[JsonObject] = []
        query = {"labelSelector": label_selector, "fieldSelector": field_selector, "limit": str(limit or "")}
        while True:
            page = _decode(await self.request("GET", path_of(info, namespace), query=query), _ListBody)
            items.extend({"apiVersion": info.api_version, "kind": info.kind} | item for item in page.items or ())
            token = page.metadata.get("continue")
            if not token:
                return Listing(items, str(page.metadata.get("resourceVersion", "")))
            query["continue"] = str(token)

    async def watch(
        self,
        info: KindInfo,
        *,
        resource_version: str = "",
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        timeout_seconds: int = _WATCH_SECONDS,
    ) -> AsyncGenerator[WatchEvent, None]:
        """Events after `resource_version` until the server ends the stream; ApiError 410 when that is too long ago.

        Without `resource_version` the objects present come first, as ADDED. Close the iterator (`contextlib.aclosing`) to stop.
        """
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true" if resource_version else "",
            "resourceVersion": resource_version,
            "labelSelector": label_selector,
            "fieldSelector": field_selector,
            "timeoutSeconds": str(timeout_seconds),
        }
        reply = await self._send("GET", path_of(info, namespace), query=query)
        async with reply, aclosing(_lines(reply, timeout_seconds + 30)) as lines:
            async for line in lines:
                event = _decode(line, _EventBody)
                if event.type == "ERROR":
                    raise ApiError(event.object)
                yield WatchEvent(event.type, event.object)

    async def reflect(
        self,
        info: KindInfo,
        on_event: OnEvent,
        *,
        on_synced: Callable[[], None] = _nothing,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
    ) -> None:
        """Follow a kind until cancelled: `on_event(type, object)` in order, `on_synced()` once after the first list.

        Lists, watches, resumes after a broken stream, lists again when the history is gone (what vanished is told as DELETED,
        with its metadata only), and waits up to 5 s between attempts while the server is away.
        """
        await reflect(
            self,
            info,
            on_event,
            on_synced=on_synced,
            clock=self._clock,
            namespace=namespace,
            label_selector=label_selector,
            field_selector=field_selector,
        )

    # -- pods ------------------------------------------------------------------------------------------------------

    async def logs(
        self, namespace: str, pod: str, container: str = "", *, follow: bool = False, tail: int | None = None, previous: bool = False
    ) -> AsyncGenerator[bytes, None]:
        """A container's output in chunks; with `follow` until it ends; with `previous` that of the run before the present one."""
        query = {
            "container": container,
            "follow": "true" if follow else "",
            "previous": "true" if previous else "",
            "tailLines": "" if tail is None else str(tail),
        }
        reply = await self._send("GET", path_of(_POD, namespace, pod, "log"), query=query, accept="*/*")
        async with reply, aclosing(reply.chunks()) as chunks:
            async for chunk in chunks:
                yield chunk

    async def exec(
        self, namespace: str, pod: str, container: str, command: Sequence[str], *, stdin: bool = False, tty: bool = False
    ) -> "ExecStream":
        """Start a command in a container; use the result as an async context."""
        query = [("command", part) for part in command] + [("stdout", "true")]
        query += [(name, "true") for name, wanted in (("stdin", stdin), ("tty", tty), ("stderr", not tty)) if wanted]
        if container:
            query.append(("container", container))
        target, headers = self._pool.head_lines(f"{path_of(_POD, namespace, pod, 'exec')}?{urlencode(query)}")
        from lateen.sources.kubeexec import open_exec  # noqa: PLC0415 - WebSockets are for this alone

        return await open_exec(self.endpoint, target, headers)

    # -- writing ---------------------------------------------------------------------------------------------------

    async def create(self, info: KindInfo, obj: Mapping[str, object], namespace: str = "", *, dry_run: bool = False) -> JsonObject:
        """Store a new object; the namespace is the object's own unless one is given."""
        place = namespace or str(section(obj, "metadata").get("namespace", "default"))
        return await self._object("POST", path_of(info, place), query=_dry(dry_run), body=obj)

    async def replace(self, info: KindInfo, obj: Mapping[str, object], *, subresource: str = "", dry_run: bool = False) -> JsonObject:
        """Replace an object; its metadata names it and carries the resourceVersion that it was read at (else 409 or 422)."""
        meta = section(obj, "metadata")
        path = path_of(info, str(meta.get("namespace", "default")), str(meta.get("name", "")), subresource)
        return await self._object("PUT", path, query=_dry(dry_run), body=obj)

    async def patch(
        self,
        info: KindInfo,
        name: str,
        patch: Mapping[str, object] | Sequence[object],
        namespace: str = "",
        *,
        kind: PatchType = "merge",
        subresource: str = "",
        manager: str = "lateen",
        force: bool = False,
        dry_run: bool = False,
    ) -> JsonObject:
        """Patch an object. `kind` apply is server-side apply: it also creates; `force` takes fields from other managers."""
        query = {"fieldManager": manager, "force": "true" if force and kind == "apply" else ""} | _dry(dry_run)
        return await self._object("PATCH", path_of(info, namespace, name, subresource), query=query, body=patch, media=_MEDIA[kind])

    async def patch_status(self, info: KindInfo, name: str, status: Mapping[str, object], namespace: str = "") -> JsonObject:
        """Merge `status` into the object's status."""
        return await self.patch(info, name, {"status": status}, namespace, subresource="status")

    async def delete(
        self, info: KindInfo, name: str, namespace: str = "", *, grace: int | None = None, policy: str = "Background", uid: str = ""
    ) -> JsonObject:
        """Delete an object; returns its last state, or a Status. `uid` guards against deleting its namesake."""
        options: JsonObject = {"propagationPolicy": policy}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        if uid:
            options["preconditions"] = {"uid": uid}
        return await self._object("DELETE", path_of(info, namespace, name), body=options)

    # -- transport -------------------------------------------------------------------------------------------------

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        media: str = "application/json",
        accept: str = "application/json",
    ) -> bytes:
        """The body of any call; ApiError when the server refuses, UnreachableError when it does not answer in time."""
        try:
            async with asyncio.timeout(self._timeout):
                async with await self._send(method, path, query=query, body=body, media=media, accept=accept) as reply:
                    if self.on_warning is not None:
                        for quoted in _WARNING.findall(reply.headers.get("warning", "")):
                            self.on_warning(re.sub(r"\\(.)", r"\1", quoted))
                    return await reply.read()
        except TimeoutError as late:
            raise UnreachableError(f"the Kubernetes API at {self.endpoint} did not answer {method} {path} in {self._timeout:g} s") from late

    async def _object(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        media: str = "application/json",
    ) -> JsonObject:
        return _decode(await self.request(method, path, query=query, body=body, media=media), JsonObject)

    async def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        media: str = "application/json",
        accept: str = "application/json",
    ) -> Reply:
        given = {name: value for name, value in (query or {}).items() if value}
        target = f"{path}?{urlencode(given)}" if given else path
        headers = {"Accept": accept, "User-Agent": "lateen"}
        data = b""
        if body is not None:
            headers["Content-Type"] = media
            data = msgspec.json.encode(body)
        reply = await self._pool.send(method, target, headers=headers, body=data)
        if reply.status >= 400:
            raise refusal(reply.status, await reply.read(), f"HTTP {reply.status}")
        return reply


class Token:
    """A bearer token, given or read again from a file that someone renews."""

    def __init__(self, value: str = "", file: str = "") -> None:
        self._value = value
        self._file = file

    def headers(self) -> Mapping[str, str]:
        """The Authorization header."""
        value = self._value
        if self._file:
            with open(self._file, encoding="utf-8") as file:  # noqa: PTH123
                value = file.read().strip()
        return {"Authorization": f"Bearer {value}"}

    def __repr__(self) -> str:
        return "[redacted]"


def _dry(dry_run: bool) -> dict[str, str]:  # noqa: FBT001
    return {"dryRun": "All"} if dry_run else {}


def _decode(body: bytes, form: type[_T]) -> _T:
    try:
        return msgspec.json.decode(body, type=form)
    except msgspec.MsgspecError as problem:
        raise UnreachableError(f"the server's answer is not Kubernetes JSON ({problem}): {body[:200]!r}") from problem


async def _lines(reply: Reply, patience: float) -> AsyncGenerator[bytes, None]:
    rest = b""
    chunks = reply.chunks()
    async with aclosing(chunks):
        while True:
            try:
                async with asyncio.timeout(patience):
                    chunk = await anext(chunks)
            except StopAsyncIteration:
                return
            except TimeoutError as late:
                raise UnreachableError(f"a watch heard nothing for {patience:g} s") from late
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if line.strip():
                    yield line
