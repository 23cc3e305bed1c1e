"""Conditions in which the mesh says that an object is not in force."""

from collections.abc import Iterable, Iterator, Mapping

from lateen.analyze.objects import Finding, Item, Objects, listing, text

__all__ = ["check_conditions"]

_ISTIO = ("istio.io", "networking.istio.io", "security.istio.io", "telemetry.istio.io", "extensions.istio.io")
_GATEWAY_API = "gateway.networking.k8s.io"
_NEGATIVE = frozenset({"Conflicted", "OverlappingTLSConfig"})  # good when False
_PARTLY = "PartiallyInvalid"


def check_conditions(objects: Objects) -> Iterable[Finding]:
    """Of Istio's and the Gateway API's kinds every condition; of Services those that the mesh writes."""
    for item in objects.items:
        for condition in _conditions(item):
            kind, reason = text(condition, "type"), text(condition, "reason")
            ours = item.group in _ISTIO or item.group == _GATEWAY_API or item.group.endswith(".istio.io") or kind.startswith("istio.io/")
            if not ours or kind in _NEGATIVE or ("/" in kind and not kind.startswith("istio.io/")):
                continue
            if text(condition, "status") == "False" or reason == _PARTLY:
                yield Finding(code="IST0171", item=item, args=(kind, reason, text(condition, "message")), path=("status", "conditions"))


def _conditions(item: Item) -> Iterator[Mapping[str, object]]:
    yield from listing(item.json, "status", "conditions")
    for group in ("parents", "listeners", "ancestors"):
        for each in listing(item.json, "status", group):
            yield from listing(each, "conditions")
