"""Label selectors as hashable values.

Why: selectors are keys of indexes and of shared plans, so they must be canonical, hashable and cheap to compare.
Must not decide what an empty selector means for a kind (Istio: everything; a Service: nothing); the caller does.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

__all__ = ["Requirement", "Selector", "canonical", "matches", "satisfies"]

Selector = tuple[tuple[str, str], ...]


class Requirement(NamedTuple):
    """One `matchExpressions` entry: In and NotIn use the values, Exists and DoesNotExist ignore them."""

    key: str
    operator: str
    values: tuple[str, ...] = ()


def canonical(labels: Mapping[str, str]) -> Selector:
    """The same selector for the same labels, whatever their order."""
    return tuple(sorted(labels.items()))


def matches(selector: Selector, labels: Mapping[str, str]) -> bool:
    """Whether all the selector's labels are there with its values; the empty selector matches every labels."""
    return all(labels.get(key) == value for key, value in selector)


def satisfies(requirements: Iterable[Requirement], labels: Mapping[str, str]) -> bool:
    """Whether the labels meet every requirement; an operator that Kubernetes does not know is never met."""
    return all(_met(requirement, labels) for requirement in requirements)


def _met(requirement: Requirement, labels: Mapping[str, str]) -> bool:
    present = requirement.key in labels
    match requirement.operator:
        case "In":
            return present and labels[requirement.key] in requirement.values
        case "NotIn":
            return not present or labels[requirement.key] not in requirement.values
        case "Exists":
            return present
        case "DoesNotExist":
            return not present
        case _:
            return False
