"""From the sources into the graph: the Kubernetes API by one reflector per kind, a folder of files, MeshConfig from a file or ConfigMap.

Each object is decoded and staged; a quiet moment later all is committed.

An object that cannot be read keeps its last good form, as a typing error must not take a service away; one that Envoy refused is set
aside (`server.quarantine`). Must not compile anything.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from lateen.ads.debounce import Debounce
from lateen.api.decode import decode_object
from lateen.api.kinds import KindInfo, info_of
from lateen.api.meshconfig import MeshConfig
from lateen.api.meta import Key
from lateen.runtime import log, tasks
from lateen.runtime.clock import Clock
from lateen.server.combine import Combined
from lateen.server.discovered import Discovered
from lateen.server.meshconfig import follow_mesh_config, mesh_of
from lateen.sources.files import Folder, follow_file, follow_folder
from lateen.sources.kubeclient import KubeClient
from lateen.util.problem import Problem

__all__ = ["Ingest", "Sources", "Staging"]

_log = log.get("ingest")
Choose = Callable[[Key, Struct | None, int], Struct | None]


class Staging(Protocol):
    """An input of the graph."""

    def set(self, key: Key, value: object, /) -> None: ...
    def delete(self, key: Key, /) -> None: ...


class Sources(Struct, frozen=True):
    """Where objects come from; each may be lacking. A file `mesh_config` takes the place of the ConfigMap."""

    client: KubeClient | None = None
    folder: Path | None = None
    mesh_config: Path | None = None


class Ingest:
    """Follows the kinds of `inputs` and MeshConfig; `commit` is called after each batch, first when all are there.

    `choose` is told every object's newest form (None: it is gone) and its generation, and gives the form to stage.
    """

    def __init__(
        self,
        sources: Sources,
        inputs: Mapping[str, Staging],
        on_mesh: Callable[[MeshConfig], None],
        root_namespace: str,
        choose: Choose,
        commit: Callable[[], None],
        clock: Clock,
    ) -> None:
        self._sources = sources
        self._choose = choose
        self._discovered = Discovered(self._chosen, root_namespace)
        self._combined = Combined(self._discovered.tell)
        self._inputs = inputs
        self._on_mesh = on_mesh
        self._root_namespace = root_namespace
        self._commit = commit
        self._clock = clock
        self._doubles: tuple[Problem, ...] = ()
        self._debounce = Debounce()
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._synced: list[asyncio.Event] = []

    async def start(self) -> None:
        """Return once every source has been read and committed."""
        client, folder, mesh_config = self._sources.client, self._sources.folder, self._sources.mesh_config
        if client is not None:
            for kind in self._inputs:
                self._follow(f"reflect {kind}", partial(self._reflect, client, info_of(kind)))
        if folder is not None:
            self._follow("folder", partial(follow_folder, folder, Folder(self._from_folder), changed=self._mark))
        if mesh_config is not None:
            self._follow("MeshConfig", partial(self._follow_mesh_file, mesh_config))
        elif client is not None:
            self._follow("MeshConfig", partial(follow_mesh_config, client, self._root_namespace, self._tell_mesh))
        await asyncio.gather(*(event.wait() for event in self._synced))
        self._act()
        self._tasks.append(tasks.spawn(self._batches(), name="commits"))

    def _follow(self, name: str, source: Callable[..., Coroutine[None, None, None]]) -> None:
        synced = asyncio.Event()
        self._synced.append(synced)
        self._tasks.append(tasks.spawn(source(synced=synced.set), name=name))

    async def stop(self) -> None:
        await tasks.cancel_all(*self._tasks)

    async def _reflect(self, client: KubeClient, info: KindInfo, *, synced: Callable[[], None]) -> None:
        def on_event(event: str, raw: Mapping[str, object]) -> None:
            self._stage(info.id, event, raw)

        await client.reflect(info, on_event, on_synced=synced)

    async def _follow_mesh_file(self, path: Path, *, synced: Callable[[], None]) -> None:
        def tell(data: bytes) -> None:
            if (mesh := mesh_of(data, str(path))) is not None:
                self._tell_mesh(mesh)
            synced()

        await follow_file(path, tell)

    def _tell_mesh(self, mesh: MeshConfig) -> None:
        self._on_mesh(mesh)
        self._discovered.select(mesh)
        self._mark()

    def _from_folder(self, key: Key, obj: Struct | None, generation: int) -> None:
        if key.kind in self._inputs:
            self._combined.from_folder(key, obj, generation)

    def problems(self) -> tuple[Problem, ...]:
        """Objects that are in two sources."""
        return self._doubles

    def _tell_doubles(self) -> None:
        problems = self._combined.problems()
        for problem in problems:
            if problem not in self._doubles:
                _log.warning("object in two sources", problem=problem.message)
        self._doubles = problems

    def _stage(self, kind: str, event: str, raw: Mapping[str, object]) -> None:
        meta = raw.get("metadata")
        names = meta if isinstance(meta, Mapping) else {}
        key = Key(kind, str(names.get("namespace", "")), str(names.get("name", "")))
        obj, problems = (None, ()) if event == "DELETED" else decode_object(raw, lenient=True)
        if problems and obj is None:
            _report(key, (problem.message for problem in problems))
        else:
            generation = names.get("generation")
            self._combined.from_api(key, obj, generation if isinstance(generation, int) else 0)

    def _chosen(self, key: Key, obj: Struct | None, generation: int) -> None:
        self.put(key, self._choose(key, obj, generation))

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
            self._act()

    def _act(self) -> None:
        self._debounce.acted()
        self._tell_doubles()
        self._commit()


def _report(key: Key, messages: Iterable[str]) -> None:
    _log.warning("object not understood, its last good form stays", object=str(key), problems=list(messages))
