"""Delegation: a root VirtualService leaves the routes below a match to another one.

One level only. The delegate's own settings win, the root fills what the delegate leaves out; match blocks are combined, and a
combination that can never match drops out, with the route when nothing is left (Istio's rules).
"""

from collections.abc import Mapping

from msgspec.structs import replace

from lateen.api.virtualservice import HTTPMatchRequest, HTTPRoute, StringMatch

__all__ = ["merge_rules"]

_INHERITED = (
    "rewrite",
    "timeout",
    "retries",
    "fault",
    "mirror",
    "mirror_percent",
    "mirror_percentage",
    "cors_policy",
    "headers",
    "direct_response",
)
_TEXTS = ("uri", "scheme", "method", "authority")
_TABLES = ("headers", "without_headers", "query_params")


def merge_rules(root: HTTPRoute, delegated: tuple[HTTPRoute, ...]) -> tuple[HTTPRoute, ...]:
    """The delegate's rules as they count below `root`'s match blocks."""
    return tuple(merged for rule in delegated if (merged := _merge_rule(root, rule)) is not None)


def _merge_rule(root: HTTPRoute, rule: HTTPRoute) -> HTTPRoute | None:
    match = _merge_matches(root.match, rule.match)
    if match is None:
        return None
    filled = {name: getattr(root, name) for name in _INHERITED if getattr(rule, name) is None}
    return replace(
        rule,
        match=match,
        name="-".join(part for part in (root.name, rule.name) if part),
        mirrors=rule.mirrors or root.mirrors,
        **filled,
    )


def _merge_matches(root: tuple[HTTPMatchRequest, ...], leaf: tuple[HTTPMatchRequest, ...]) -> tuple[HTTPMatchRequest, ...] | None:
    if not root or not leaf:
        return root or leaf
    return tuple(_merge_match(r, d) for r in root for d in leaf if not _conflict(r, d)) or None


def _merge_match(root: HTTPMatchRequest, leaf: HTTPMatchRequest) -> HTTPMatchRequest:
    changes: dict[str, object] = {name: getattr(leaf, name) or getattr(root, name) for name in _TEXTS}
    changes |= {name: {**getattr(root, name), **getattr(leaf, name)} for name in _TABLES}
    return replace(
        leaf,
        name="-".join(part for part in (root.name, leaf.name) if part),
        port=leaf.port or root.port,
        source_labels={**root.source_labels, **leaf.source_labels},
        gateways=leaf.gateways or root.gateways,
        source_namespace=leaf.source_namespace or root.source_namespace,
        stat_prefix=leaf.stat_prefix or root.stat_prefix,
        **changes,
    )


def _conflict(root: HTTPMatchRequest, leaf: HTTPMatchRequest) -> bool:
    """Whether no request can meet both blocks, or the delegate asks for less than the root."""
    return (
        any(_texts_conflict(getattr(root, name), getattr(leaf, name)) for name in _TEXTS)
        or any(_tables_conflict(getattr(root, name), getattr(leaf, name)) for name in _TABLES)
        or root.ignore_uri_case != leaf.ignore_uri_case
        or _differ(root.port, leaf.port)
        or _differ(root.source_namespace, leaf.source_namespace)
        or any(root.source_labels.get(key) != value for key, value in leaf.source_labels.items())
        or (bool(root.gateways and leaf.gateways) and not set(leaf.gateways) <= set(root.gateways))
    )


def _differ(root: object, leaf: object) -> bool:
    return bool(root) and bool(leaf) and root != leaf


def _tables_conflict(root: Mapping[str, StringMatch], leaf: Mapping[str, StringMatch]) -> bool:
    return any(_texts_conflict(root.get(name), text) for name, text in leaf.items())


def _texts_conflict(root: StringMatch | None, leaf: StringMatch | None) -> bool:
    if root is None or leaf is None:
        return False
    if root.regex or leaf.regex:
        return bool(root.regex or root.prefix or root.exact) and bool(leaf.regex or leaf.prefix or leaf.exact)
    if root.exact:
        return leaf.exact != root.exact
    if root.prefix:
        return not (leaf.exact or leaf.prefix or "").startswith(root.prefix)
    return True
