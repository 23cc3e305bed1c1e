"""Events: what the node did and what went wrong, as `kubectl describe` and `kubectl get events` show it.

Why one object per sentence: what happens again raises a count. Events are written behind the work, in order, and losing one is
not an error; those older than an hour are deleted. Must not be read to decide anything.
"""

import asyncio
import secrets
from typing import NamedTuple

from lateen.api.kinds import info_of
from lateen.kube.errors import ApiError
from lateen.kube.records import JsonObject, section
from lateen.runtime import tasks
from lateen.runtime.clock import Clock
from lateen.sources.kubeclient import KubeClient, UnreachableError
from lateen.util.times import rfc3339

__all__ = ["Events"]

_EVENT = info_of("Event")
_KEPT_SECONDS = 3600
_SWEEP_SECONDS = 600
_MOST_WAITING = 500


class _Told(NamedTuple):
    pod: JsonObject
    kind: str
    reason: str
    message: str


class Events:
    """The node's events; `start` before anything is recorded."""

    def __init__(self, client: KubeClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._queue: asyncio.Queue[_Told] = asyncio.Queue(_MOST_WAITING)
        self._known: dict[tuple[str, str, str], tuple[str, int]] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to write, and to forget."""
        self._tasks = [tasks.spawn(self._write(), name="events"), tasks.spawn(self._sweep(), name="old events")]

    async def stop(self) -> None:
        """Write no more."""
        await tasks.cancel_all(*self._tasks)

    def record(self, pod: JsonObject, kind: str, reason: str, message: str) -> None:
        """Tell of something about a pod; `kind` is Normal or Warning."""
        if not self._queue.full():
            self._queue.put_nowait(_Told(pod, kind, reason, message))

    async def _write(self) -> None:
        while True:
            told = await self._queue.get()
            try:
                await self._store(told)
            except (ApiError, UnreachableError):
                continue

    async def _store(self, told: _Told) -> None:
        meta = section(told.pod, "metadata")
        namespace, now = str(meta.get("namespace")), rfc3339(self._clock.now())
        key = (str(meta.get("uid")), told.reason, told.message)
        name, count = self._known.get(key, ("", 0))
        if name:
            self._known[key] = (name, count + 1)
            try:
                await self._client.patch(_EVENT, name, {"count": count + 1, "lastTimestamp": now}, namespace)
                return
            except ApiError as error:
                if error.code != 404:
                    raise
        name = f"{meta.get('name')}.{secrets.token_hex(8)}"
        await self._client.create(
            _EVENT,
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"name": name, "namespace": namespace},
                "involvedObject": {
                    "kind": "Pod",
                    "apiVersion": "v1",
                    "namespace": namespace,
                    "name": meta.get("name"),
                    "uid": meta.get("uid"),
                    "resourceVersion": meta.get("resourceVersion"),
                },
                "type": told.kind,
                "reason": told.reason,
                "message": told.message,
                "firstTimestamp": now,
                "lastTimestamp": now,
                "count": 1,
                "source": {"component": "lateen", "host": "local"},
                "reportingComponent": "lateen",
                "reportingInstance": "local",
            },
        )
        self._known[key] = (name, 1)

    async def _sweep(self) -> None:
        while True:
            oldest = rfc3339(self._clock.now() - _KEPT_SECONDS)
            try:
                for event in (await self._client.list(_EVENT)).items:
                    meta = section(event, "metadata")
                    if str(event.get("lastTimestamp") or meta.get("creationTimestamp")) < oldest:
                        await self._client.delete(_EVENT, str(meta["name"]), str(meta["namespace"]))
            except (ApiError, UnreachableError):
                pass
            self._known = dict(list(self._known.items())[-_MOST_WAITING:])
            await self._clock.sleep(_SWEEP_SECONDS)
