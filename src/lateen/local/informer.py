"""What the controllers and the node know of the API's objects: one informer per kind, and a queue of what to look at again.

Why: a controller decides from what it has seen, and acts through the API only. What a write returned is taken in at once, so
that nobody acts twice before the watch tells of it. Must not decide anything, nor know any kind.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import NamedTuple

from lateen.api.kinds import info_of
from lateen.kube.errors import ApiError
from lateen.kube.records import JsonObject, dicts, section
from lateen.runtime import log, tasks
from lateen.runtime.clock import Clock
from lateen.sources.kubeclient import KubeClient, UnreachableError

__all__ = ["Informer", "Name", "WorkQueue", "name_of", "owner_of"]

_log = log.get("local")
_MOST_TOMBSTONES = 2000
_FIRST_DELAY, _LONGEST_DELAY = 0.05, 10.0

OnChange = Callable[["Name", JsonObject | None, JsonObject | None], None]


class Name(NamedTuple):
    """Names an object of one kind."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


def name_of(obj: Mapping[str, object]) -> Name:
    """The object's name."""
    meta = section(obj, "metadata")
    return Name(str(meta.get("namespace", "")), str(meta.get("name", "")))


def owner_of(obj: Mapping[str, object]) -> JsonObject:
    """The owner that controls the object; empty where there is none."""
    return next((each for each in dicts(section(obj, "metadata").get("ownerReferences")) if each.get("controller")), {})


def _revision(obj: Mapping[str, object]) -> int:
    text = str(section(obj, "metadata").get("resourceVersion", ""))
    return int(text) if text.isdigit() else 0


class Informer:
    """The objects of one kind, kept up to date; `listen` before `start`."""

    def __init__(self, client: KubeClient, kind: str, *, field_selector: str = "") -> None:
        self._client = client
        self.info = info_of(kind)
        self._selector = field_selector
        self._objects: dict[Name, JsonObject] = {}
        self._gone: dict[Name, int] = {}
        self._listeners: list[OnChange] = []
        self._task: asyncio.Task[None] | None = None

    def listen(self, on_change: OnChange) -> None:
        """Call `on_change(name, old, new)` for every change, also for what is there at first."""
        self._listeners.append(on_change)

    def get(self, name: Name) -> JsonObject | None:
        """The object as last seen."""
        return self._objects.get(name)

    def items(self, namespace: str = "") -> Iterator[JsonObject]:
        """All objects, or those of one namespace."""
        return iter([obj for name, obj in self._objects.items() if not namespace or name.namespace == namespace])

    async def start(self) -> None:
        """Return once everything that is there has been seen."""
        synced = asyncio.Event()
        following = self._client.reflect(self.info, self._heard, on_synced=synced.set, field_selector=self._selector)
        self._task = tasks.spawn(following, name=f"follow {self.info.plural}")
        await synced.wait()

    async def stop(self) -> None:
        """Follow no more."""
        if self._task:
            await tasks.cancel_all(self._task)

    def observe(self, obj: JsonObject) -> None:
        """Take in what a write returned, unless something newer has been heard."""
        name, revision = name_of(obj), _revision(obj)
        known = self._objects.get(name)
        if self._gone.get(name, 0) >= revision or (known is not None and _revision(known) >= revision):
            return
        self._set(name, obj)

    def _heard(self, event: str, obj: JsonObject) -> None:
        name = name_of(obj)
        if event == "DELETED":
            self._gone[name] = max(_revision(obj), _revision(self._objects.get(name, {})))
            if len(self._gone) > _MOST_TOMBSTONES:
                self._gone.pop(next(iter(self._gone)))
            old = self._objects.pop(name, None)
            if old is not None:
                self._tell(name, old, None)
        else:
            self.observe(obj)

    def _set(self, name: Name, obj: JsonObject) -> None:
        old = self._objects.get(name)
        self._objects[name] = obj
        if old is not None and section(old, "metadata").get("uid") != section(obj, "metadata").get("uid"):
            self._tell(name, old, None)  # gone and made again between two looks
            old = None
        self._tell(name, old, obj)

    def _tell(self, name: Name, old: JsonObject | None, new: JsonObject | None) -> None:
        for each in self._listeners:
            each(name, old, new)


class WorkQueue:
    """Names to look at again; each is handled by one call at a time, again after a failure, later and later."""

    def __init__(self, title: str, handle: Callable[[Name], Awaitable[None]], clock: Clock) -> None:
        self._title = title
        self._handle = handle
        self._clock = clock
        self._waiting: dict[Name, None] = {}
        self._busy: set[Name] = set()
        self._failures: dict[Name, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._open = False

    def start(self) -> None:
        """Begin to handle what was and will be added."""
        self._open = True
        self._next()

    async def stop(self) -> None:
        """Handle nothing more."""
        self._open = False
        await tasks.cancel_all(*self._tasks)

    def add(self, *names: Name) -> None:
        """Have these handled; adding a name that waits changes nothing."""
        self._waiting.update(dict.fromkeys(names))
        self._next()

    def _next(self) -> None:
        if not self._open:
            return
        for name in [each for each in self._waiting if each not in self._busy]:
            del self._waiting[name]
            self._busy.add(name)
            task = tasks.spawn(self._run(name), name=f"{self._title} {name}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run(self, name: Name) -> None:
        delay = 0.0
        try:
            await self._handle(name)
            self._failures.pop(name, None)
        except (ApiError, UnreachableError) as error:
            count = self._failures[name] = self._failures.get(name, 0) + 1
            delay = min(_FIRST_DELAY * 2 ** (count - 1), _LONGEST_DELAY)
            if not (isinstance(error, ApiError) and error.code == 409):
                _log.warning(f"{self._title} failed, tried again", object=str(name), error=str(error), seconds=delay)
        finally:
            self._busy.discard(name)
        if delay:
            await self._clock.sleep(delay)
            self.add(name)
        elif name in self._waiting:
            self._next()
