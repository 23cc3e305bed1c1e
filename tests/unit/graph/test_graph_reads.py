"""A node runs again exactly when something it read has changed."""

from collections.abc import Callable
from typing import TypeVar

import pytest

from lateen.graph import Collection, Graph, Input, Read

R = TypeVar("R")


class Small:
    """Items a, b, c; another input `other`; nodes that remember for which keys they ran."""

    def __init__(self) -> None:
        self.graph = Graph()
        self.items: Input[str, int] = self.graph.input("items")
        self.other: Input[str, int] = self.graph.input("other")
        self.parity = self.graph.index("parity", self.other, lambda _key, value: [value % 2])
        self.calls: list[str] = []
        for number, key in enumerate("abc"):
            self.items.set(key, number)

    def node(self, compute: Callable[[Read, str, int], R]) -> Collection[str, R]:
        def run(read: Read, key: str, value: int) -> tuple[R, tuple[()]]:
            self.calls.append(key)
            return compute(read, key, value), ()

        return self.graph.one("node", self.items, run)

    def ran(self) -> list[str]:
        """Commit; the keys that ran, sorted."""
        self.calls.clear()
        self.graph.commit()
        return sorted(self.calls)


@pytest.fixture
def small() -> Small:
    return Small()


def test_each_item_runs_once_and_only_changed_items_run_again(small: Small) -> None:
    """The item itself is a dependency."""
    node = small.node(lambda _read, _key, value: value * 10)
    assert small.ran() == ["a", "b", "c"]
    small.items.set("b", 7)
    assert small.ran() == ["b"]
    assert dict(node.items()) == {"a": 0, "b": 70, "c": 20}


def test_get_depends_on_its_key_alone(small: Small) -> None:
    """Another key of the same collection concerns nobody."""
    node = small.node(lambda read, key, _value: read.get(small.other, key))
    small.other.set("a", 1)
    small.ran()
    small.other.set("z", 1)
    assert small.ran() == []
    small.other.set("a", 2)
    assert small.ran() == ["a"]
    assert node["a"] == 2


def test_a_get_that_found_nothing_is_a_dependency(small: Small) -> None:
    """The key's coming is a change, and so is its going."""
    node = small.node(lambda read, _key, value: read.get(small.other, "late") if value == 1 else None)
    small.ran()
    small.other.set("late", 5)
    assert small.ran() == ["b"]
    assert dict(node.items()) == {"b": 5}
    small.other.delete("late")
    assert small.ran() == ["b"]
    assert len(node) == 0


def test_by_index_depends_on_its_value_alone(small: Small) -> None:
    """Members of another value concern nobody; an empty group is a dependency too."""
    node = small.node(lambda read, _key, value: tuple(read.by_index(small.parity, value).items()))
    small.other.set("x", 2)
    small.ran()
    small.other.set("y", 1)  # first of parity 1: item b asked for it
    assert small.ran() == ["b"]
    assert node["b"] == (("y", 1),)
    small.other.set("y", 3)  # stays in its group with another value
    assert small.ran() == ["b"]
    small.other.set("y", 4)  # moves from parity 1 to 0
    assert small.ran() == ["a", "b"]
    assert node["a"] == (("x", 2), ("y", 4))


def test_all_runs_on_every_change(small: Small) -> None:
    """`all` is wide: values and keys alike."""
    small.node(lambda read, _key, _value: sum(read.all(small.other).values()))
    small.ran()
    small.other.set("x", 1)
    assert small.ran() == ["a", "b", "c"]
    small.other.set("x", 2)
    assert small.ran() == ["a", "b", "c"]


def test_keys_runs_only_when_a_key_comes_or_goes(small: Small) -> None:
    """`keys` is wide on the set of keys, not on the values."""
    node = small.node(lambda read, _key, _value: read.keys(small.other))
    small.other.set("y", 1)
    small.other.set("x", 1)
    small.ran()
    assert node["a"] == ("x", "y")
    small.other.set("x", 2)
    assert small.ran() == []
    small.other.delete("x")
    assert small.ran() == ["a", "b", "c"]


def test_a_swap_of_keys_counts_as_other_keys(small: Small) -> None:
    """One key going while another comes leaves the number of keys, not the keys."""
    node = small.node(lambda read, _key, _value: read.keys(small.other))
    small.other.set("x", 1)
    small.ran()
    small.other.delete("x")
    small.other.set("y", 1)
    assert small.ran() == ["a", "b", "c"]
    assert node["c"] == ("y",)


def test_only_the_last_runs_reads_count(small: Small) -> None:
    """A node that now reads something else no longer hears of what it read before."""
    switch: Input[str, str] = small.graph.input("switch")
    small.node(lambda read, _key, _value: None)  # earlier name taken; the node under test reads `switch`
    calls: list[str] = []

    def follow(read: Read, key: str, _value: int) -> tuple[int | None, tuple[()]]:
        calls.append(key)
        return read.get(small.other, read.get(switch, key) or "x"), ()

    small.graph.one("follow", small.items, follow)
    small.ran()
    switch.set("a", "y")
    small.ran()
    calls.clear()
    small.other.set("x", 1)
    small.ran()
    assert sorted(calls) == ["b", "c"]
    calls.clear()
    small.other.set("y", 1)
    small.ran()
    assert calls == ["a"]


def test_no_dependency_is_left_behind() -> None:
    """Whatever was read before: nodes that are gone, and reads no longer done, leave nothing in anybody's tables."""
    graph = Graph()
    items: Input[int, int] = graph.input("items")
    other: Input[int, int] = graph.input("other")
    by_value = graph.index("by value", other, lambda _key, value: [value])
    graph.one("get", items, lambda read, _key, value: (read.get(other, value), ()))
    graph.many("group", items, lambda read, _key, value: (read.by_index(by_value, value), ()))
    graph.one("wide", items, lambda read, _key, value: (len(read.all(other)) if value % 2 else len(read.keys(other)), ()))
    for round_ in range(20):
        items.set(1, round_)
        other.set(round_, round_)
        graph.commit()
    edges = [len(source._readers) for source in (items, other, by_value)]
    assert edges == [0, 2, 1]  # one key and one wide read; one index value
    items.delete(1)
    other.replace({})
    graph.commit()
    assert not any(source._readers for source in (items, other, by_value))
    assert not by_value._members and not by_value._groups and not by_value._values


def test_views_are_sorted_and_stay_as_they_were() -> None:
    """A mapping that was handed out is a value: later commits do not change it, and it is shared while nothing changes."""
    graph = Graph()
    other: Input[str, int] = graph.input("other")
    tens = graph.index("tens", other, lambda _key, value: [value // 10])
    seen = graph.singleton("seen", lambda read: ((read.all(other), read.by_index(tens, 0)), ()))
    for key in "bca":
        other.set(key, 1)
    graph.commit()
    everything, group = seen[()]
    other.set("0", 2)
    graph.commit()
    assert list(everything) == list(group) == ["a", "b", "c"]
    assert list(seen[()][0]) == list(seen[()][1]) == list(other) == ["0", "a", "b", "c"]
    assert tens.get(0) is seen[()][1]
