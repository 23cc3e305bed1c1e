"""A local view of one kind that is kept up to date: list, watch, resume, list again when the history is gone.

Why: whoever follows objects must never miss a deletion. What vanished between two lists is told as DELETED; callbacks come in order,
one at a time. Must not keep the objects themselves, only who they are.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import NamedTuple, Protocol

from lateen.api.kinds import KindInfo
from lateen.kube.errors import ApiError
from lateen.kube.records import JsonObject, section
from lateen.runtime import log
from lateen.runtime.clock import Clock

__all__ = ["Listing", "OnEvent", "WatchEvent", "reflect"]

_FIRST_DELAY, _LONGEST_DELAY = 0.05, 5.0


class WatchEvent(NamedTuple):
    """ADDED, MODIFIED, DELETED or BOOKMARK, and the object."""

    type: str
    object: JsonObject


class Listing(NamedTuple):
    """Objects and the revision they were read at."""

    items: list[JsonObject]
    resource_version: str


OnEvent = Callable[[str, JsonObject], None]


class Source(Protocol):
    """The two calls of the client that a reflection needs."""

    async def list(self, info: KindInfo, namespace: str, *, label_selector: str, field_selector: str) -> Listing: ...
    def watch(
        self, info: KindInfo, *, resource_version: str, namespace: str, label_selector: str, field_selector: str
    ) -> AsyncGenerator[WatchEvent, None]: ...


class _Seen(NamedTuple):
    uid: str
    revision: str


class Reflection:
    """What was told so far, and how to go on."""

    def __init__(self, info: KindInfo, on_event: OnEvent) -> None:
        self._info = info
        self._on_event = on_event
        self._seen: dict[tuple[str, str], _Seen] = {}
        self.revision = ""

    def on_list(self, listing: Listing) -> None:
        """The complete state: tell the differences to what was told before."""
        present: set[tuple[str, str]] = set()
        for obj in listing.items:
            key, now = _identify(obj)
            present.add(key)
            before = self._seen.get(key)
            if before is not None and before.uid != now.uid:
                self._tell_gone(key)
                before = None
            if before != now:
                self._seen[key] = now
                self._on_event("MODIFIED" if before else "ADDED", obj)
        for key in [key for key in self._seen if key not in present]:
            self._tell_gone(key)
        self.revision = listing.resource_version

    def on_watch(self, event: WatchEvent) -> None:
        """One event of the stream."""
        key, now = _identify(event.object)
        if event.type == "DELETED":
            self._seen.pop(key, None)
        elif event.type != "BOOKMARK":
            self._seen[key] = now
        if event.type != "BOOKMARK":
            self._on_event(event.type, event.object)
        self.revision = now.revision or self.revision

    def _tell_gone(self, key: tuple[str, str]) -> None:
        seen = self._seen.pop(key)
        metadata: JsonObject = {"name": key[1], "uid": seen.uid}
        if key[0]:
            metadata["namespace"] = key[0]
        self._on_event("DELETED", {"apiVersion": self._info.api_version, "kind": self._info.kind, "metadata": metadata})


def _identify(obj: JsonObject) -> tuple[tuple[str, str], _Seen]:
    meta = section(obj, "metadata")
    key = (str(meta.get("namespace", "")), str(meta.get("name", "")))
    return key, _Seen(str(meta.get("uid", "")), str(meta.get("resourceVersion", "")))


async def reflect(
    source: Source,
    info: KindInfo,
    on_event: OnEvent,
    *,
    on_synced: Callable[[], None],
    clock: Clock,
    namespace: str = "",
    label_selector: str = "",
    field_selector: str = "",
) -> None:
    """Follow a kind until cancelled. `on_synced` is called once, after the objects of the first list were told."""
    reflection = Reflection(info, on_event)
    delay = _FIRST_DELAY
    synced = False
    while True:
        started = clock.monotonic()
        try:
            if not reflection.revision:
                listing = await source.list(info, namespace, label_selector=label_selector, field_selector=field_selector)
                reflection.on_list(listing)
                if not synced:
                    synced = True
                    on_synced()
            stream = source.watch(
                info,
                resource_version=reflection.revision,
                namespace=namespace,
                label_selector=label_selector,
                field_selector=field_selector,
            )
            async with aclosing(stream) as events:
                async for event in events:
                    reflection.on_watch(event)
        except ApiError as refused:
            if refused.code == 410:
                reflection.revision = ""
            elif refused.code == 404:
                reflection.on_list(Listing([], ""))  # the cluster does not define this kind, or no longer
                if not synced:
                    synced = True
                    on_synced()
            else:
                _complain(info, refused)
        except (OSError, asyncio.IncompleteReadError) as broken:
            _complain(info, broken)
        delay = _FIRST_DELAY if clock.monotonic() - started > _LONGEST_DELAY else min(delay * 2, _LONGEST_DELAY)
        await clock.sleep(delay)


def _complain(info: KindInfo, failure: Exception) -> None:
    log.get("kube-client").warning("watch interrupted, trying again", kind=info.kind, error=str(failure))
