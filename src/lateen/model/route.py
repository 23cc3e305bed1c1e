"""A VirtualService as the mesh reads it: full host names, resolved gateways, delegates merged in.

Rules and their parts stay the API's own types, as nothing but names had to change.
"""

from msgspec import Struct

from lateen.api.meta import Key
from lateen.api.virtualservice import HTTPRoute, TCPRoute, TLSRoute
from lateen.model.frame import Owner

__all__ = ["MESH", "VirtualRoutes"]

MESH = "mesh"  # the gateway name that stands for all sidecars


class VirtualRoutes(Struct, frozen=True, kw_only=True):
    """Routes for hosts. `gateways`: "mesh" or "namespace/name"; `age` sorts older first."""

    key: Key
    age: tuple[str, str, str]  # creation, name, namespace
    hosts: tuple[str, ...]
    gateways: tuple[str, ...]
    export_to: tuple[str, ...]  # "*", namespaces, "~"
    http: tuple[HTTPRoute, ...] = ()
    tls: tuple[TLSRoute, ...] = ()
    tcp: tuple[TCPRoute, ...] = ()
    owners: tuple[Owner, ...] = ()  # itself and the delegates merged in

    def visible_in(self, namespace: str) -> bool:
        """Whether `exportTo` lets proxies of `namespace` use it."""
        return "*" in self.export_to or namespace in self.export_to
