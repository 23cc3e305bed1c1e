"""Hosts: what covers what, which comes first, and what a short name stands for."""

import pytest

from lateen.util import hosts


@pytest.mark.parametrize(
    ("pattern", "host", "expected"),
    [
        ("*", "reviews", True),
        ("*", "*.x", True),
        ("*.x", "a.x", True),
        ("*.x", "a.b.x", True),
        ("*.x", "*.b.x", True),
        ("*.x", "*.x", True),
        ("*.x", "x", False),
        ("*.x", ".x", False),
        ("*.b.x", "*.x", False),
        ("*.x", "*", False),
        ("a.x", "a.x", True),
        ("A.x", "a.X", True),
        ("a.x", "b.a.x", False),
        ("a.x", "*.x", False),
    ],
)
def test_a_pattern_covers_itself_and_what_is_below_its_wildcard(pattern: str, host: str, *, expected: bool) -> None:
    """`*.x` stands for every name below x, never for x itself."""
    assert hosts.matches(pattern, host) is expected


def test_overlap_is_symmetric() -> None:
    """A wildcard and a name below it overlap in either order; siblings do not."""
    assert hosts.overlaps("*.x", "a.x") and hosts.overlaps("a.x", "*.x")
    assert not hosts.overlaps("*.a.x", "*.b.x")


def test_exact_names_come_before_wildcards_and_long_before_short() -> None:
    """The order in which the first match is the most specific one."""
    names = ["*", "*.com", "b.com", "*.a.com", "a.com", "long.a.com"]
    expected = ["long.a.com", "a.com", "b.com", "*.a.com", "*.com", "*"]
    assert sorted(names, key=hosts.more_specific_first) == expected


def test_most_specific_finds_the_closest_pattern() -> None:
    """Of all the patterns that cover a host, the exact or longest wins."""
    assert hosts.most_specific(["*", "*.com", "*.a.com"], "b.a.com") == "*.a.com"
    assert hosts.most_specific(["*.org"], "b.a.com") is None


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("reviews", "reviews.default.svc.cluster.local"),
        ("Reviews", "reviews.default.svc.cluster.local"),
        ("reviews.other", "reviews.other"),
        ("*", "*"),
        ("*.example.com", "*.example.com"),
        ("2001:db8::1", "2001:db8::1"),
        ("", ""),
    ],
)
def test_only_a_name_without_a_dot_is_short(host: str, expected: str) -> None:
    """A short name is a service of the object's own namespace; everything else is taken as it is."""
    assert hosts.resolve(host, "default", "cluster.local") == expected
