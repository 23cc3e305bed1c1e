"""YAML in, Envoy's messages out: a whole world compiled in memory, without any server.

Why: tests of what configuration does need no API and no connection. Must not decide anything that the product decides.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf.message import Message

from lateen.api.decode import Decoded, decode_documents, decode_object
from lateen.api.kinds import by_api, by_kind
from lateen.api.meshconfig import MeshConfig
from lateen.api.meta import Key
from lateen.compile.world import build_world
from lateen.graph import Commit, Graph
from lateen.graph.failure import FAILED
from lateen.model.frame import Snapshot
from lateen.model.mesh import Settings
from lateen.model.scope import Proxy
from lateen.testing.messages import snapshot_messages
from lateen.util.problem import Problem
from lateen.xds.snapshots import Snapshots

__all__ = ["MemoryWorld"]


class MemoryWorld:
    """A graph with objects put in by hand; `problems` are those of reading, the graph's own are in `graph.problems()`."""

    def __init__(self, settings: Settings | None = None, mesh: MeshConfig | None = None) -> None:
        self.graph = Graph()
        self.world = build_world(self.graph, settings or Settings())
        self.snapshots = Snapshots(self.graph, self.world)
        self.problems: list[Problem] = []
        self.ignored: list[Key] = []  # objects of kinds that the world does not read
        if mesh is not None:
            self.world.mesh.set((), mesh)

    def load(self, text: str | bytes, *, namespace: str = "default", source: str = "test") -> None:
        """Stage all objects of a YAML stream; namespaced ones without a namespace go to `namespace`."""
        data = text.encode() if isinstance(text, str) else text
        for one in decode_documents(data, source):
            self._stage(one, namespace)

    def put(self, raw: Mapping[str, Any]) -> None:
        """Stage one object as the API gives it."""
        obj, problems = decode_object(raw)
        self.problems.extend(problems)
        meta = raw.get("metadata", {})
        if obj is not None:
            info = by_api(raw["apiVersion"], raw["kind"])
            self._set(Key(info.id if info is not None else raw["kind"], meta.get("namespace", ""), meta["name"]), obj)

    def put_all(self, objects: Iterable[Mapping[str, Any]]) -> None:
        for raw in objects:
            self.put(raw)

    def remove(self, key: Key) -> None:
        """Stage the deletion of an object."""
        self.world.inputs[key.kind].delete(key)

    def connect(self, proxy: Proxy) -> None:
        """Stage a proxy."""
        self.world.proxies.set(proxy.id, proxy)

    def commit(self) -> Commit:
        """Compile what was staged; AssertionError when a function of the graph raised."""
        commit = self.graph.commit()
        failed = [one.message for problems in self.graph.problems().values() for one in problems if one.code == FAILED]
        if failed:
            raise AssertionError("; ".join(failed))
        return commit

    def snapshot(self, proxy: Proxy) -> Snapshot:
        """A proxy's frames; it is connected and everything staged is committed first."""
        self.connect(proxy)
        self.commit()
        return self.snapshots.snapshot(proxy.id)

    def messages(self, proxy: Proxy) -> dict[str, dict[str, Message]]:
        """What `proxy` is sent, parsed: kind (`clusters`, `endpoints`, `listeners`, `routes`, `secrets`) and name."""
        return snapshot_messages(self.snapshot(proxy))

    def _stage(self, one: Decoded, namespace: str) -> None:
        self.problems.extend(one.problems)
        meta = one.raw.get("metadata") or {}
        kind = by_kind(str(one.raw.get("kind")))
        if one.obj is not None and kind is not None and kind.namespaced and not meta.get("namespace"):
            self.put({**one.raw, "metadata": {**meta, "namespace": namespace}})
        elif one.obj is not None and one.key is not None:
            self._set(one.key, one.obj)

    def _set(self, key: Key, obj: object) -> None:
        if key.kind in self.world.inputs:
            self.world.inputs[key.kind].set(key, obj)
        else:
            self.ignored.append(key)
