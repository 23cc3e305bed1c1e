"""The graph: creates collections, and carries staged changes through them, in one pass per commit.

Why: collections settle in the order of their creation and read only earlier ones, so nobody sees half a revision and
no node runs twice. Must not know what the values mean.
"""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TypeVar, cast

from msgspec import Struct

from lateen.graph.collection import Collection, GraphError, Home, Input, Join, Ordered, Source
from lateen.graph.derive import Many, One, Problems
from lateen.graph.index import I, Index
from lateen.graph.read import Read

__all__ = ["Commit", "Graph"]

K = TypeVar("K", bound=Ordered)
K2 = TypeVar("K2", bound=Ordered)
V = TypeVar("V")
R = TypeVar("R")
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
        self._broken: Exception | None = None

    def input(self, name: str) -> Input[K, V]:
        return self._add(Input(self._home, name, len(self._sources)))

    def one(
        self, name: str, over: Collection[K, V], fn: Callable[[Read, K, V], tuple[R | None, Problems]]
    ) -> Collection[K, R]:
        """At most one result per item of `over`, under its key; None is no result."""
        return self._add(One(over, name, len(self._sources), fn))

    def many(
        self, name: str, over: Collection[K, V], fn: Callable[[Read, K, V], tuple[Mapping[K2, R], Problems]]
    ) -> Collection[K2, R]:
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
        if self._broken is not None:
            raise GraphError(f"an earlier commit was broken off, build a new graph: {self._broken}")
        self._home.running = True
        try:
            changed = {source: keys for source in self._sources.values() if (keys := source._settle())}
        except Exception as error:
            self._broken = error
            raise
        finally:
            self._home.running = False
        self.revision += 1
        self.counters = self._count()
        return Commit(self.revision, MappingProxyType(changed))

    def problems(self) -> Mapping[tuple[str, Ordered], Problems]:
        """All problems of the last runs, by collection and key, sorted."""
        return MappingProxyType(
            {
                (name, key): problems
                for name in sorted(self._sources)
                for key, problems in self._sources[name]._problems()
            }
        )

    def _count(self) -> Mapping[str, int]:
        runs = {name: source._runs for name, source in self._sources.items() if source._runs}
        for name in runs:
            self._sources[name]._runs = 0
        return MappingProxyType(runs)

    def _add(self, source: S) -> S:
        if source.name in self._sources:
            raise GraphError(f"there are two collections named '{source.name}'; names must be unique in a graph")
        self._sources[source.name] = source
        return source
