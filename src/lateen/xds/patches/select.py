"""The changes that count for one side of a proxy, by what they are applied to."""

from collections.abc import Iterable

from lateen.xds.patches.parse import Ready

__all__ = ["Patches"]

_ROUTE_KINDS = ("ROUTE_CONFIGURATION", "VIRTUAL_HOST", "HTTP_ROUTE")
_LISTENER_KINDS = ("LISTENER", "FILTER_CHAIN", "NETWORK_FILTER", "HTTP_FILTER", "LISTENER_FILTER")
ADDING = ("SIDECAR_OUTBOUND", "GATEWAY")


class Patches:
    """In order. `context` is "SIDECAR_INBOUND", "SIDECAR_OUTBOUND" or "GATEWAY"."""

    def __init__(self, context: str, changes: Iterable[Ready]) -> None:
        self.context = context
        self._by_kind: dict[str, tuple[Ready, ...]] = {}
        for ready in changes:
            if ready.patch.context in ("ANY", context):
                self._by_kind[ready.patch.apply_to] = (*self._by_kind.get(ready.patch.apply_to, ()), ready)
        self.routes = any(kind in self._by_kind for kind in _ROUTE_KINDS)
        self.inbound_routes = self.routes and context == "SIDECAR_INBOUND"  # which stand inside the listener
        self.listeners = self.inbound_routes or any(kind in self._by_kind for kind in _LISTENER_KINDS)

    def of(self, kind: str) -> tuple[Ready, ...]:
        """Those applied to `kind`."""
        return self._by_kind.get(kind, ())

    def added(self, kind: str) -> Iterable[Ready]:
        """Whole resources to add: one that names no side is for what leaves, and for gateways."""
        return (
            ready for ready in self.of(kind) if ready.patch.operation == "ADD" and (ready.patch.context != "ANY" or self.context in ADDING)
        )
