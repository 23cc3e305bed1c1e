"""The only way a function of the graph sees other collections; each read is recorded, also one that found nothing.

Why: what a function read is exactly what must make it run again. Must not be kept beyond the call it was made for.
"""

# ruff: noqa: SLF001 (the classes of this package are one engine; its users see none of these names)

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from lateen.graph.collection import Collection, GraphError, Home, K, Source, V, Wide
from lateen.graph.index import I, Index

__all__ = ["Edge", "Edges", "Read", "pairs"]

Edge = tuple[Source, object]
Edges = tuple[
    Any, ...
]  # source, edge, source, edge, ...: hundreds of thousands are kept, and a pair of each would weigh four times as much


def pairs(edges: Edges) -> Iterator[Edge]:
    """The edges one by one."""
    return zip(edges[::2], edges[1::2], strict=True)


class Read:
    """The `read` argument of one call of one function."""

    __slots__ = ("_edges", "_home", "_name", "_open", "_rank")

    def __init__(self, home: Home, name: str, rank: int) -> None:
        self._home, self._name, self._rank = home, name, rank
        self._edges: dict[Edge, None] = {}
        self._open = True

    def get(self, collection: Collection[K, V], key: K) -> V | None:
        """The key's value, or None; depends on that key alone."""
        self._record(collection, key)
        return collection._data.get(key)

    def by_index(self, index: Index[I, K, V], value: I) -> Mapping[K, V]:
        """What the index has under a value, sorted by key; depends on that value alone."""
        self._record(index, value)
        return index._group(value)

    def all(self, collection: Collection[K, V]) -> Mapping[K, V]:
        """Everything, sorted by key. Wide: runs again on every change of the collection."""
        self._record(collection, Wide.ALL)
        return collection._all()

    def keys(self, collection: Collection[K, V]) -> tuple[K, ...]:
        """The keys, sorted. Wide on the set of keys: runs again when one comes or goes."""
        self._record(collection, Wide.KEYS)
        return collection._keys()

    def close(self) -> Edges:
        """End the call; what it read, once each."""
        self._open = False
        return tuple(chain.from_iterable(self._edges))

    def _record(self, source: Source, edge: object) -> None:
        if source.rank >= self._rank:
            raise GraphError(
                f"'{self._name}' read '{source.name}', which is created after it (or is itself): a function may read "
                f"only what was created before its own collection. Create '{source.name}' first"
            )
        if source._home is not self._home:
            raise GraphError(f"'{self._name}' read '{source.name}', which belongs to another graph")
        if not self._open:
            raise GraphError(f"'{self._name}' read '{source.name}' after its call had ended (a lazy result?)")
        self._edges[source, edge] = None
