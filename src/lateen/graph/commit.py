"""The graph: creates collections, and carries staged changes through them, in one pass per commit.

Why: collections settle in the order of their creation and read only earlier ones, so nobody sees half a revision and
no node runs twice. Must not know what the values mean.
"""

# ruff: noqa: SLF001 (the classes of this package are one engine; its users see none of these names)

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TypeVar, cast

from msgspec import Struct

from lateen.graph.collection import Collection, GraphError, Home, Input, Join, K, Ordered, Problems, Source, V
from lateen.graph.derive import K2, Many, One, R
from lateen.graph.index import I, Index
from lateen.graph.read import Read
from lateen.util import collector

__all__ = ["Commit", "Graph"]

S = TypeVar("S", bound=Source)


class Commit(Struct, frozen=True):
    """What one commit changed: the keys that came, went or have another value, of the collections that have any."""

    revision: int
    changed: Mapping[Source, frozenset[Ordered]]

    def keys(self, collection: Collection[K, V]) -> frozenset[K]:
        """The changed keys of one collection, typed as its keys."""
        return cast("frozenset[K]", self.changed.get(collection, frozenset()))


class Graph:
    """Create inputs and collections, stage changes in the inputs, `commit()`."""

    def __init__(self) -> None:
        self.revision = 0
        self.counters: Mapping[str, int] = MappingProxyType({})  # nodes run in the last commit, by collection
        self._home = Home()
        self._sources: dict[str, Source] = {}
        self._unit: Collection[tuple[()], None] = Collection(self._home, "unit", -1)
        self._unit._data[()] = None

    def input(self, name: str) -> Input[K, V]:
        return self._add(Input(self._home, name, len(self._sources)))

    def one(self, name: str, over: Collection[K, V], fn: Callable[[Read, K, V], tuple[R | None, Problems]]) -> Collection[K, R]:
        """At most one result per item of `over`, under its key; None is no result."""
        return self._add(One(over, name, len(self._sources), fn))

    def many(self, name: str, over: Collection[K, V], fn: Callable[[Read, K, V], tuple[Mapping[K2, R], Problems]]) -> Collection[K2, R]:
        """Results under their own keys; where two items give one key, the item with the smallest key wins."""
        return self._add(Many(over, name, len(self._sources), fn))

    def singleton(self, name: str, fn: Callable[[Read], tuple[R | None, Problems]]) -> Collection[tuple[()], R]:
        """One value, under the key `()`."""
        return self.one(name, self._unit, lambda read, _key, _item: fn(read))

    def join(self, name: str, *collections: Collection[K, V]) -> Collection[K, V]:
        """The union; where two collections hold one key, the earlier in the list wins."""
        return self._add(Join(self._home, name, len(self._sources), collections))

    def index(self, name: str, over: Collection[K, V], fn: Callable[[K, V], Iterable[I]]) -> Index[I, K, V]:
        """The items of `over` grouped by the values `fn` gives for each."""
        return self._add(Index(over, name, len(self._sources), fn))

    def commit(self) -> Commit:
        """Take over all staged changes and run every node that they concern, once."""
        self._home.check_idle("commit")
        self._home.running, self._home.runs = True, {}
        with collector.paused():
            changed = {source: keys for source in self._sources.values() if source._due and (keys := source._settle())}
        self._home.running = False
        self.revision += 1
        self.counters = MappingProxyType(self._home.runs)
        return Commit(self.revision, MappingProxyType(changed))

    def problems(self) -> Mapping[tuple[str, Ordered], Problems]:
        """All problems of the last runs, by collection and key, sorted."""
        found = {(name, key): source._problems[key] for name, source in sorted(self._sources.items()) for key in sorted(source._problems)}
        return MappingProxyType(found)

    def _add(self, source: S) -> S:
        self._home.check_idle(source.name)
        if source.name in self._sources:
            raise GraphError(f"there are two collections named '{source.name}'; names must be unique in a graph")
        self._sources[source.name] = source
        return source
