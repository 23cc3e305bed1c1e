"""Indexes: the members of a collection grouped by values that a function gives for each of them.

Why: "all endpoints of this service" must depend on that service's endpoints only, also when there are none.
Must not read anything but the member itself.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping
from types import MappingProxyType
from typing import Generic, TypeVar

from lateen.graph.collection import ABSENT, Collection, GraphError, Ordered, Source
from lateen.graph.failure import failure
from lateen.util.problem import Problem

__all__ = ["Index"]

I = TypeVar("I", bound=Hashable)  # noqa: E741 (an index's value, as in the README)
K = TypeVar("K", bound=Ordered)
V = TypeVar("V")


class Index(Source, Generic[I, K, V]):
    """Follows its collection; one member may be under several values or none."""

    kind = "index"

    def __init__(self, over: Collection[K, V], name: str, rank: int, fn: Callable[[K, V], Iterable[I]]) -> None:
        super().__init__(over._home, name, rank, (over,))
        self._data, self._fn = over._data, fn
        self._values: dict[K, tuple[I, ...]] = {}
        self._members: dict[I, set[K]] = {}
        self._groups: dict[I, Mapping[K, V]] = {}
        self._failures: dict[K, Problem] = {}
        over._followers.append(self._follow)
        self._follow(frozenset(over._data))

    def get(self, value: I) -> Mapping[K, V]:
        """The members under a value, sorted by key, as of the last commit."""
        self._home.check_idle(self.name)
        return self._group(value)

    def _group(self, value: I) -> Mapping[K, V]:
        if value not in self._members:
            return MappingProxyType({})
        if value not in self._groups:
            self._groups[value] = MappingProxyType({key: self._data[key] for key in sorted(self._members[value])})
        return self._groups[value]

    def _follow(self, changed: frozenset[K]) -> None:
        touched: set[I] = set()
        for key in changed:
            before = self._values.pop(key, ())
            after = self._values_of(key, before)
            if after:
                self._values[key] = after
            self._move(key, before, after)
            touched.update(before, after)
        for value in touched:
            self._groups.pop(value, None)
            self._wake(value)

    def _values_of(self, key: K, before: tuple[I, ...]) -> tuple[I, ...]:
        self._failures.pop(key, None)
        member = self._data.get(key, ABSENT)
        if member is ABSENT:
            return ()
        try:
            return tuple(dict.fromkeys(self._fn(key, member)))
        except GraphError:
            raise
        except Exception as error:
            self._failures[key] = failure(self.name, key, error)
            return before

    def _move(self, key: K, before: tuple[I, ...], after: tuple[I, ...]) -> None:
        if before == after:
            return
        for value in before:
            self._members[value].discard(key)
            if not self._members[value]:
                del self._members[value]
        for value in after:
            self._members.setdefault(value, set()).add(key)

    def _problems(self) -> Iterable[tuple[Ordered, tuple[Problem, ...]]]:
        return [(key, (self._failures[key],)) for key in sorted(self._failures)]
