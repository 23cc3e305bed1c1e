"""Plans of what a gRPC program without a proxy beside it is told: how it calls hosts, and how its servers take calls.

Its clusters, endpoints and virtual hosts have the plans that sidecars' have. Must not name an Envoy type.
"""

from msgspec import Struct

from lateen.model.authz import RuleSet
from lateen.model.frame import Owner

__all__ = ["SERVER_PREFIX", "CallPlan", "ServerPlan"]

SERVER_PREFIX = "xds.istio.io/grpc/lds/inbound/"  # of the names of servers' listeners


class CallPlan(Struct, frozen=True):
    """What a program's `xds:///name` means: the routes to follow."""

    name: str  # host:port as the program writes it
    routes: str


class ServerPlan(Struct, frozen=True, kw_only=True):
    """A server at an address: with mutual TLS or in the clear, and who may call. DENY rules stand before ALLOW rules."""

    address: str
    port: int
    mutual_tls: bool = False
    rules: tuple[RuleSet, ...] = ()
    owners: tuple[Owner, ...] = ()

    @property
    def name(self) -> str:
        """What the server asks for."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{SERVER_PREFIX}{host}:{self.port}"
