"""Staging, cut-off, order, and what a commit reports."""

from msgspec import Struct

from lateen.graph import Graph, Input, Read


class Plan(Struct, frozen=True):
    port: int


def test_nothing_is_seen_before_the_commit() -> None:
    """Changes are staged; the last one for a key counts."""
    graph = Graph()
    items: Input[str, int] = graph.input("items")
    items.set("a", 1)
    items.set("a", 2)
    items.set("b", 3)
    items.delete("b")
    items.delete("never there")
    assert items.get("a") is None and len(items) == 0
    commit = graph.commit()
    assert dict(items.items()) == {"a": 2}
    assert commit.revision == graph.revision == 1
    assert commit.changed == {items: {"a"}}


def test_setting_what_is_already_there_changes_nothing() -> None:
    """An equal value is no change: no node runs, the old object stays, nothing is reported."""
    graph = Graph()
    items: Input[str, Plan] = graph.input("items")
    ports = graph.one("ports", items, lambda _read, _key, plan: (plan.port, ()))
    first = Plan(80)
    items.set("a", first)
    graph.commit()
    items.set("a", Plan(80))
    assert graph.commit().changed == {}
    assert items["a"] is first
    items.delete("a")
    items.set("a", Plan(80))
    assert graph.commit().changed == {}
    assert graph.counters == {}
    assert ports["a"] == 80


def test_replace_makes_the_given_values_the_whole_content() -> None:
    """Keys not given go, also those staged a moment ago; keys that stay with an equal value have not changed."""
    graph = Graph()
    items: Input[str, int] = graph.input("items")
    items.replace({"a": 1, "b": 2})
    graph.commit()
    items.set("staged", 9)
    items.replace({"b": 2, "c": 3})
    assert graph.commit().changed == {items: {"a", "c"}}
    assert dict(items.items()) == {"b": 2, "c": 3}


def test_an_equal_result_keeps_its_object_and_stops_there() -> None:
    """Early cut-off: dependants of a node whose new result equals the old do not run."""
    graph = Graph()
    items: Input[str, int] = graph.input("items")
    plans = graph.one("plans", items, lambda _read, _key, value: (Plan(value // 10), ()))
    shown = graph.one("shown", plans, lambda _read, _key, plan: (str(plan.port), ()))
    items.set("a", 10)
    graph.commit()
    before = plans["a"]
    items.set("a", 11)
    commit = graph.commit()
    assert commit.changed == {items: {"a"}}
    assert graph.counters == {"plans": 1}
    assert plans["a"] is before
    items.set("a", 20)
    assert graph.commit().keys(shown) == {"a"}
    assert graph.counters == {"plans": 1, "shown": 1}


def test_no_node_sees_old_beside_new() -> None:
    """A diamond: the node below two ways runs once, when both have settled."""
    graph = Graph()
    source: Input[str, int] = graph.input("source")
    left = graph.one("left", source, lambda _read, _key, value: (value, ()))
    longer = graph.one("longer", left, lambda _read, _key, value: (value, ()))
    right = graph.one("right", longer, lambda _read, _key, value: (value, ()))
    seen: list[tuple[int | None, int | None, int | None]] = []

    def below(read: Read) -> tuple[None, tuple[()]]:
        seen.append((read.get(source, "a"), read.get(left, "a"), read.get(right, "a")))
        return None, ()

    graph.singleton("below", below)
    for value in (1, 2, 3):
        source.set("a", value)
        graph.commit()
    assert seen == [(1, 1, 1), (2, 2, 2), (3, 3, 3)]


def test_an_unread_change_runs_one_node() -> None:
    """One change among many items costs one node per collection that depends on it."""
    graph = Graph()
    items: Input[int, int] = graph.input("items")
    single = graph.one("single", items, lambda _read, _key, value: (value, ()))
    graph.one("second", single, lambda _read, _key, value: (value, ()))
    items.replace({number: number for number in range(1000)})
    graph.commit()
    assert graph.counters == {"single": 1000, "second": 1000}
    items.set(500, -1)
    graph.commit()
    assert graph.counters == {"single": 1, "second": 1}


def test_deleting_a_key_takes_all_that_was_made_of_it() -> None:
    """Outputs, problems and everything further down go with their parent; None is no output."""
    graph = Graph()
    scopes: Input[str, int] = graph.input("scopes")
    plans = graph.many("plans", scopes, lambda _read, scope, n: ({(scope, i): i for i in range(n)}, ()))
    frames = graph.one("frames", plans, lambda _read, _key, i: (i or None, ()))
    scopes.replace({"one": 3, "two": 2})
    graph.commit()
    assert list(frames) == [("one", 1), ("one", 2), ("two", 1)]
    scopes.delete("one")
    commit = graph.commit()
    assert commit.keys(frames) == {("one", 1), ("one", 2)}
    assert list(plans) == [("two", 0), ("two", 1)]
    assert graph.counters == {}
    scopes.set("one", 3)
    assert graph.commit().keys(frames) == {("one", 1), ("one", 2)}


def test_a_collection_added_later_starts_from_what_is_there() -> None:
    """Collections and indexes created after commits are filled: indexes at once, others by the next commit."""
    graph = Graph()
    items: Input[str, int] = graph.input("items")
    items.replace({"a": 1, "b": 2})
    graph.commit()
    odd = graph.index("odd", items, lambda _key, value: [value % 2])
    late = graph.one("late", items, lambda read, _key, value: (len(read.by_index(odd, value % 2)), ()))
    joined = graph.join("joined", items, graph.input("empty"))
    items.delete("a")
    assert graph.commit().keys(late) == {"b"}
    assert dict(late.items()) == {"b": 1}
    assert dict(joined.items()) == {"b": 2}


def test_a_singleton_has_one_value_under_the_empty_key() -> None:
    """It runs without any item, and again when what it read changes."""
    graph = Graph()
    items: Input[str, int] = graph.input("items")
    total = graph.singleton("total", lambda read: (sum(read.all(items).values()) or None, ()))
    graph.commit()
    assert total.get(()) is None
    items.set("a", 2)
    assert graph.commit().keys(total) == {()}
    assert total[()] == 2
