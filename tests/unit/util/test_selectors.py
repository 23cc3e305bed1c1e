"""Selectors: canonical, and matched as Kubernetes does."""

import pytest

from lateen.util.selectors import Requirement, canonical, matches, satisfies


def test_the_order_of_labels_does_not_matter() -> None:
    """Equal selectors are equal values, so they can be keys."""
    assert canonical({"b": "2", "a": "1"}) == canonical({"a": "1", "b": "2"}) == (("a", "1"), ("b", "2"))


def test_every_label_of_the_selector_must_be_there() -> None:
    """A missing label and another value both fail; further labels do not matter; the empty selector takes all."""
    selector = canonical({"app": "reviews", "version": "v1"})
    assert matches(selector, {"app": "reviews", "version": "v1", "more": "x"})
    assert not matches(selector, {"app": "reviews"})
    assert not matches(selector, {"app": "reviews", "version": "v2"})
    assert matches((), {})


@pytest.mark.parametrize(
    ("operator", "values", "present", "other", "absent"),
    [
        ("In", ("v1",), True, False, False),
        ("NotIn", ("v1",), False, True, True),
        ("Exists", (), True, True, False),
        ("DoesNotExist", (), False, False, True),
        ("Nonsense", (), False, False, False),
    ],
)
def test_match_expressions(operator: str, values: tuple[str, ...], *, present: bool, other: bool, absent: bool) -> None:
    """NotIn and DoesNotExist hold where the label is absent; an unknown operator never holds."""
    requirement = [Requirement("version", operator, values)]
    assert satisfies(requirement, {"version": "v1"}) is present
    assert satisfies(requirement, {"version": "v2"}) is other
    assert satisfies(requirement, {}) is absent
