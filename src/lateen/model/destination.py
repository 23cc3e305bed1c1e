"""What DestinationRules say of one host, merged."""

from msgspec import Struct

from lateen.api.destinationrule import (
    ClientTLSSettings,
    ConnectionPoolSettings,
    LoadBalancerSettings,
    OutlierDetection,
    ProxyProtocol,
    RetryBudget,
    Subset,
    TrafficPolicy,
    TunnelSettings,
)
from lateen.api.meta import Key
from lateen.model.frame import Owner
from lateen.model.scope import Selector

__all__ = ["DestinationPolicy", "PortPolicy", "RuleHead"]


class RuleHead(Struct, frozen=True, kw_only=True):
    """Of a DestinationRule what decides for whom it counts; it stays equal when only its policy changes."""

    key: Key
    age: tuple[str, str, str]
    host: str
    export_to: tuple[str, ...]
    selector: Selector = ()
    near: tuple[str, ...] = ()  # labels of clients that its failover priorities compare
    credentials: bool = False  # its TLS takes a certificate from a Secret, which not every client may have


class DestinationPolicy(Struct, frozen=True, kw_only=True):
    """The rules of one host and namespace, merged: `policy` of the oldest that has one, subsets of all."""

    config: Key
    host: str
    policy: TrafficPolicy | None = None
    subsets: tuple[Subset, ...] = ()
    selective: bool = False  # for certain workloads only
    owners: tuple[Owner, ...] = ()

    def subset(self, name: str) -> Subset | None:
        return next((one for one in self.subsets if one.name == name), None)


class PortPolicy(Struct, frozen=True, kw_only=True):
    """What counts for one port of one subset, after all overriding."""

    load_balancer: LoadBalancerSettings | None = None
    connection_pool: ConnectionPoolSettings | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTLSSettings | None = None
    tunnel: TunnelSettings | None = None
    proxy_protocol: ProxyProtocol | None = None
    retry_budget: RetryBudget | None = None
