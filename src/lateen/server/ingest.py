"""From the Kubernetes API into the graph: one reflector per kind, each object decoded and staged; a quiet moment later all is committed.

An object that cannot be read keeps its last good form, as a typing error must not take a service away; one that Envoy refused is set
aside (`server.quarantine`). Must not compile anything.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from msgspec import Struct

from lateen.ads.debounce import Debounce
from lateen.api.decode import decode_object
from lateen.api.kinds import KindInfo, info_of
from lateen.api.meshconfig import MeshConfig
from lateen.api.meta import Key
from lateen.runtime import log, tasks
from lateen.runtime.clock import Clock
from lateen.server.meshconfig import follow_mesh_config
from lateen.sources.kubeclient import KubeClient

__all__ = ["Ingest", "Staging"]

_log = log.get("ingest")
Choose = Callable[[Key, Struct | None, int], Struct | None]


class Staging(Protocol):
    """An input of the graph."""

    def set(self, key: Key, value: object, /) -> None: ...
    def delete(self, key: Key, /) -> None: ...


class Ingest:
    """Follows the kinds of `inputs` and MeshConfig; `commit` is called after each batch, first when all are there.

    `choose` is told every object's newest form (None: it is gone) and its generation, and gives the form to stage.
    """

    def __init__(
        self,
        client: KubeClient,
        inputs: Mapping[str, Staging],
        on_mesh: Callable[[MeshConfig], None],
        root_namespace: str,
        choose: Choose,
        commit: Callable[[], None],
        clock: Clock,
    ) -> None:
        self._client = client
        self._choose = choose
        self._inputs = inputs
        self._on_mesh = on_mesh
        self._root_namespace = root_namespace
        self._commit = commit
        self._clock = clock
        self._debounce = Debounce()
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._synced = {kind: asyncio.Event() for kind in (*inputs, "MeshConfig")}

    async def start(self) -> None:
        """Return once every kind has been read and committed."""
        for kind in self._inputs:
            self._tasks.append(tasks.spawn(self._follow(info_of(kind)), name=f"reflect {kind}"))
        self._tasks.append(tasks.spawn(self._follow_mesh(), name="reflect MeshConfig"))
        await asyncio.gather(*(event.wait() for event in self._synced.values()))
        self._debounce.acted()
        self._commit()
        self._tasks.append(tasks.spawn(self._batches(), name="commits"))

    async def stop(self) -> None:
        await tasks.cancel_all(*self._tasks)

    async def _follow(self, info: KindInfo) -> None:
        def on_event(event: str, raw: Mapping[str, object]) -> None:
            self._stage(info.kind, event, raw)

        await self._client.reflect(info, on_event, on_synced=self._synced[info.kind].set)

    async def _follow_mesh(self) -> None:
        def tell(mesh: MeshConfig) -> None:
            self._on_mesh(mesh)
            self._mark()

        await follow_mesh_config(self._client, self._root_namespace, tell, self._synced["MeshConfig"].set)

    def _stage(self, kind: str, event: str, raw: Mapping[str, object]) -> None:
        meta = raw.get("metadata")
        names = meta if isinstance(meta, Mapping) else {}
        key = Key(kind, str(names.get("namespace", "")), str(names.get("name", "")))
        obj, problems = (None, ()) if event == "DELETED" else decode_object(raw, lenient=True)
        if problems and obj is None:
            _report(key, (problem.message for problem in problems))
        else:
            generation = names.get("generation")
            self.put(key, self._choose(key, obj, generation if isinstance(generation, int) else 0))

    def put(self, key: Key, obj: Struct | None) -> None:
        """Stage a form of an object, or that there is none; it is committed with the next batch."""
        if obj is None:
            self._inputs[key.kind].delete(key)
        else:
            self._inputs[key.kind].set(key, obj)
        self._mark()

    def _mark(self) -> None:
        self._debounce.changed(self._clock.monotonic())
        self._changed.set()

    async def _batches(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            while (due := self._debounce.due()) is not None and due > self._clock.monotonic():
                await self._clock.sleep(due - self._clock.monotonic())
            self._debounce.acted()
            self._commit()


def _report(key: Key, messages: Iterable[str]) -> None:
    _log.warning("object not understood, its last good form stays", object=str(key), problems=list(messages))
