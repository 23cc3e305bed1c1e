"""What MeshConfig says by the labels of namespaces: which are read at all, and who sees their ServiceEntries."""

from collections.abc import Iterable, Mapping

from lateen.api.meshconfig import ServiceEntryVisibility
from lateen.api.meta import LabelSelector
from lateen.util.selectors import Requirement, canonical, matches, satisfies

__all__ = ["is_discovered", "visible_to"]

Labels = Mapping[str, str]
_NOBODY = ("~",)


def is_discovered(selectors: Iterable[LabelSelector], labels: Labels) -> bool:
    """Whether a namespace with these labels is read: by any of `discoverySelectors`, or for want of one."""
    selectors = tuple(selectors)
    return not selectors or any(_selects(selector, labels) for selector in selectors)


def visible_to(visibility: ServiceEntryVisibility, labels: Labels, namespace: str, export_to: tuple[str, ...]) -> tuple[str, ...]:
    """Of the namespaces that a ServiceEntry is exported to those that the mesh's settings leave; the first policy that fits counts."""
    policy = next((one for one in visibility.policies if all(_fits(rule.namespace_selector, labels) for rule in one.matching_rules)), None)
    match policy.visibility if policy is not None else visibility.default_visibility:
        case "NONE":
            return _NOBODY
        case "NAMESPACE":
            return (namespace,) if {"*", namespace} & set(export_to) else _NOBODY
        case _:
            return export_to


def _fits(selector: LabelSelector | None, labels: Labels) -> bool:
    return selector is not None and _selects(selector, labels)


def _selects(selector: LabelSelector, labels: Labels) -> bool:
    expressions = (Requirement(one.key, one.operator, one.values) for one in selector.match_expressions)
    return matches(canonical(selector.match_labels), labels) and satisfies(expressions, labels)
