"""Any history of changes leaves the graph as if it had been built from the final state at once.

Compared with a graph built afresh: every value, index group and problem, and every recorded dependency (no leaks).
Graph shapes grow at random too, also after commits. A raising function keeps its last result, so its history shows:
functions that raise are tested one by one, in tests/unit/graph.
"""

from collections.abc import Iterable, Mapping
from random import Random
from typing import NamedTuple, cast

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lateen.graph import Collection, Graph, Index, Input, Read
from lateen.graph.debug import dump
from lateen.util.problem import Problem

Key = tuple[int, ...]
Table = Collection[Key, int]
State = tuple[dict[Key, int], ...]

INPUTS = 3
LARGEST_GRAPH = 9
KEYS = st.integers(0, 4).map(lambda n: (n,))
VALUES = st.integers(0, 3)
SMALL = st.integers(0, 20)


class Step(NamedTuple):
    """One read of a function: of what, and how the key or index value follows from what was read before."""

    op: str
    which: int
    shift: int


class Shape(NamedTuple):
    """One derived collection or index, built over earlier ones chosen by number."""

    kind: str
    over: tuple[int, int]
    steps: tuple[Step, ...]
    spread: int


STEPS = st.builds(Step, st.sampled_from(["get", "get", "by_index", "all", "keys"]), SMALL, SMALL)
SHAPES = st.builds(
    Shape,
    st.sampled_from(["one", "many", "many", "singleton", "join", "index"]),
    st.tuples(SMALL, SMALL),
    st.lists(STEPS, max_size=3).map(tuple),
    st.integers(2, 4),
)


def digest(values: Iterable[tuple[Key, int]]) -> int:
    """One number for a table; depends on the order, which must not vary."""
    total = 1
    for key, value in values:
        total = (total * 31 + sum(key) * 7 + len(key) + value * 3) % 1009
    return total


class World:
    """A graph of given shapes over `INPUTS` inputs."""

    def __init__(self, shapes: Iterable[Shape] = ()) -> None:
        self.graph = Graph()
        self.inputs: list[Input[Key, int]] = [self.graph.input(f"in{n}") for n in range(INPUTS)]
        self.tables: list[Table] = list(self.inputs)
        self.indexes: list[Index[int, Key, int]] = []
        for shape in shapes:
            self.add(shape)

    def add(self, shape: Shape) -> None:
        name = f"{shape.kind}{len(self.tables) + len(self.indexes)}"
        over, other = (self.tables[n % len(self.tables)] for n in shape.over)
        match shape.kind:
            case "one":
                self.tables.append(self.graph.one(name, over, self._one(shape)))
            case "many":
                self.tables.append(self.graph.many(name, over, self._many(shape)))
            case "singleton":
                call = self._one(shape)
                self.tables.append(cast("Table", self.graph.singleton(name, lambda read: call(read, (), shape.spread))))
            case "join":
                self.tables.append(self.graph.join(name, over, other))
            case _:
                self.indexes.append(self.graph.index(name, over, lambda key, value: {value, sum(key) % shape.spread}))

    def fill(self, state: State, random: Random) -> None:
        """Set the state in any order, in any number of commits."""
        changes = [(table, key, value) for table, values in zip(self.inputs, state, strict=True) for key, value in values.items()]
        random.shuffle(changes)
        for table, key, value in changes:
            table.set(key, value)
            if random.random() < 0.2:
                self.graph.commit()
        self.graph.commit()

    def content(self) -> dict[str, dict[Key, int]]:
        return {table.name: dict(table.items()) for table in self.tables}

    def groups(self) -> list[dict[int, list[tuple[Key, int]]]]:
        return [{value: list(index.get(value).items()) for value in range(5)} for index in self.indexes]

    def edges(self) -> dict[str, dict[object, int]]:
        """How many nodes wait for each key of each source."""
        return {name: source._waiting() for name, source in self.graph._sources.items()}

    def _one(self, shape: Shape):  # type: ignore[no-untyped-def] # noqa: ANN202 (inferred; two shapes of one thing)
        run = self._program(shape)

        def one(read: Read, key: Key, value: int) -> tuple[int | None, tuple[Problem, ...]]:
            total = run(read, key, value)
            problems = (Problem(code="odd", message=str(total % 4)),) if total % 4 == 3 else ()
            return (None if total % 5 == 0 else total % 3), problems

        return one

    def _many(self, shape: Shape):  # type: ignore[no-untyped-def] # noqa: ANN202
        run = self._program(shape)

        def many(read: Read, key: Key, value: int) -> tuple[Mapping[Key, int], tuple[Problem, ...]]:
            total = run(read, key, value)
            outputs: dict[Key, int] = {((total + n) % shape.spread,): (total + n) % 3 for n in range(total % 3)}
            return outputs, (Problem(code="many", message=str(len(outputs))),)

        return many

    def _program(self, shape: Shape):  # type: ignore[no-untyped-def] # noqa: ANN202
        tables, indexes = tuple(self.tables), tuple(self.indexes)

        def run(read: Read, key: Key, value: int) -> int:
            total = digest([(key, value)])
            for step in shape.steps:
                table = tables[step.which % len(tables)]
                wanted = total + step.shift
                if step.op == "all":
                    total += digest(read.all(table).items())
                elif step.op == "keys":
                    total += digest((found, 0) for found in read.keys(table))
                elif step.op == "by_index" and indexes:
                    total += digest(read.by_index(indexes[step.which % len(indexes)], wanted % 5).items())
                else:
                    found = read.get(table, () if table.name.startswith("singleton") else (wanted % 5,))
                    total += 17 if found is None else found
            return total

        return run


class GraphMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.shapes: list[Shape] = []
        self.state: State = tuple({} for _ in range(INPUTS))
        self.staged = False

    @precondition(lambda self: len(self.shapes) < LARGEST_GRAPH)
    @rule(shape=SHAPES)
    def grow(self, shape: Shape) -> None:
        self.shapes.append(shape)
        self.world.add(shape)
        self.staged = True

    @rule(which=st.integers(0, INPUTS - 1), key=KEYS, value=VALUES)
    def set(self, which: int, key: Key, value: int) -> None:
        self.world.inputs[which].set(key, value)
        self.state[which][key] = value
        self.staged = True

    @rule(which=st.integers(0, INPUTS - 1), key=KEYS)
    def delete(self, which: int, key: Key) -> None:
        self.world.inputs[which].delete(key)
        self.state[which].pop(key, None)
        self.staged = True

    @rule(which=st.integers(0, INPUTS - 1), values=st.dictionaries(KEYS, VALUES, max_size=4))
    def replace(self, which: int, values: dict[Key, int]) -> None:
        self.world.inputs[which].replace(values)
        self.state[which].clear()
        self.state[which].update(values)
        self.staged = True

    @rule()
    def commit(self) -> None:
        """`changed` is the true difference; what did not change is the same object as before."""
        before = self.world.content()
        commit = self.world.graph.commit()
        after = self.world.content()
        self.staged = False
        for table in self.world.tables:
            old, new = before[table.name], after[table.name]
            assert commit.keys(table) == {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}
        assert all(commit.changed.values())

    @rule(random=st.randoms(use_true_random=False))
    def compare_with_a_fresh_graph(self, random: Random) -> None:
        self.commit()
        fresh = World(self.shapes)
        fresh.fill(self.state, random)
        assert self.world.content() == fresh.content()
        assert self.world.groups() == fresh.groups()
        assert self.world.graph.problems() == fresh.graph.problems()
        assert self.world.edges() == fresh.edges()
        assert dump(self.world.graph)["collections"] == dump(fresh.graph)["collections"]

    @precondition(lambda self: not self.staged)
    @invariant()
    def nothing_staged_means_nothing_to_do(self) -> None:
        assert not self.world.graph.commit().changed
        assert not self.world.graph.counters


TestGraphMachine = GraphMachine.TestCase
TestGraphMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
