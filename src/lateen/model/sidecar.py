"""A Sidecar as the compiler reads it: what its workloads may reach, and what they take in."""

from collections.abc import Mapping

from msgspec import Struct

from lateen.api.destinationrule import ConnectionPoolSettings
from lateen.api.meta import Key
from lateen.api.sidecar import IstioIngressListener
from lateen.api.virtualservice import Destination
from lateen.model.frame import Owner
from lateen.model.scope import Selector
from lateen.model.service import Protocol, ServiceKey

__all__ = ["HostRule", "Imports", "OutboundPolicy", "SidecarHead", "SidecarPlan", "VisibleServices"]


class SidecarHead(Struct, frozen=True, kw_only=True):
    """Of a Sidecar what decides for whom it counts; it stays equal when only the rest changes."""

    key: Key
    age: tuple[str, str]
    selector: Selector = ()
    inbound: bool = False  # it says something of what workloads take in


class HostRule(Struct, frozen=True):
    """One entry of `hosts`: namespace ("*" = any, "~" = none) and host; `refused` takes out what other entries let in."""

    namespace: str
    host: str
    refused: bool = False


class Imports(Struct, frozen=True, kw_only=True):
    """The hosts of one egress listener; `port` 0 is any. With `bind` it listens there itself: an address or `unix://` path."""

    hosts: tuple[HostRule, ...]
    port: int = 0
    protocol: Protocol = Protocol.AUTO  # where it listens itself
    bind: str = ""


class SidecarPlan(Struct, frozen=True, kw_only=True):
    """Full names, defaults filled in. `allow_any` None: as the mesh has it."""

    key: Key
    egress: tuple[Imports, ...]
    allow_any: bool | None = None
    egress_proxy: Destination | None = None
    ingress: tuple[IstioIngressListener, ...] = ()
    connection_pool: ConnectionPoolSettings | None = None
    owners: tuple[Owner, ...] = ()


class OutboundPolicy(Struct, frozen=True, kw_only=True):
    """What happens to traffic for unknown destinations: it passes or not, straight or through a proxy, HTTP perhaps by looking hosts up."""

    allow_any: bool
    egress_proxy: Destination | None = None
    dynamic_dns: bool = False


class VisibleServices(Struct, frozen=True, kw_only=True):
    """The services a client means by host. `listed` are those it has listeners and routes for, `known` those it has clusters for.

    `bound` are those of egress listeners that listen themselves. `aliases` are names of ExternalName Services, each with the host that
    it stands for.
    """

    known: Mapping[str, ServiceKey]
    listed: Mapping[str, ServiceKey]
    aliases: Mapping[str, str] = {}
    bound: tuple[tuple[Imports, tuple[ServiceKey, ...]], ...] = ()

    def target(self, host: str) -> str:
        """The host itself, or what it is an alias of."""
        seen: set[str] = set()
        while host in self.aliases and host not in seen:
            seen.add(host)
            host = self.aliases[host]
        return host
