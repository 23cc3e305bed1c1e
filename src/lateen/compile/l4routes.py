"""TCP and TLS rules of VirtualServices: which connections they take, and where those go."""

from collections.abc import Callable, Iterable

from msgspec import Struct

from lateen.api.virtualservice import Destination, L4MatchAttributes, RouteDestination, TLSMatchAttributes
from lateen.compile.matches import Place
from lateen.model.listenerplan import AccessLogPlan, CarriedPlan, TcpPlan
from lateen.model.route import MESH, VirtualRoutes
from lateen.util.hosts import matches

__all__ = ["Carried", "L4Target", "applies_l4", "tcp_plan", "tcp_targets", "tls_targets"]

ClusterOf = Callable[[Destination], str]
Carried = Callable[[str, bool], CarriedPlan]  # outbound cluster, whether it is the only one


class L4Target(Struct, frozen=True, kw_only=True):
    """Connections with these server names and destination ranges (empty: all) go to these clusters by weight."""

    clusters: tuple[tuple[str, int], ...]
    label: str  # name of the VirtualService, for statistics of weighted targets
    server_names: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()


def applies_l4(match: L4MatchAttributes | TLSMatchAttributes, place: Place) -> bool:
    """Whether the block is meant for this place. Unlike HTTP's, source labels count beside gateways; a gateway has no source."""
    if match.port and match.port != place.port:
        return False
    if match.gateways and place.gateways.isdisjoint(match.gateways):
        return False
    if MESH not in place.gateways:
        return bool(match.gateways) or not match.source_labels
    return place.selected(match.source_labels) and match.source_namespace in ("", place.namespace)


def tcp_targets(routes: VirtualRoutes, place: Place, cluster: ClusterOf) -> tuple[L4Target, ...]:
    """Targets of the `tcp` rules, in order; whatever follows a rule that takes all connections is left out."""
    found: list[L4Target] = []
    for rule in routes.tcp:
        blocks = [match for match in rule.match if applies_l4(match, place)]
        if rule.match and not blocks:
            continue
        everywhere = not blocks or any(not match.destination_subnets for match in blocks)
        prefixes = () if everywhere else tuple(subnet for match in blocks for subnet in match.destination_subnets)
        found.append(L4Target(clusters=_weighted(rule.route, cluster), label=_label(routes), prefixes=prefixes))
        if everywhere:
            break
    return tuple(found)


def tls_targets(routes: VirtualRoutes, place: Place, cluster: ClusterOf, hosts: Iterable[str] = ("*",)) -> tuple[L4Target, ...]:
    """Targets of the `tls` rules whose server names fall under `hosts`; the first rule for a name and range counts."""
    found: dict[tuple[tuple[str, ...], tuple[str, ...]], L4Target] = {}
    for rule in routes.tls:
        for match in rule.match:
            names = tuple(name for name in match.sni_hosts if any(matches(host, name) or matches(name, host) for host in hosts))
            if not names or not applies_l4(match, place):
                continue
            prefixes = tuple(match.destination_subnets)
            target = L4Target(clusters=_weighted(rule.route, cluster), label=_label(routes), server_names=names, prefixes=prefixes)
            found.setdefault((names, prefixes), target)
    return tuple(found.values())


def tcp_plan(target: L4Target, logs: tuple[AccessLogPlan, ...], carried: Carried) -> TcpPlan:
    """What the chain of `target` does; statistics are named after the cluster, or the VirtualService of several.

    Of several clusters the rule of the first one's host decides, without its subsets.
    """
    alone = len(target.clusters) == 1
    how = carried(target.clusters[0][0], alone) if target.clusters else CarriedPlan()
    return TcpPlan(
        stat_prefix=target.clusters[0][0] if alone else target.label,
        clusters=target.clusters,
        access_logs=logs,
        idle_timeout=how.idle_timeout,
        max_duration=how.max_duration,
        by_source=how.by_source,
        tunnel=how.tunnel,
    )


def _label(routes: VirtualRoutes) -> str:
    return f"{routes.key.name}.{routes.key.namespace}"


def _weighted(destinations: tuple[RouteDestination, ...], cluster: ClusterOf) -> tuple[tuple[str, int], ...]:
    weighted = tuple(d for d in destinations if d.weight > 0) if len(destinations) > 1 else destinations
    return tuple((cluster(d.destination or Destination()), d.weight) for d in weighted)
