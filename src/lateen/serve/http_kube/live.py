"""The running store: writes made durable in order, by a thread, and watchers woken.

Why: the event loop must not wait for the disk. Requests stage their changes at once; while one batch is being written the next one
gathers, so concurrent writes share a disk sync. A request is answered only after its batch is durable. When a write fails, everything
staged is forgotten and told as an error; reads go on. Must not know HTTP.
"""

import asyncio
import secrets
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from ipaddress import IPv4Network
from typing import NamedTuple

from lateen.api.kinds import info_of
from lateen.kube.admission import Admission, admit_all
from lateen.kube.crds import CUSTOM
from lateen.kube.defined import DEFINITIONS, kinds_with
from lateen.kube.definitions import served
from lateen.kube.errors import ApiError, unavailable
from lateen.kube.paths import Target
from lateen.kube.records import Change, JsonObject, Persistence, Ref, load, resource_id, section
from lateen.kube.registry import PROTECTED_NAMESPACES, Registry, Surroundings, Written
from lateen.kube.store import Store
from lateen.runtime import log, tasks
from lateen.runtime.clock import Clock, SystemClock
from lateen.serve.http_kube.establishing import establish
from lateen.util.times import rfc3339

__all__ = ["SERVICE_NETWORK", "LiveStore"]

SERVICE_NETWORK = IPv4Network("10.96.0.0/16")
_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"


class _Pending(NamedTuple):
    changes: Sequence[Change]
    done: asyncio.Future[None]


class LiveStore:
    """A store with its persistence. Loads at construction; `start` before use, `close` at the end."""

    def __init__(
        self,
        persistence: Persistence,
        *,
        admission: Admission = admit_all,
        clock: Clock | None = None,
        services: IPv4Network = SERVICE_NETWORK,
    ) -> None:
        self._persistence = persistence
        self._clock = clock or SystemClock()
        self.store = Store(persistence.load())
        self.registry = Registry(self.store, Surroundings(self.now, _new_uid, _new_suffix, admission, services))
        self.kinds = kinds_with(load(one.body) for one in self.store.list(DEFINITIONS))
        self.closed = False
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="kube-store")
        self._queue: list[_Pending] = []
        self._floors: Mapping[str, int] = {}
        self._flushing: asyncio.Task[None] | None = None
        self._establishing: asyncio.Task[None] | None = None
        self._watchers: dict[str, set[asyncio.Event]] = {}

    def now(self) -> datetime:
        """The clock's time."""
        return datetime.fromtimestamp(self._clock.now(), UTC)

    async def start(self) -> None:
        """Make the namespaces that every mesh has, and the definitions of the custom kinds that are served."""
        await self._ensure("Namespace", [{"metadata": {"name": name}} for name in PROTECTED_NAMESPACES])
        await self._ensure("CustomResourceDefinition", [served(info, rfc3339(self._clock.now())) for info in CUSTOM])
        self._establishing = tasks.spawn(establish(self), name="establish definitions")

    async def _ensure(self, kind: str, objects: Sequence[JsonObject]) -> None:
        info = info_of(kind)
        lacking = [raw for raw in objects if self.store.get(Ref(resource_id(info), "", str(section(raw, "metadata")["name"]))) is None]
        await asyncio.gather(*(self.write(partial(self.registry.create, Target(info, "v1"), raw)) for raw in lacking))

    async def write(self, operation: Callable[[], Written]) -> Written:
        """Run `operation` and return its result once it is durable."""
        if self.closed:
            raise unavailable("the store is closed: the mesh is shutting down; try again when it is up")
        written = operation()
        if written.changes or written.stored.rv > self.store.revision:
            done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._queue.append(_Pending(written.changes, done))
            if self._flushing is None:
                self._flushing = tasks.spawn(self._flush(), name="kube-store-flush")
            await done
        return written

    async def _flush(self) -> None:
        try:
            while self._queue:
                batch, self._queue = self._queue, []
                try:
                    await self._persist(batch)
                except Exception as failure:  # noqa: BLE001  whatever the disk says, readers go on and writers are told
                    self._fail(batch, failure)
        finally:
            self._flushing = None

    async def _persist(self, batch: Sequence[_Pending]) -> None:
        changes = [change for pending in batch for change in pending.changes]
        if changes:
            revision = changes[-1].stored.rv
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._thread, self._persistence.write, changes, revision, self._floors)
            self._floors = self.store.commit(changes, revision)
            resources = {change.stored.ref.resource for change in changes}
            if DEFINITIONS in resources:
                self.kinds = kinds_with(load(one.body) for one in self.store.list(DEFINITIONS))
            self._wake(resources)
        for pending in batch:
            if not pending.done.done():
                pending.done.set_result(None)

    def _fail(self, batch: Sequence[_Pending], failure: Exception) -> None:
        self.store.abort()
        behind, self._queue = self._queue, []
        for pending in (*batch, *behind):
            if not pending.done.done():
                pending.done.set_exception(_not_written(failure))
        log.get("kube").error("write failed", error=str(failure))

    def _wake(self, resources: set[str]) -> None:
        for resource in resources:
            for event in self._watchers.get(resource, ()):
                event.set()

    @contextmanager
    def watching(self, resource: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever something of the resource changed, and when the store closes."""
        event = asyncio.Event()
        self._watchers.setdefault(resource, set()).add(event)
        if self.closed:
            event.set()
        try:
            yield event
        finally:
            self._watchers[resource].discard(event)

    async def close(self) -> None:
        """Finish the writes that are under way and end all watches."""
        self.closed = True
        while self._flushing is not None:
            await asyncio.wait([self._flushing])
        self._wake(set(self._watchers))
        self._thread.shutdown()


def _not_written(failure: Exception) -> ApiError:
    return unavailable(
        f"the store could not be written: {failure}; nothing was changed; free the disk or mend the data folder, then try again"
    )


def _new_uid() -> str:
    return str(uuid.uuid4())


def _new_suffix() -> str:
    return "".join(secrets.choice(_SUFFIX) for _ in range(5))
