"""Traffic policies as settings of a cluster. Zero and less mean "not set" in Istio's API, so they become the default."""

from lateen.api.destinationrule import (
    ConnectionPoolHTTP,
    ConnectionPoolSettings,
    ConnectionPoolTCP,
    ConsistentHashLB,
    LoadBalancerSettings,
    OutlierDetection,
    TcpKeepalive,
)
from lateen.model.clusterplan import UNLIMITED, BreakerPlan, LoadBalancerPlan, OutlierPlan, PoolPlan
from lateen.model.destination import PortPolicy
from lateen.model.mesh import ClusterDefaults
from lateen.model.routeplan import HashPlan
from lateen.util.durations import parse

__all__ = ["plan_breaker", "plan_hashes", "plan_load_balancer", "plan_outlier", "plan_pool"]

_RING_SIZE = 1024
_RETRIES_AT_LEAST = 3
_SECOND = 1_000_000_000
_SIMPLE = {"RANDOM": "RANDOM", "ROUND_ROBIN": "ROUND_ROBIN"}


def plan_load_balancer(settings: LoadBalancerSettings | None) -> LoadBalancerPlan:
    """Least request unless told otherwise."""
    if settings is None:
        return LoadBalancerPlan()
    if settings.consistent_hash is not None:
        return _hashing(settings.consistent_hash)
    policy = _SIMPLE.get(settings.simple or "", "LEAST_REQUEST")
    warmup = settings.warmup
    duration = (warmup.duration if warmup is not None else None) or settings.warmup_duration_secs
    if not duration or policy == "RANDOM":
        return LoadBalancerPlan(policy=policy)  # type: ignore[arg-type]  # one of three
    return LoadBalancerPlan(
        policy=policy,  # type: ignore[arg-type]  # one of three
        warmup=parse(duration),
        warmup_percent=warmup.minimum_percent if warmup is not None and warmup.minimum_percent is not None else 10.0,
        warmup_aggression=warmup.aggression if warmup is not None and warmup.aggression is not None else 1.0,
    )


def _hashing(settings: ConsistentHashLB) -> LoadBalancerPlan:
    if settings.maglev is not None:
        return LoadBalancerPlan(policy="MAGLEV", table_size=settings.maglev.table_size)
    if settings.ring_hash is not None:
        return LoadBalancerPlan(policy="RING_HASH", ring_size=settings.ring_hash.minimum_ring_size)
    return LoadBalancerPlan(policy="RING_HASH", ring_size=settings.minimum_ring_size or _RING_SIZE)


def plan_hashes(settings: LoadBalancerSettings | None) -> tuple[HashPlan, ...]:
    """What a route hashes so that the cluster's consistent hashing has something to go by."""
    if settings is None or settings.consistent_hash is None:
        return ()
    wanted = settings.consistent_hash
    if wanted.http_header_name:
        return (HashPlan(kind="header", name=wanted.http_header_name),)
    if wanted.http_query_parameter_name:
        return (HashPlan(kind="query", name=wanted.http_query_parameter_name),)
    if wanted.http_cookie is not None:
        cookie = wanted.http_cookie
        return (
            HashPlan(
                kind="cookie",
                name=cookie.name,
                path=cookie.path,
                ttl=parse(cookie.ttl) if cookie.ttl is not None else None,
                attributes=tuple((one.name, one.value) for one in cookie.attributes),
            ),
        )
    return (HashPlan(kind="source_ip"),) if wanted.use_source_ip else ()


def plan_breaker(policy: PortPolicy) -> BreakerPlan:
    """Thresholds; unlimited where not set."""
    tcp, http = _parts(policy.connection_pool)
    budget = policy.retry_budget
    return BreakerPlan(
        connections=_limit(tcp.max_connections),
        pending=_limit(http.http1_max_pending_requests),
        requests=_limit(http.http2_max_requests),
        retries=_limit(http.max_retries),
        budget_percent=(20.0 if budget.percent is None else budget.percent) if budget is not None else None,
        budget_concurrency=(budget.min_retry_concurrency or _RETRIES_AT_LEAST) if budget is not None else 0,
    )


def _limit(number: int) -> int:
    return number if number > 0 else UNLIMITED


def plan_pool(settings: ConnectionPoolSettings | None, mesh: ClusterDefaults) -> PoolPlan:
    """Connection settings; an idle time of TCP counts for HTTP too unless HTTP has its own."""
    tcp, http = _parts(settings)
    ping = http.http2_keep_alive
    timeout, idle = _time(tcp.connect_timeout), _time(http.idle_timeout)
    return PoolPlan(
        connect_timeout=mesh.connect_timeout if timeout is None else timeout,
        idle_timeout=_time(tcp.idle_timeout) if idle is None else idle,
        max_connection_duration=_time(tcp.max_connection_duration),
        tcp_idle_timeout=_time(tcp.idle_timeout),
        keepalive=_keepalive(mesh.keepalive, tcp.tcp_keepalive),
        requests_per_connection=max(http.max_requests_per_connection, 0),
        concurrent_streams=max(http.max_concurrent_streams, 0),
        ping_interval=_time(ping.interval) if ping is not None else None,
        ping_timeout=_time(ping.timeout) if ping is not None else None,
    )


def _keepalive(mesh: TcpKeepalive | None, own: TcpKeepalive | None) -> tuple[int, int, int] | None:
    """Each number of the rule's own before the mesh's."""
    if mesh is None and own is None:
        return None
    both = (own or TcpKeepalive(), mesh or TcpKeepalive())
    times = [(_time(one.time) or 0) // _SECOND for one in both]
    intervals = [(_time(one.interval) or 0) // _SECOND for one in both]
    return (both[0].probes or both[1].probes, times[0] or times[1], intervals[0] or intervals[1])


def _parts(settings: ConnectionPoolSettings | None) -> tuple[ConnectionPoolTCP, ConnectionPoolHTTP]:
    if settings is None:
        return ConnectionPoolTCP(), ConnectionPoolHTTP()
    return settings.tcp or ConnectionPoolTCP(), settings.http or ConnectionPoolHTTP()


def _time(text: str | None) -> int | None:
    return parse(text) if text is not None else None


def plan_outlier(settings: OutlierDetection | None) -> OutlierPlan | None:
    """Ejection; None where the rule has no such block."""
    if settings is None:
        return None
    errors = settings.consecutive_5xx_errors
    return OutlierPlan(
        consecutive_5xx=errors if errors is not None else max(settings.consecutive_errors, 0) or None,
        consecutive_gateway=settings.consecutive_gateway_errors,
        split_local=settings.split_external_local_origin_errors,
        consecutive_local=settings.consecutive_local_origin_failures,
        interval=_time(settings.interval),
        base_ejection=_time(settings.base_ejection_time),
        max_percent=max(settings.max_ejection_percent, 0),
        min_health_percent=max(settings.min_health_percent, 0),
    )
