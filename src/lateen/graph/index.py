"""Indexes: the members of a collection grouped by values that a function gives for each of them.

Why: "all endpoints of this service" must depend on that service's endpoints only, also when there are none.
Must not read anything but the member itself.
"""

# ruff: noqa: SLF001 (the classes of this package are one engine; its users see none of these names)

from collections.abc import Callable, Hashable, Iterable, Mapping
from types import MappingProxyType
from typing import Generic, TypeVar

from lateen.graph.collection import ABSENT, Collection, GraphError, K, Source, V

__all__ = ["I", "Index"]

I = TypeVar("I", bound=Hashable)  # noqa: E741 (an index's value, as in the README)


class Index(Source, Generic[I, K, V]):
    """Follows its collection; one member may be under several values or none."""

    kind = "index"

    def __init__(self, over: Collection[K, V], name: str, rank: int, fn: Callable[[K, V], Iterable[I]]) -> None:
        super().__init__(over._home, name, rank, (over,))
        self._data, self._fn = over._data, fn
        self._values: dict[K, tuple[I, ...]] = {}
        self._members: dict[I, set[K]] = {}
        self._groups: dict[I, Mapping[K, V]] = {}
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
            for value in before:
                if value not in after:
                    self._leave(value, key)
            for value in after:
                self._members.setdefault(value, set()).add(key)
            touched.update(before, after)
        for value in touched:
            self._groups.pop(value, None)
            self._wake(value)

    def _values_of(self, key: K, before: tuple[I, ...]) -> tuple[I, ...]:
        member = self._data.get(key, ABSENT)
        try:
            values = () if member is ABSENT else tuple(dict.fromkeys(self._fn(key, member)))
        except GraphError:
            raise
        except Exception as error:  # noqa: BLE001 (whatever it raised, the others go on)
            self._fail(key, error)
            return before
        self._report(key, ())
        return values

    def _leave(self, value: I, key: K) -> None:
        members = self._members[value]
        members.discard(key)
        if not members:
            del self._members[value]
