"""Collections computed by a function from another one: one → one (`One`) and one → many (`Many`).

Why: a node (one call, for one key of the parent) runs again only when its item or something it read has changed; when
it raises, its last good result stays. Must not run a node whose reads have not settled: commit.py sees to the order.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Mapping
from typing import Generic, TypeVar

from lateen.graph.collection import ABSENT, Absent, Collection, GraphError, Ordered
from lateen.graph.failure import failure
from lateen.graph.read import Edge, Read
from lateen.util.problem import Problem

__all__ = ["Derived", "Many", "Node", "One", "Problems"]

K = TypeVar("K", bound=Ordered)
K2 = TypeVar("K2", bound=Ordered)
V = TypeVar("V")
R = TypeVar("R")
Out = TypeVar("Out")
Problems = tuple[Problem, ...]
Function = Callable[[Read, K, V], tuple[Out, Problems]]


class Node(Generic[K]):
    """One key of the parent: what its last run read, and how to make it run again."""

    __slots__ = ("_dirty", "edges", "key")

    def __init__(self, key: K, dirty: set[K]) -> None:
        self.key, self._dirty = key, dirty
        self.edges: set[Edge] = set()

    def wake(self) -> None:
        self._dirty.add(self.key)

    def rewire(self, edges: set[Edge]) -> None:
        """Depend on these reads and on no earlier ones."""
        if edges == self.edges:
            return
        for source, edge in self.edges - edges:
            source._forget(edge, self)
        for source, edge in edges - self.edges:
            source._remember(edge, self)
        self.edges = edges


class Derived(Collection[K2, R], Generic[K, V, K2, R, Out]):
    """What One and Many share: which nodes must run, running them, their problems."""

    def __init__(self, over: Collection[K, V], name: str, rank: int, fn: Function[K, V, Out]) -> None:
        super().__init__(over._home, name, rank, (over,))
        self._items, self._fn = over._data, fn
        self._nodes: dict[K, Node[K]] = {}
        self._dirty: set[K] = set(over._data)
        self._reported: dict[K, Problems] = {}
        self._failures: dict[K, Problem] = {}
        over._followers.append(self._dirty.update)

    def _keep(self, key: K, result: Out) -> Out:
        """The result as it is to be kept; may raise when it has the wrong shape."""
        return result

    def _accept(self, key: K, result: Out) -> Iterable[tuple[K2, R | Absent]]:
        """Take over a node's result; the output keys that it may change."""
        raise NotImplementedError

    def _remove(self, key: K) -> Iterable[tuple[K2, R | Absent]]:
        """Take back all that a node has put out."""
        raise NotImplementedError

    def _recompute(self) -> Iterable[tuple[K2, R | Absent]]:
        dirty = tuple(self._dirty)
        self._dirty.clear()
        changes: dict[K2, R | Absent] = {}
        for key in dirty:
            item = self._items.get(key, ABSENT)
            changes.update(self._run(key, item) if item is not ABSENT else self._drop(key))
        return changes.items()

    def _run(self, key: K, item: V) -> Iterable[tuple[K2, R | Absent]]:
        node = self._nodes.get(key)
        if node is None:
            node = self._nodes[key] = Node(key, self._dirty)
        read = Read(self._home, self.name, self.rank)
        self._runs += 1
        try:
            result, problems = self._fn(read, key, item)
            kept, reported = self._keep(key, result), tuple(problems)
        except GraphError:
            raise
        except Exception as error:
            self._failures[key] = failure(self.name, key, error)
            node.rewire(read.close())
            return ()
        node.rewire(read.close())
        self._clear_problems(key)
        if reported:
            self._reported[key] = reported
        return self._accept(key, kept)

    def _drop(self, key: K) -> Iterable[tuple[K2, R | Absent]]:
        self._clear_problems(key)
        node = self._nodes.pop(key, None)
        if node is None:
            return ()
        node.rewire(set())
        return self._remove(key)

    def _clear_problems(self, key: K) -> None:
        self._reported.pop(key, None)
        self._failures.pop(key, None)

    def _problems(self) -> Iterable[tuple[Ordered, Problems]]:
        for key in sorted(self._reported.keys() | self._failures.keys()):
            failed = self._failures.get(key)
            yield key, (*self._reported.get(key, ()), *(() if failed is None else (failed,)))


class One(Derived[K, V, K, R, R | None]):
    """At most one result per key of the parent, under the same key; None is no result."""

    kind = "one"

    def _accept(self, key: K, result: R | None) -> Iterable[tuple[K, R | Absent]]:
        return ((key, ABSENT if result is None else result),)

    def _remove(self, key: K) -> Iterable[tuple[K, R | Absent]]:
        return ((key, ABSENT),)


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

    def _accept(self, key: K, result: Mapping[K2, R]) -> Iterable[tuple[K2, R | Absent]]:
        old = self._outputs.get(key, {})
        if result is old:
            return []
        self._outputs[key] = result
        for out in old.keys() - result.keys():
            self._unclaim(out, key)
        for out in result.keys() - old.keys():
            insort(self._claims.setdefault(out, []), key)
        return [(out, self._winner(out)) for out in old.keys() | result.keys()]

    def _remove(self, key: K) -> Iterable[tuple[K2, R | Absent]]:
        outputs = self._outputs.pop(key, {})
        for out in outputs:
            self._unclaim(out, key)
        return [(out, self._winner(out)) for out in outputs]

    def _unclaim(self, out: K2, key: K) -> None:
        claims = self._claims[out]
        del claims[bisect_left(claims, key)]
        if not claims:
            del self._claims[out]

    def _winner(self, out: K2) -> R | Absent:
        claims = self._claims.get(out)
        return self._outputs[claims[0]][out] if claims else ABSENT
