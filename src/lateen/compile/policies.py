"""What a rule adds to forwarding: retries, faults, mirrors, cross-origin rules.

Defaults are Istio's (reference: 2 retries on connect-failure, refused-stream, unavailable, cancelled, retriable-status-codes).
"""

from collections.abc import Callable

from lateen.api.virtualservice import CorsPolicy, Destination, HTTPFaultInjection, HTTPRetry, HTTPRoute, Percent
from lateen.model.routeplan import CorsPlan, FaultPlan, MirrorPlan, RetryPlan, TextMatch
from lateen.util.durations import parse

__all__ = ["plan_cors", "plan_fault", "plan_mirrors", "plan_retry", "share"]

_RETRY_ON = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
_DEFAULT_ATTEMPTS = 2
_ALL = 1_000_000
_SECOND = 1_000_000_000
_GRPC_STATUS = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
]


def share(percentage: Percent | None, default: int = _ALL) -> int:
    """A percentage in millionths, in steps of 0.0001 %; `default` where none is given."""
    return default if percentage is None else round(percentage.value * 10_000)


def plan_retry(retries: HTTPRetry | None, *, hashed: bool) -> RetryPlan | None:
    """When to try again; None = never. With consistent hashing the endpoint is given, so it may be one that was tried."""
    if retries is None:
        return RetryPlan(attempts=_DEFAULT_ATTEMPTS, retry_on=_RETRY_ON, other_hosts=not hashed)
    if retries.attempts <= 0:
        return None
    conditions, codes = _conditions(retries.retry_on)
    other_hosts = retries.retry_ignore_previous_hosts is not False and not hashed
    return RetryPlan(
        attempts=retries.attempts,
        retry_on=conditions,
        status_codes=codes,
        per_try_timeout=parse(retries.per_try_timeout) if retries.per_try_timeout else None,
        backoff=parse(retries.backoff) if retries.backoff else None,
        other_hosts=other_hosts,
        other_localities=bool(retries.retry_remote_localities),
    )


def _conditions(retry_on: str) -> tuple[str, tuple[int, ...]]:
    """Numbers in `retryOn` are status codes; with any of them Envoy must also be told to look at them."""
    if not retry_on:
        return _RETRY_ON, ()
    parts = [part.strip() for part in retry_on.split(",") if part.strip()]
    codes = tuple(int(part) for part in parts if part.isdigit())
    names = [part for part in parts if not part.isdigit()]
    if codes and "retriable-status-codes" not in names:
        names.append("retriable-status-codes")
    return ",".join(names), codes


def plan_fault(fault: HTTPFaultInjection | None) -> FaultPlan | None:
    """Faults with a fixed delay or a status; other forms were never implemented by Istio and do nothing."""
    if fault is None:
        return None
    delay, abort = fault.delay, fault.abort
    plan = FaultPlan(
        delay=parse(delay.fixed_delay) if delay is not None and delay.fixed_delay else None,
        delay_share=share(delay.percentage, delay.percent * 10_000 or _ALL) if delay is not None else 0,
        abort_status=abort.http_status if abort is not None else None,
        abort_grpc=_GRPC_STATUS.index(abort.grpc_status) if abort is not None and abort.grpc_status in _GRPC_STATUS else None,
        abort_share=share(abort.percentage) if abort is not None else 0,
    )
    nothing = plan.delay is None and plan.abort_status is None and plan.abort_grpc is None
    return None if nothing else plan


def plan_mirrors(rule: HTTPRoute, cluster: Callable[[Destination], str]) -> tuple[MirrorPlan, ...]:
    """Copies of the rule's requests; a share of 0 is no copy."""
    if rule.mirrors:
        wanted = [(m.destination, m.percentage) for m in rule.mirrors]
    else:
        percentage = Percent(value=rule.mirror_percent) if rule.mirror_percent is not None else rule.mirror_percentage
        wanted = [(rule.mirror, percentage)]
    return tuple(
        MirrorPlan(cluster(destination), None if percentage is None else share(percentage))
        for destination, percentage in wanted
        if destination is not None and (percentage is None or percentage.value > 0)
    )


def plan_cors(policy: CorsPolicy | None) -> CorsPlan | None:
    """Cross-origin rules as Envoy words them."""
    if policy is None:
        return None
    origins = tuple(TextMatch("exact", origin) for origin in policy.allow_origin)
    for origin in policy.allow_origins:
        kind = "exact" if origin.exact is not None else "prefix" if origin.prefix is not None else "regex"
        origins += (TextMatch(kind, origin.exact or origin.prefix or origin.regex or ""),)  # type: ignore[arg-type]
    unmatched = {"FORWARD": True, "IGNORE": False}.get(policy.unmatched_preflights)
    return CorsPlan(
        origins=origins,
        methods=",".join(policy.allow_methods),
        headers=",".join(policy.allow_headers),
        expose=",".join(policy.expose_headers),
        max_age=str(parse(policy.max_age) // _SECOND) if policy.max_age else "",
        credentials=policy.allow_credentials,
        forward_unmatched_preflights=unmatched,
    )
