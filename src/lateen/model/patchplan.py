"""EnvoyFilters as the printers' side reads them: which changes, where, and Envoy's own words as text.

A change's text is opaque here: only `xds.patches` knows Envoy's messages.
"""

from collections.abc import Iterable

from msgspec import Struct

from lateen.api.meta import Key, PolicyTargetReference
from lateen.model.frame import Owner
from lateen.model.scope import Selector

__all__ = ["BOOTSTRAP_MARK", "FilterPlan", "Key", "Patch", "PatchMatch", "PatchRef", "mark_of"]

BOOTSTRAP_MARK = "LATEEN_BOOTSTRAP"  # in a node's metadata

PatchRef = tuple[Key, tuple[int, ...]]  # an EnvoyFilter, and which of its changes count for a proxy


class PatchMatch(Struct, frozen=True, kw_only=True):
    """What a change asks of the place it is made at; what is empty asks nothing. `gateway` is "namespace/name"."""

    listener: str = ""
    port: int = 0  # of the listener, route configuration or cluster
    port_name: str = ""
    listener_filter: str = ""
    chain: str = ""
    sni: str = ""
    transport: str = ""
    protocols: tuple[str, ...] = ()
    destination_port: int = 0
    network_filter: str | None = None
    http_filter: str | None = None
    socket: str = ""
    routes: str = ""
    gateway: str = ""
    host: str = ""
    domain: str = ""
    route: str | None = None  # "" is any name, None that no route is asked for
    action: str = "ANY"
    cluster: str = ""
    service: str = ""
    subset: str = ""


class Patch(Struct, frozen=True, kw_only=True):
    """One of `configPatches`: `index` is its place there, `text` its value as JSON ("" where there is none)."""

    index: int
    apply_to: str
    operation: str
    context: str
    match: PatchMatch
    text: str = ""
    version: str = ""  # regular expression for the proxy's version
    metadata: Selector = ()  # of the proxy

    @property
    def of_bootstrap(self) -> bool:
        """Whether it is for what Envoy starts with, and not for what it is sent."""
        return self.apply_to == "BOOTSTRAP"


class FilterPlan(Struct, frozen=True, kw_only=True):
    """An EnvoyFilter. `age` sorts older first."""

    owner: Owner
    selector: Selector
    targets: tuple[PolicyTargetReference, ...]
    priority: int
    age: tuple[str, str, str]
    patches: tuple[Patch, ...]

    @property
    def of_bootstraps(self) -> bool:
        """Whether some change is for what Envoy starts with."""
        return any(patch.of_bootstrap for patch in self.patches)


def mark_of(plans: Iterable[FilterPlan]) -> str:
    """The forms of EnvoyFilters that a proxy was started with, as its node's metadata tells them."""
    return " ".join(f"{key.namespace}/{key.name}@{generation}" for key, generation in (plan.owner for plan in plans))
