"""Objects of namespaces that MeshConfig's discoverySelectors leave out count for nothing, as if they were not there.

Objects without a namespace and those of the mesh's root namespace always count. Must not do I/O.
"""

from collections.abc import Callable

from msgspec import Struct

from lateen.api.meshconfig import MeshConfig
from lateen.api.meta import Key
from lateen.api.objects import Namespace
from lateen.compile.namespaces import is_discovered

__all__ = ["Discovered"]

Choose = Callable[[Key, Struct | None, int], None]


class Discovered:
    """Is told every object's newest form (None: it is gone) and the mesh's settings; `choose` is told what counts."""

    def __init__(self, choose: Choose, root_namespace: str) -> None:
        self._choose = choose
        self._root = root_namespace
        self._mesh = MeshConfig()
        self._namespaces: dict[str, Namespace] = {}
        self._objects: dict[str, dict[Key, tuple[Struct, int]]] = {}  # by namespace
        self._left_out: set[str] = set()

    def tell(self, key: Key, obj: Struct | None, generation: int) -> None:
        """An object's newest form."""
        if not key.namespace:
            self._choose(key, obj, generation)
            if key.kind == "Namespace":
                self._take_namespace(key.name, obj)
            return
        objects = self._objects.setdefault(key.namespace, {})
        if not objects:
            self._look(key.namespace)
        if obj is None:
            objects.pop(key, None)
        else:
            objects[key] = obj, generation
        if key.namespace not in self._left_out:
            self._choose(key, obj, generation)

    def select(self, mesh: MeshConfig) -> None:
        """The mesh's settings are these now."""
        changed = mesh.discovery_selectors != self._mesh.discovery_selectors
        self._mesh = mesh
        if changed:
            for namespace in self._objects:
                self._look(namespace)

    def _take_namespace(self, name: str, obj: Struct | None) -> None:
        if isinstance(obj, Namespace):
            self._namespaces[name] = obj
        else:
            self._namespaces.pop(name, None)
        self._look(name)

    def _look(self, namespace: str) -> None:
        """Give or take away the objects of a namespace, where it counts otherwise than before."""
        known = self._namespaces.get(namespace)
        labels = known.metadata.labels if known is not None else {}
        left_out = namespace != self._root and not is_discovered(self._mesh.discovery_selectors, labels)
        if left_out == (namespace in self._left_out):
            return
        (self._left_out.add if left_out else self._left_out.remove)(namespace)
        for key, (obj, generation) in self._objects.get(namespace, {}).items():
            self._choose(key, None if left_out else obj, generation)
