"""What a DestinationRule says of connections of bytes that a proxy carries to a cluster.

Idle time and longest duration are of the whole rule only, as in Istio; source hashing and the tunnel may be the subset's.
"""

from lateen.api.destinationrule import TunnelSettings
from lateen.compile.destinationrules import policy_for
from lateen.model.destination import DestinationPolicy
from lateen.model.listenerplan import CarriedPlan, TunnelPlan
from lateen.util.durations import parse

__all__ = ["plan_carried"]


def plan_carried(rule: DestinationPolicy | None, subset: str, port: int) -> CarriedPlan:
    """How connections to this port and subset are carried."""
    if rule is None:
        return CarriedPlan()
    pool = rule.policy.connection_pool if rule.policy is not None else None
    tcp = pool.tcp if pool is not None else None
    return CarriedPlan(
        idle_timeout=parse(tcp.idle_timeout) if tcp is not None and tcp.idle_timeout is not None else None,
        max_duration=parse(tcp.max_connection_duration) if tcp is not None and tcp.max_connection_duration is not None else None,
        by_source=_by_source(rule, subset),
        tunnel=_tunnel(policy_for(rule, subset, port).tunnel),
    )


def _by_source(rule: DestinationPolicy, subset: str) -> bool:
    """Whether a client's address chooses the endpoint; a subset's load balancer replaces the rule's."""
    own = rule.subset(subset) if subset else None
    policies = (own.traffic_policy if own is not None else None, rule.policy)
    balancer = next((one.load_balancer for one in policies if one is not None and one.load_balancer is not None), None)
    hashing = balancer.consistent_hash if balancer is not None else None
    return hashing is not None and bool(hashing.use_source_ip)


def _tunnel(settings: TunnelSettings | None) -> TunnelPlan | None:
    if settings is None:
        return None
    host = f"[{settings.target_host}]" if ":" in settings.target_host else settings.target_host
    return TunnelPlan(f"{host}:{settings.target_port}", settings.protocol.upper() == "POST")
