"""Keys that come from more than one place: one rule says which shows, and the others wait."""

import itertools

import pytest

from lateen.graph import Collection, Graph, Input

Words = tuple[str, ...]


def hosts_by_owner(graph: Graph) -> tuple[Input[str, Words], Collection[str, str]]:
    """Each owner claims hosts; the value tells who has it."""
    owners: Input[str, Words] = graph.input("owners")
    return owners, graph.many("hosts", owners, lambda _read, owner, hosts: (dict.fromkeys(hosts, owner), ()))


@pytest.mark.parametrize("order", list(itertools.permutations("abc")))
def test_the_smallest_parent_key_wins_in_any_order_of_arrival(order: tuple[str, ...]) -> None:
    """Who came first does not matter, not even in commits of their own."""
    graph = Graph()
    owners, hosts = hosts_by_owner(graph)
    for owner in order:
        owners.set(owner, ("x",))
        graph.commit()
    assert dict(hosts.items()) == {"x": "a"}


def test_the_next_takes_over_when_the_winner_goes_or_gives_up() -> None:
    """Results in reserve show as soon as they are the smallest; only then is the key reported as changed."""
    graph = Graph()
    owners, hosts = hosts_by_owner(graph)
    owners.replace({"a": ("x", "y"), "b": ("x",), "c": ("x",)})
    graph.commit()
    owners.set("a", ("y",))
    assert graph.commit().keys(hosts) == {"x"}
    assert dict(hosts.items()) == {"x": "b", "y": "a"}
    owners.delete("c")
    assert graph.commit().keys(hosts) == frozenset()
    owners.delete("b")
    assert graph.commit().keys(hosts) == {"x"}
    assert dict(hosts.items()) == {"y": "a"}


def test_many_keeps_the_objects_that_stay_equal() -> None:
    """A parent that runs again changes only those of its outputs that differ."""
    graph = Graph()
    items: Input[str, Words] = graph.input("items")
    parts = graph.many("parts", items, lambda _read, _key, words: ({n: (word,) for n, word in enumerate(words)}, ()))
    items.set("a", ("x", "y", "z"))
    graph.commit()
    before = [parts[n] for n in range(3)]
    items.set("a", ("x", "other", "z"))
    assert graph.commit().keys(parts) == {1}
    assert parts[0] is before[0] and parts[2] is before[2]
    assert parts._outputs["a"][0] is before[0]  # type: ignore[attr-defined] # (no second copy is held)


def test_an_output_may_move_between_parents_without_changing() -> None:
    """In one commit one parent gives a key up and another takes it with an equal value: nothing has changed."""
    graph = Graph()
    items: Input[str, Words] = graph.input("items")
    parts = graph.many("parts", items, lambda _read, _key, words: (dict.fromkeys(words, 1), ()))
    items.replace({"a": ("x",), "b": ()})
    graph.commit()
    items.replace({"a": (), "b": ("x",)})
    assert graph.commit().changed == {items: {"a", "b"}}
    assert dict(parts.items()) == {"x": 1}


def test_the_earlier_collection_wins_in_a_join() -> None:
    """The later one's value shows while the earlier has none."""
    graph = Graph()
    api: Input[str, int] = graph.input("api")
    files: Input[str, int] = graph.input("files")
    both = graph.join("both", api, files)
    files.replace({"a": 1, "b": 1})
    graph.commit()
    api.set("a", 2)
    assert graph.commit().keys(both) == {"a"}
    assert dict(both.items()) == {"a": 2, "b": 1}
    files.set("a", 3)
    assert graph.commit().keys(both) == frozenset()
    api.delete("a")
    assert graph.commit().keys(both) == {"a"}
    assert dict(both.items()) == {"a": 3, "b": 1}
    files.delete("a")
    graph.commit()
    assert dict(both.items()) == {"b": 1}


def test_an_item_may_be_under_several_index_values_or_none() -> None:
    """Values given twice count once; leaving one value leaves the others."""
    graph = Graph()
    pods: Input[str, Words] = graph.input("pods")
    by_label = graph.index("by label", pods, lambda _key, labels: labels)
    pods.replace({"p": ("x", "y", "x"), "q": ("x",), "r": ()})
    graph.commit()
    assert list(by_label.get("x")) == ["p", "q"]
    assert list(by_label.get("y")) == ["p"]
    pods.set("p", ("y",))
    graph.commit()
    assert list(by_label.get("x")) == ["q"]
    assert list(by_label.get("y")) == ["p"]
    assert by_label.get("nobody") == {}
