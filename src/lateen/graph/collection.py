"""Collections: tables of key → frozen value, and who has read what in them.

Why: a commit must know which values really changed (`==`, the old object is kept) and whom that concerns.
Must not know how values are computed (derive.py) nor in which order (commit.py).
"""

# ruff: noqa: SLF001 (the classes of this package are one engine; its users see none of these names)

from collections.abc import Callable, ItemsView, Iterable, Iterator, Mapping, Sized
from enum import Enum
from types import MappingProxyType
from typing import Final, Generic, Protocol, Self, TypeVar

from lateen.graph.failure import FAILED, failure
from lateen.util.problem import Problem

__all__ = [
    "ABSENT",
    "Absent",
    "Collection",
    "GraphError",
    "Home",
    "Input",
    "Join",
    "K",
    "Ordered",
    "Problems",
    "Reader",
    "Source",
    "V",
    "Wide",
]

Problems = tuple[Problem, ...]


class GraphError(Exception):
    """The program uses the graph wrongly (never: the data is wrong). The graph is not usable after it."""


class Absent(Enum):
    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT


class Wide(Enum):
    """What a wide read depends on: every key and value, or the set of keys alone."""

    ALL = "all"
    KEYS = "keys"


class Ordered(Protocol):
    """What a key must be: hashable, and sortable with the other keys of its collection."""

    def __hash__(self) -> int: ...
    def __lt__(self, other: Self, /) -> bool: ...


_FEW = 64  # readers of an edge that a list holds
K = TypeVar("K", bound=Ordered)
V = TypeVar("V")
V_co = TypeVar("V_co", covariant=True)


class Reader(Protocol):
    """Something that must run again when what it read changed."""

    def wake(self) -> None: ...


class Home:
    """What the parts of one graph share: whether a commit is running (for ever, if it raised), and its runs by name."""

    def __init__(self) -> None:
        self.running = False
        self.runs: dict[str, int] = {}

    def check_idle(self, name: str) -> None:
        if self.running:
            raise GraphError(
                f"'{name}' was used inside a function of the graph, which may use only its `read` argument; or after a "
                "commit that raised: build a new graph then"
            )


class Source:
    """Anything that can be read: a collection or an index. Edges are keys, index values or `Wide`."""

    kind = "source"

    def __init__(self, home: Home, name: str, rank: int, parents: "tuple[Source, ...]") -> None:
        self.name, self.rank, self._home, self._parents = name, rank, home, parents
        self._readers: dict[object, Reader | list[Reader] | set[Reader]] = {}  # one, up to _FEW, or many: most edges have one
        self._problems: dict[Ordered, Problems] = {}
        self._due: Sized = ()  # empty: nothing to settle
        if any(parent._home is not home for parent in parents):
            raise GraphError(f"'{name}' is built over a collection of another graph")

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name}>"

    def _remember(self, edge: object, reader: Reader) -> None:
        """A reader that did not read this before."""
        known = self._readers.get(edge)
        if known is None:
            self._readers[edge] = reader
        elif isinstance(known, set):
            known.add(reader)
        elif not isinstance(known, list):
            self._readers[edge] = [known, reader]
        elif len(known) < _FEW:
            known.append(reader)
        else:
            self._readers[edge] = {*known, reader}

    def _forget(self, edge: object, reader: Reader) -> None:
        """A reader that did read this before."""
        known = self._readers[edge]
        if isinstance(known, set):
            known.discard(reader)
        elif isinstance(known, list):
            known.remove(reader)
        if not isinstance(known, (set, list)) or not known:
            del self._readers[edge]

    def _waiting(self) -> dict[object, int]:
        """How many read each edge."""
        return {edge: len(known) if isinstance(known, (set, list)) else 1 for edge, known in self._readers.items()}

    def _wake(self, edge: object) -> None:
        known = self._readers.get(edge)
        if known is None:
            return
        for reader in known if isinstance(known, (set, list)) else (known,):
            reader.wake()

    def _report(self, key: Ordered, problems: Problems) -> None:
        """Make these the key's problems."""
        if problems:
            self._problems[key] = problems
        else:
            self._problems.pop(key, None)

    def _fail(self, key: Ordered, error: Exception) -> None:
        """Add what the key's function raised to the problems of its last good result."""
        good = (problem for problem in self._problems.get(key, ()) if problem.code != FAILED)
        self._problems[key] = (*good, failure(self.name, key, error))

    def _settle(self) -> frozenset[Ordered]:
        """Take this commit's changes over and say which keys changed; an index settles with its collection."""
        return frozenset()


class Collection(Source, Generic[K, V_co]):
    """A table that others can read. Compared by identity; iterates its keys, sorted."""

    kind = "collection"

    def __init__(self, home: Home, name: str, rank: int, parents: tuple[Source, ...] = ()) -> None:
        super().__init__(home, name, rank, parents)
        self._data: dict[K, V_co] = {}
        self._followers: list[Callable[[frozenset[K]], None]] = []
        self._sorted: tuple[K, ...] | None = None
        self._view: Mapping[K, V_co] | None = None

    @property
    def _settled(self) -> Mapping[K, V_co]:
        """The content, for use outside the graph's functions."""
        self._home.check_idle(self.name)
        return self._data

    def get(self, key: K) -> V_co | None:
        return self._settled.get(key)

    def __getitem__(self, key: K) -> V_co:
        return self._settled[key]

    def __contains__(self, key: K) -> bool:
        return key in self._settled

    def __len__(self) -> int:
        return len(self._settled)

    def __iter__(self) -> Iterator[K]:
        self._home.check_idle(self.name)
        return iter(self._keys())

    def items(self) -> ItemsView[K, V_co]:
        """Every key and value as of the last commit, sorted by key; later commits do not change it."""
        self._home.check_idle(self.name)
        return self._all().items()

    def _keys(self) -> tuple[K, ...]:
        if self._sorted is None:
            self._sorted = tuple(sorted(self._data))
        return self._sorted

    def _all(self) -> Mapping[K, V_co]:
        if self._view is None:
            self._view = MappingProxyType({key: self._data[key] for key in self._keys()})
        return self._view

    def _recompute(self) -> Iterable[tuple[K, V_co | Absent]]:
        """The keys that may have changed, each with its new value."""
        raise NotImplementedError

    def _settle(self) -> frozenset[K]:
        changed, other_keys = [], False
        for key, new in self._recompute():
            old = self._data.get(key, ABSENT)
            if new is old or new == old:
                continue
            changed.append(key)
            other_keys = other_keys or new is ABSENT or old is ABSENT
            if new is ABSENT:
                del self._data[key]
            else:
                self._data[key] = new
        return self._announce(frozenset(changed), other_keys=other_keys) if changed else frozenset()

    def _announce(self, changed: frozenset[K], *, other_keys: bool) -> frozenset[K]:
        self._view = None
        if other_keys:
            self._sorted = None
            self._wake(Wide.KEYS)
        self._wake(Wide.ALL)
        for key in changed & self._readers.keys():
            self._wake(key)
        for follow in self._followers:
            follow(changed)
        return changed


class Input(Collection[K, V]):
    """A collection filled from outside. Changes are staged; the next commit takes them over."""

    kind = "input"

    def __init__(self, home: Home, name: str, rank: int) -> None:
        super().__init__(home, name, rank)
        self._due = self._staged = dict[K, V | Absent]()

    def set(self, key: K, value: V) -> None:
        self._home.check_idle(self.name)
        self._staged[key] = value

    def delete(self, key: K) -> None:
        """Deleting a key that is not there does nothing."""
        self._home.check_idle(self.name)
        self._staged[key] = ABSENT

    def replace(self, values: Mapping[K, V]) -> None:
        """Make `values` the whole content."""
        self._home.check_idle(self.name)
        self._staged.clear()
        self._staged.update(dict.fromkeys(self._data, ABSENT))
        self._staged.update(values)

    def _recompute(self) -> Iterable[tuple[K, V | Absent]]:
        staged = tuple(self._staged.items())
        self._staged.clear()
        return staged


class Join(Collection[K, V_co]):
    """The union of collections; where two hold one key, the earlier wins."""

    kind = "join"

    def __init__(self, home: Home, name: str, rank: int, parents: tuple[Collection[K, V_co], ...]) -> None:
        super().__init__(home, name, rank, parents)
        self._tables = tuple(parent._data for parent in parents)
        self._due = self._dirty = set[K]().union(*self._tables)
        for parent in parents:
            parent._followers.append(self._dirty.update)

    def _recompute(self) -> Iterable[tuple[K, V_co | Absent]]:
        dirty = tuple(self._dirty)
        self._dirty.clear()
        return [(key, next((table[key] for table in self._tables if key in table), ABSENT)) for key in dirty]
