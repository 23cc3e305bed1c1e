"""Problems are values; a function that raises harms nobody else; wrong programs are told so."""

from collections.abc import Iterator
from types import MappingProxyType

import pytest

from lateen.graph import Graph, GraphError, Input, Read
from lateen.graph.collection import Ordered
from lateen.util.problem import Problem

Found = tuple[int | None, tuple[Problem, ...]]


def odd(_read: Read, key: str, value: int) -> Found:
    """Refuses 13 with an exception, reports odd values."""
    if value == 13:
        raise ValueError("thirteen")
    return value, (Problem(code="odd", message=f"{key} is odd"),) if value % 2 else ()


def codes(graph: Graph) -> dict[tuple[str, Ordered], list[str]]:
    return {where: [problem.code for problem in problems] for where, problems in graph.problems().items()}


def test_problems_are_listed_until_the_node_runs_without_them() -> None:
    """By collection and key, sorted; they go with the key."""
    graph = Graph()
    items: Input[str, int] = graph.input("items")
    graph.one("second", items, odd)
    graph.one("first", items, odd)
    items.replace({"b": 1, "a": 3, "c": 2})
    graph.commit()
    assert list(graph.problems()) == [("first", "a"), ("first", "b"), ("second", "a"), ("second", "b")]
    assert isinstance(graph.problems(), MappingProxyType)
    items.set("a", 4)
    items.delete("b")
    graph.commit()
    assert graph.problems() == {}


def test_a_function_that_raises_keeps_its_last_good_result() -> None:
    """The others go on; the problem says what, for whom and where, beside the problems of the result in use."""
    graph = Graph()
    items: Input[str, int] = graph.input("items")
    plans = graph.one("plans", items, odd)
    below = graph.one("below", plans, lambda _read, _key, value: (value, ()))
    items.replace({"a": 1, "b": 2})
    graph.commit()
    items.replace({"a": 13, "b": 4, "new": 13})
    assert graph.commit().keys(below) == {"b"}
    assert dict(plans.items()) == {"a": 1, "b": 4}
    assert codes(graph) == {("plans", "a"): ["odd", "internal"], ("plans", "new"): ["internal"]}
    internal = graph.problems()["plans", "a"][1]
    assert internal.severity == "error"
    assert "computing 'plans' for 'a' raised ValueError: thirteen in odd, line " in internal.message
    items.set("a", 13)
    items.set("new", 4)
    graph.commit()
    assert codes(graph) == {("plans", "a"): ["odd", "internal"]}
    items.set("a", 6)
    graph.commit()
    assert graph.problems() == {}
    assert dict(below.items()) == {"a": 6, "b": 4, "new": 4}


def test_a_failing_node_that_fails_again_reports_once() -> None:
    """The problem is the last failure's, not a list of all."""
    graph = Graph()
    items: Input[str, int] = graph.input("items")
    other: Input[str, int] = graph.input("other")
    graph.one("ratio", items, lambda read, _key, value: (value // (read.get(other, "by") or 0), ()))
    items.set("a", 1)
    graph.commit()
    items.set("a", 2)
    graph.commit()
    assert codes(graph) == {("ratio", "a"): ["internal"]}


def test_a_failing_node_runs_again_when_what_it_had_read_changes() -> None:
    """Reads before the exception are dependencies."""
    graph = Graph()
    items: Input[str, int] = graph.input("items")
    other: Input[str, int] = graph.input("other")
    ratio = graph.one("ratio", items, lambda read, _key, value: (value // (read.get(other, "by") or 0), ()))
    items.set("a", 6)
    graph.commit()
    other.set("by", 2)
    graph.commit()
    assert ratio["a"] == 3
    assert graph.problems() == {}


def test_a_failing_nodes_outputs_go_with_its_key() -> None:
    """The last good result lives as long as the item."""
    graph = Graph()
    items: Input[str, int] = graph.input("items")
    parts = graph.many("parts", items, lambda _read, key, value: ({f"{key}{n}": n for n in range(6 // value)}, ()))
    items.set("a", 3)
    graph.commit()
    items.set("a", 0)
    graph.commit()
    assert list(parts) == ["a0", "a1"]
    items.delete("a")
    graph.commit()
    assert len(parts) == 0
    assert graph.problems() == {}


def test_a_result_of_the_wrong_shape_is_a_failure_of_its_node_alone() -> None:
    """What a function returns is checked where it is called."""
    graph = Graph()
    items: Input[str, int] = graph.input("items")
    parts = graph.many("parts", items, lambda _read, key, value: ({key: value} if value else None, ()))  # type: ignore[arg-type, return-value]
    pairs = graph.one("pairs", items, lambda _read, _key, value: (value, ()) if value else value)  # type: ignore[arg-type, return-value]
    items.replace({"a": 0, "b": 1})
    graph.commit()
    assert dict(parts.items()) == dict(pairs.items()) == {"b": 1}
    assert codes(graph) == {("pairs", "a"): ["internal"], ("parts", "a"): ["internal"]}


def test_an_index_function_that_raises_keeps_the_items_last_values() -> None:
    """Also when it raises half way; the item's new value shows under the old index values."""
    graph = Graph()
    items: Input[str, int] = graph.input("items")

    def group(_key: str, value: int) -> Iterator[int]:
        yield 12 // value

    groups = graph.index("groups", items, group)
    items.set("a", 4)
    graph.commit()
    items.set("a", 0)
    graph.commit()
    assert groups.get(3) == {"a": 0}
    assert codes(graph) == {("groups", "a"): ["internal"]}
    items.set("a", 6)
    graph.commit()
    assert (groups.get(3), groups.get(2)) == ({}, {"a": 6})
    assert graph.problems() == {}


def test_reading_what_is_created_later_is_a_programmer_error() -> None:
    """The message names both and says what to do; the graph is closed after it."""
    graph = Graph()
    items: Input[str, int] = graph.input("items")
    later: list[Input[str, int]] = []
    graph.one("early", items, lambda read, key, _value: (read.get(later[0], key), ()))
    later.append(graph.input("late"))
    items.set("a", 1)
    with pytest.raises(GraphError, match=r"'early' read 'late', which is created after it .* Create 'late' first"):
        graph.commit()
    with pytest.raises(GraphError, match="build a new graph"):
        graph.commit()


def test_reading_oneself_is_a_programmer_error() -> None:
    """A collection has no value of its own while it is computed."""
    graph = Graph()
    items: Input[str, int] = graph.input("items")
    itself: list[Input[str, int]] = []
    itself.append(graph.one("loop", items, lambda read, key, _value: (read.get(itself[0], key), ())))  # type: ignore[arg-type]
    items.set("a", 1)
    with pytest.raises(GraphError, match="'loop' read 'loop'"):
        graph.commit()


@pytest.mark.parametrize(
    "use", ["get", "items", "contains", "len", "iter", "getitem", "index", "set", "delete", "replace", "commit", "add"]
)
def test_using_the_graph_inside_a_function_other_than_by_read_is_a_programmer_error(use: str) -> None:
    """Such a read would not be recorded, such a write not be in order."""
    graph = Graph()
    items: Input[str, int] = graph.input("items")
    index = graph.index("index", items, lambda _key, value: [value])
    uses = {
        "get": lambda: items.get("a"),
        "items": items.items,
        "contains": lambda: "a" in items,
        "len": lambda: len(items),
        "iter": lambda: list(items),
        "getitem": lambda: items["a"],
        "index": lambda: index.get(1),
        "set": lambda: items.set("b", 1),
        "delete": lambda: items.delete("b"),
        "replace": lambda: items.replace({}),
        "commit": graph.commit,
        "add": lambda: graph.join("more", items),
    }
    graph.singleton("wrong", lambda _read: (uses[use](), ()))  # type: ignore[no-untyped-call]
    with pytest.raises(GraphError, match="may use only its `read` argument"):
        graph.commit()


def test_an_index_function_may_not_use_the_graph_either() -> None:
    """It sees the item alone."""
    graph = Graph()
    items: Input[str, int] = graph.input("items")
    graph.index("index", items, lambda key, _value: [items.get(key)])
    items.set("a", 1)
    with pytest.raises(GraphError, match="'items' was used inside a function"):
        graph.commit()


def test_read_may_not_be_kept() -> None:
    """A read after the call has ended would not be recorded."""
    graph = Graph()
    items: Input[str, int] = graph.input("items")
    kept: list[Read] = []

    def keep(read: Read) -> tuple[None, tuple[()]]:
        kept.append(read)
        return None, ()

    graph.singleton("keeps", keep)
    graph.commit()
    with pytest.raises(GraphError, match="after its call had ended"):
        kept[0].get(items, "a")


def test_names_are_unique_and_graphs_do_not_mix() -> None:
    """Both are found when the graph is built, or at the first read."""
    one, two = Graph(), Graph()
    items: Input[str, int] = one.input("items")
    foreign: Input[str, int] = two.input("foreign")
    with pytest.raises(GraphError, match="two collections named 'items'"):
        one.input("items")
    with pytest.raises(GraphError, match="'mixed' is built over a collection of another graph"):
        one.join("mixed", items, foreign)
    for count in range(3):
        one.input(f"more{count}")
    one.singleton("reads", lambda read: (read.get(foreign, "a"), ()))
    with pytest.raises(GraphError, match="'foreign', which belongs to another graph"):
        one.commit()
