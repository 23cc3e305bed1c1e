"""Comparison by meaning: what counts as different, and what the list of accepted differences leaves out."""

from typing import Any

from lateen.testing.meaning import Accepted, accept, compare, normalise, report


def accepted(where: str, side: str = "istiod") -> Accepted:
    return Accepted(id="x", where=where, side=side, why="because")  # type: ignore[arg-type]


def test_order_counts_only_where_it_means_something() -> None:
    """Domains and virtual hosts have no order, routes have one."""
    one: dict[str, Any] = {"virtual_hosts": [{"name": "a", "domains": ["x", "y"], "routes": [1, 2]}, {"name": "b"}]}
    two: dict[str, Any] = {"virtual_hosts": [{"name": "b"}, {"routes": [1, 2], "domains": ["y", "x"], "name": "a"}]}
    assert compare(normalise(one), normalise(two)) == []
    two["virtual_hosts"][1]["routes"] = [2, 1]
    assert [found.path for found in compare(normalise(one), normalise(two))] == [
        ("virtual_hosts", "0:a", "routes", "0"),
        ("virtual_hosts", "0:a", "routes", "1"),
    ]


def test_a_difference_names_path_and_both_sides() -> None:
    """Missing fields, other lengths and other types are told."""
    found = compare({"a": 1, "b": [1], "c": True}, {"a": 2, "b": [1, 2], "c": 1, "d": {}})
    assert [(one.path, one.istiod, one.lateen) for one in found] == [
        (("a",), 1, 2),
        (("b",), [1], [1, 2]),
        (("c",), True, 1),
        (("d",), None, {}),
    ]
    assert report(found).startswith("4 differences\na\n    istiod: 1\n    lateen: 2")


def test_accepted_parts_are_left_out_on_their_side_only() -> None:
    """By field, by any depth, by an element's own field; the id is noted when something matched."""
    value = {"l": {"chains": [{"filters": [{"name": "istio.stats"}, {"name": "router"}]}]}}
    rule = accepted("listeners/**/filters/name=istio\\.stats")
    used: set[str] = set()
    assert accept(value, "istiod", [rule], used, root="listeners") == {"l": {"chains": [{"filters": [{"name": "router"}]}]}}
    assert used == {"x"}
    for side, root in (("lateen", "listeners"), ("istiod", "clusters")):
        assert accept(value, side, [rule], used := set(), root=root) == value
        assert used == set()
    assert accept(value, "istiod", [accepted("listeners/*/chains")], set(), root="listeners") == {"l": {}}
