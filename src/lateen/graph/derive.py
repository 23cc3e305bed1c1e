"""Collections computed by a function from another one: one → one (`One`) and one → many (`Many`).

Why: a node (one call, for one key of the parent) runs again only when its item or something it read has changed; when
it raises, its last good result stays. Must not run a node whose reads have not settled: commit.py sees to the order.
"""

# ruff: noqa: SLF001 (the classes of this package are one engine; its users see none of these names)

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Mapping
from typing import Generic, TypeVar

from lateen.graph.collection import ABSENT, Absent, Collection, GraphError, K, Ordered, Problems, V
from lateen.graph.read import Edges, Read, pairs

__all__ = ["K2", "Derived", "Many", "Node", "One", "R"]

K2 = TypeVar("K2", bound=Ordered)
R = TypeVar("R")
Out = TypeVar("Out")
Function = Callable[[Read, K, V], tuple[Out, Problems]]


class Node(Generic[K]):
    """One key of the parent: what its last run read, and how to make it run again."""

    __slots__ = ("_dirty", "edges", "key")

    def __init__(self, key: K, dirty: set[K]) -> None:
        self.key, self._dirty = key, dirty
        self.edges: Edges = ()

    def wake(self) -> None:
        self._dirty.add(self.key)

    def rewire(self, edges: Edges) -> None:
        """Depend on these reads and on no earlier ones."""
        if edges == self.edges:
            return
        if not self.edges:
            for source, edge in pairs(edges):
                source._remember(edge, self)
            self.edges = edges
            return
        before, after = set(pairs(self.edges)), set(pairs(edges))
        for source, edge in before - after:
            source._forget(edge, self)
        for source, edge in after - before:
            source._remember(edge, self)
        self.edges = edges


class Derived(Collection[K2, R], Generic[K, V, K2, R, Out]):
    """What One and Many share: which nodes must run, and running them."""

    def __init__(self, over: Collection[K, V], name: str, rank: int, fn: Function[K, V, Out]) -> None:
        super().__init__(over._home, name, rank, (over,))
        self._items, self._fn = over._data, fn
        self._nodes: dict[K, Node[K]] = {}
        self._due = self._dirty = set(over._data)
        over._followers.append(self._dirty.update)

    def _keep(self, key: K, result: Out) -> Out:
        """The result as it is to be kept; may raise when it has the wrong shape."""
        raise NotImplementedError

    def _accept(self, key: K, result: Out | None) -> Iterable[tuple[K2, R | Absent]]:
        """Take over a node's result, None when the node is gone; the outputs that this may change."""
        raise NotImplementedError

    def _recompute(self) -> Iterable[tuple[K2, R | Absent]]:
        dirty = tuple(self._dirty)
        self._dirty.clear()
        changes: dict[K2, R | Absent] = {}
        for key in dirty:
            item = self._items.get(key, ABSENT)
            changes.update(self._drop(key) if item is ABSENT else self._run(key, item))
        return changes.items()

    def _run(self, key: K, item: V) -> Iterable[tuple[K2, R | Absent]]:
        node = self._nodes.get(key)
        if node is None:
            node = self._nodes[key] = Node(key, self._dirty)
        read = Read(self._home, self.name, self.rank)
        self._home.runs[self.name] = self._home.runs.get(self.name, 0) + 1
        try:
            result, problems = self._fn(read, key, item)
            kept = self._keep(key, result)
            self._report(key, tuple(problems))
        except GraphError:
            raise
        except Exception as error:  # noqa: BLE001 (whatever it raised, the others go on)
            self._fail(key, error)
            return ()
        finally:
            node.rewire(read.close())
        return self._accept(key, kept)

    def _drop(self, key: K) -> Iterable[tuple[K2, R | Absent]]:
        if key not in self._nodes:
            return ()
        self._nodes.pop(key).rewire(())
        self._report(key, ())
        return self._accept(key, None)


class One(Derived[K, V, K, R, R | None]):
    """At most one result per key of the parent, under the same key; None is no result."""

    kind = "one"

    def _keep(self, key: K, result: R | None) -> R | None:
        return result

    def _accept(self, key: K, result: R | None) -> Iterable[tuple[K, R | Absent]]:
        return ((key, ABSENT if result is None else result),)


class Many(Derived[K, V, K2, R, Mapping[K2, R]]):
    """Any number of results per key of the parent, under keys of their own.

    Where two parents give one key, the smallest parent key's result shows; the others wait in reserve.
    """

    kind = "many"

    def __init__(self, over: Collection[K, V], name: str, rank: int, fn: Function[K, V, Mapping[K2, R]]) -> None:
        super().__init__(over, name, rank, fn)
        self._outputs: dict[K, Mapping[K2, R]] = {}
        self._claims: dict[K2, list[K]] = {}

    def _keep(self, key: K, result: Mapping[K2, R]) -> Mapping[K2, R]:
        old = self._outputs.get(key, {})
        if result == old:
            return old
        return {out: old[out] if out in old and old[out] == value else value for out, value in result.items()}

    def _accept(self, key: K, result: Mapping[K2, R] | None) -> Iterable[tuple[K2, R | Absent]]:
        old, new = self._outputs.pop(key, {}), result or {}
        if new:
            self._outputs[key] = new
        if new is old:
            return ()
        for out in old.keys() - new.keys():
            self._unclaim(out, key)
        for out in new.keys() - old.keys():
            insort(self._claims.setdefault(out, []), key)
        return [(out, self._winner(out)) for out in old.keys() | new.keys()]

    def _unclaim(self, out: K2, key: K) -> None:
        claims = self._claims[out]
        del claims[bisect_left(claims, key)]
        if not claims:
            del self._claims[out]

    def _winner(self, out: K2) -> R | Absent:
        claims = self._claims.get(out)
        return self._outputs[claims[0]][out] if claims else ABSENT
