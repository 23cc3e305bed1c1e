"""What a rule adds to forwarding: retries, faults, mirrors, cross-origin rules.

Defaults are Istio's (reference: 2 retries on connect-failure, refused-stream, unavailable, cancelled, retriable-status-codes).
"""

from collections.abc import Callable
from http import HTTPStatus

from lateen.api.virtualservice import CorsPolicy, Destination, HTTPFaultInjection, HTTPRetry, HTTPRoute, Percent
from lateen.model.routeplan import CorsPlan, FaultPlan, MirrorPlan, RetryPlan, TextMatch
from lateen.util.durations import parse

__all__ = ["plan_cors", "plan_fault", "plan_mirrors", "plan_retry", "share"]

_RETRY_ON = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
_DEFAULT_ATTEMPTS = 2
_SECOND = 1_000_000_000
_STATUS_CODES = frozenset(str(status.value) for status in HTTPStatus)
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


def share(percentage: Percent | None) -> int | None:
    """A percentage in millionths, cut to steps of 0.0001 % as Istio does; None where none is given."""
    return None if percentage is None else int(percentage.value * 10_000)


def _old_percent(percent: int) -> Percent | None:
    return Percent(value=percent) if percent else None


def plan_retry(retries: HTTPRetry | None, *, hashed: bool) -> RetryPlan | None:
    """When to try again; None = never. With consistent hashing the endpoint is given, so it may be one that was tried, unless told."""
    if retries is None:
        return RetryPlan(attempts=_DEFAULT_ATTEMPTS, retry_on=_RETRY_ON, other_hosts=not hashed)
    if retries.attempts <= 0:
        return None
    conditions, codes = _conditions(retries.retry_on)
    told = retries.retry_ignore_previous_hosts
    return RetryPlan(
        attempts=retries.attempts,
        retry_on=conditions,
        status_codes=codes,
        per_try_timeout=parse(retries.per_try_timeout) if retries.per_try_timeout else None,
        backoff=parse(retries.backoff) if retries.backoff else None,
        other_hosts=not hashed if told is None else told,
        other_localities=bool(retries.retry_remote_localities),
    )


def _conditions(retry_on: str) -> tuple[str, tuple[int, ...]]:
    """Numbers in `retryOn` are status codes; with any of them Envoy must also be told to look at them."""
    if not retry_on:
        return _RETRY_ON, ()
    parts = [part.strip() for part in retry_on.split(",") if part.strip()]
    codes = tuple(int(part) for part in parts if part in _STATUS_CODES)
    names = [part for part in parts if part not in _STATUS_CODES]
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
        delay_share=share(delay.percentage or _old_percent(delay.percent)) if delay is not None else None,
        abort_status=abort.http_status if abort is not None else None,
        abort_grpc=_GRPC_STATUS.index(abort.grpc_status) if abort is not None and abort.grpc_status in _GRPC_STATUS else None,
        abort_share=share(abort.percentage) if abort is not None else None,
    )
    nothing = plan.delay is None and plan.abort_status is None and plan.abort_grpc is None
    return None if nothing else plan


def plan_mirrors(rule: HTTPRoute, cluster: Callable[[Destination], str]) -> tuple[MirrorPlan, ...]:
    """Copies of the rule's requests; a share of 0 is no copy."""
    old = Percent(value=rule.mirror_percent) if rule.mirror_percent is not None else None
    wanted = [(rule.mirror, rule.mirror_percentage or old), *((m.destination, m.percentage) for m in rule.mirrors)]
    return tuple(
        MirrorPlan(cluster(destination), share(percentage))
        for destination, percentage in wanted
        if destination is not None and (percentage is None or percentage.value > 0)
    )


def plan_cors(policy: CorsPolicy | None) -> CorsPlan | None:
    """Cross-origin rules as Envoy words them."""
    if policy is None:
        return None
    origins: tuple[TextMatch, ...] = ()
    if not policy.allow_origins:
        origins = tuple(TextMatch("exact", origin) for origin in policy.allow_origin)
    for origin in policy.allow_origins:
        kind = "exact" if origin.exact is not None else "prefix" if origin.prefix is not None else "regex"
        origins += (TextMatch(kind, origin.exact or origin.prefix or origin.regex or ""),)  # type: ignore[arg-type]
    return CorsPlan(
        origins=origins,
        methods=",".join(policy.allow_methods),
        headers=",".join(policy.allow_headers),
        expose=",".join(policy.expose_headers),
        max_age=str(parse(policy.max_age) // _SECOND) if policy.max_age else "",
        credentials=policy.allow_credentials,
        forward_unmatched_preflights=policy.unmatched_preflights != "IGNORE",
    )
