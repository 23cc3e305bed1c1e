"""A VirtualService's rule for HTTP requests."""

import re
from collections.abc import Mapping, Sequence

from lateen.api.validate.names import (
    check_gateway_names,
    check_labels,
    check_port,
    check_regex,
    check_wildcard_domain,
    is_namespace,
)
from lateen.api.validate.report import Report
from lateen.api.validate.traffic import check_duration
from lateen.api.virtualservice import (
    CorsPolicy,
    Destination,
    FaultAbort,
    HeaderOperations,
    Headers,
    HTTPFaultInjection,
    HTTPMatchRequest,
    HTTPRedirect,
    HTTPRetry,
    HTTPRewrite,
    HTTPRoute,
    Percent,
    StringMatch,
)
from lateen.util import ipnets

__all__ = ["check_destination", "check_http_route"]

_HEADER = re.compile(r"[-_A-Za-z0-9!#$%&'*+.^`|~]+")
_CLAIM = re.compile(r"@request\.auth\.claims[.\[].+")
_AUTHORITY = frozenset({"host", ":authority"})
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE"})
_REDIRECT_CODES = frozenset({0, 301, 302, 303, 307, 308})
_GRPC_STATUSES = frozenset(
    {
        "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
        "UNAUTHENTICATED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL",
        "UNAVAILABLE", "DATA_LOSS",
    }
)  # fmt: skip
_RETRY_ON = frozenset(
    {
        "5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "envoy-ratelimited", "retriable-4xx", "refused-stream",
        "retriable-status-codes", "retriable-headers", "http3-post-connect-failure",
        "cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable",
    }
)  # fmt: skip


def check_destination(report: Report, destination: Destination | None) -> None:
    """A host, with or without a port."""
    if destination is None:
        report.error("destination is required")
        return
    host = destination.host
    if host == "*":
        report.at("host").error('"*" is every host; name one')
    elif not host:
        report.at("host").error("destination host is required")
    elif not ipnets.is_address(host):
        check_wildcard_domain(report.at("host"), host)
    if destination.port is not None:
        check_port(report.at("port", "number"), destination.port.number)


def check_http_route(report: Report, route: HTTPRoute, *, gateways: Sequence[str], delegate: bool) -> None:
    """All of one rule; `delegate` where the VirtualService has no hosts of its own."""
    _action(report, route, delegate=delegate)
    for index, match in enumerate(route.match):
        _match(report.at("match", index), match, gateways)
    total = 0
    for index, each in enumerate(route.route):
        where = report.at("route", index)
        check_destination(where.at("destination"), each.destination)
        _headers(where.at("headers"), each.headers)
        if each.weight < 0:
            where.at("weight").error(f"weight {each.weight} < 0")
        total += each.weight
    if len(route.route) > 1 and not total:
        report.at("route").error("total destination weight = 0: say by weight how requests are shared out")
    _headers(report.at("headers"), route.headers)
    check_duration(report.at("timeout"), route.timeout, 0)
    if route.retries is not None:
        _retries(report.at("retries"), route.retries)
    if route.fault is not None:
        _fault(report.at("fault"), route.fault)
    if route.cors_policy is not None:
        _cors(report.at("corsPolicy"), route.cors_policy)
    if route.rewrite is not None:
        _rewrite(report.at("rewrite"), route)
    _mirrors(report, route)


def _action(report: Report, route: HTTPRoute, *, delegate: bool) -> None:
    if route.redirect is not None:
        if route.route or route.direct_response is not None:
            report.error("HTTP route cannot contain both route and redirect")
        for field, given in (("fault", route.fault), ("rewrite", route.rewrite)):
            if given is not None:
                report.at(field).error(f"HTTP route rule cannot contain both {field} and redirect")
        _redirect(report.at("redirect"), route.redirect)
    _other_action(report, route, delegate=delegate)
    if not (route.route or route.redirect is not None or route.direct_response is not None or route.delegate is not None):
        report.error("HTTP route, redirect or directResponse is required")


def _other_action(report: Report, route: HTTPRoute, *, delegate: bool) -> None:
    if route.direct_response is not None:
        if route.route:
            report.error("HTTP route cannot contain both route and directResponse")
        if not 100 <= route.direct_response.status <= 599:
            report.at("directResponse", "status").error(f"{route.direct_response.status} is not a status from 100 to 599")
    if route.delegate is not None:
        if delegate:
            report.at("delegate").error("a delegate cannot delegate again")
        if route.route or route.redirect is not None or route.direct_response is not None:
            report.error("HTTP route cannot contain both delegate and another action (route, redirect or directResponse)")
        if not route.delegate.name:
            report.at("delegate", "name").error("the VirtualService that holds the routes is required")
        if route.delegate.namespace and not is_namespace(route.delegate.namespace):
            report.at("delegate", "namespace").error(f'"{route.delegate.namespace}" is not a namespace')


def _match(report: Report, match: HTTPMatchRequest, gateways: Sequence[str]) -> None:
    for field in ("uri", "scheme", "method", "authority"):
        value: StringMatch | None = getattr(match, field)
        if value is not None:
            _string(report.at(field), value)
    if match.method is not None and match.method.exact is not None and match.method.exact not in _METHODS:
        report.at("method").warn(f'"{match.method.exact}" is no method of HTTP; methods are written in capitals')
    for field, values in (("headers", match.headers), ("withoutHeaders", match.without_headers)):
        for name, wanted in values.items():
            _named(report.at(field, name), name, wanted, (*gateways, *match.gateways))
    for name, wanted in match.query_params.items():
        if not name:
            report.at("queryParams", name).error("a parameter needs a name")
        _string(report.at("queryParams", name), wanted)
    if match.port:
        check_port(report.at("port"), match.port)
    check_labels(report.at("sourceLabels"), match.source_labels)
    check_gateway_names(report.at("gateways"), match.gateways)


def _named(report: Report, name: str, wanted: StringMatch, gateways: Sequence[str]) -> None:
    if _CLAIM.fullmatch(name):
        if not gateways or "mesh" in gateways:
            report.error(f'"{name}" asks for a claim of the token, which only gateways know: name gateways, without mesh')
    elif name.startswith("@request.auth") or not _HEADER.fullmatch(name.removeprefix(":")):
        report.error(f'"{name}" is not a name of a header')
    _string(report, wanted)


def _string(report: Report, match: StringMatch) -> None:
    if match.regex is not None:
        check_regex(report.at("regex"), match.regex)
    if match.prefix == "":
        report.at("prefix").error("an empty prefix is no condition; leave it out")


def _headers(report: Report, headers: Headers | None) -> None:
    if headers is None:
        return
    for field, operations in (("request", headers.request), ("response", headers.response)):
        if operations is not None:
            _operations(report.at(field), operations)


def _operations(report: Report, operations: HeaderOperations) -> None:
    for field, values in (("set", operations.set), ("add", operations.add)):
        for name in values:
            _header(report.at(field, name), name)
            if name.lower() in _AUTHORITY and field == "add":
                report.at(field, name).error("a request has one authority: set it")
    for index, name in enumerate(operations.remove):
        _header(report.at("remove", index), name)


def _header(report: Report, name: str) -> None:
    if not _HEADER.fullmatch(name.removeprefix(":")):
        report.error(f'"{name}" is not a name of a header')


def _redirect(report: Report, redirect: HTTPRedirect) -> None:
    if not any((redirect.uri, redirect.prefix_rewrite, redirect.authority, redirect.scheme, redirect.port, redirect.derive_port)):
        report.error("redirect must specify uri, authority, port, scheme, or derivePort")
    if redirect.redirect_code not in _REDIRECT_CODES:
        report.at("redirectCode").error(f"{redirect.redirect_code} is not a redirect: 301, 302, 303, 307 and 308 are")
    if redirect.scheme not in {"", "http", "https"}:
        report.at("scheme").error(f'"{redirect.scheme}" is not http or https')
    if redirect.port:
        check_port(report.at("port"), redirect.port)


def _rewrite(report: Report, route: HTTPRoute) -> None:
    rewrite: HTTPRewrite | None = route.rewrite
    assert rewrite is not None  # noqa: S101  (the caller has looked)
    regex = rewrite.uri_regex_rewrite
    if not (rewrite.uri or rewrite.authority or regex is not None):
        report.error("rewrite must specify uri, uriRegexRewrite, or authority")
    if rewrite.uri and regex is not None:
        report.error("rewrite may only contain one of uri or uriRegexRewrite")
    if regex is not None:
        if not (regex.match and regex.rewrite):
            report.at("uriRegexRewrite").error("match and rewrite are both required")
        check_regex(report.at("uriRegexRewrite", "match"), regex.match)
    written: Mapping[str, str] = {}
    if route.headers is not None and route.headers.request is not None:
        written = {**route.headers.request.add, **route.headers.request.set}
    if rewrite.authority and any(name.lower() in _AUTHORITY for name in written):
        report.at("authority").error("the authority is set by rewrite and by a header operation; keep one")


def _retries(report: Report, retries: HTTPRetry) -> None:
    if retries.attempts < 0:
        report.at("attempts").error("attempts cannot be negative")
    if not retries.attempts and (retries.per_try_timeout is not None or retries.retry_on or retries.retry_remote_localities is not None):
        report.at("attempts").error("http retry policy configured when attempts are set to 0 (disabled)")
    check_duration(report.at("perTryTimeout"), retries.per_try_timeout)
    check_duration(report.at("backoff"), retries.backoff)
    for word in filter(None, (each.strip() for each in retries.retry_on.split(","))):
        if word not in _RETRY_ON and not (word.isdigit() and 100 <= int(word) <= 599):
            report.at("retryOn").error(f'"{word}" is not a reason to retry; known are {", ".join(sorted(_RETRY_ON))}, and statuses')


def _fault(report: Report, fault: HTTPFaultInjection) -> None:
    if fault.delay is None and fault.abort is None:
        report.error("HTTP fault injection must have an abort and/or a delay")
    if fault.abort is not None:
        _abort(report.at("abort"), fault.abort)
    if fault.delay is not None:
        where = report.at("delay")
        _percent(where, fault.delay.percentage)
        if not 0 <= fault.delay.percent <= 100:
            where.at("percent").error(f"{fault.delay.percent} is not a share from 0 to 100")
        if fault.delay.exponential_delay is not None:
            where.at("exponentialDelay").error("exponentialDelay not supported yet")
        elif fault.delay.fixed_delay is None:
            where.at("fixedDelay").error("how long is required")
        check_duration(where.at("fixedDelay"), fault.delay.fixed_delay)


def _abort(report: Report, abort: FaultAbort) -> None:
    _percent(report, abort.percentage)
    if abort.http_status is not None and not 200 <= abort.http_status <= 599:
        report.at("httpStatus").error(f"{abort.http_status} is not a status from 200 to 599")
    if abort.grpc_status is not None and abort.grpc_status not in _GRPC_STATUSES:
        report.at("grpcStatus").error(f'"{abort.grpc_status}" is not a status of gRPC, such as UNAVAILABLE')
    if abort.http2_error is not None:
        report.at("http2Error").error("HTTP/2 errors cannot be injected")
    if abort.http_status is None and abort.grpc_status is None and abort.http2_error is None:
        report.error("httpStatus or grpcStatus is required")


def _percent(report: Report, percent: Percent | None) -> None:
    if percent is not None and not 0 <= percent.value <= 100:
        report.at("percentage", "value").error(f"{percent.value:g} is not a share from 0 to 100")


def _cors(report: Report, cors: CorsPolicy) -> None:
    for index, origin in enumerate(cors.allow_origins):
        _string(report.at("allowOrigins", index), origin)
    for index, method in enumerate(cors.allow_methods):
        if method not in _METHODS:
            report.at("allowMethods", index).error(f'"{method}" is not a method of HTTP; methods are written in capitals')
    for field, names in (("allowHeaders", cors.allow_headers), ("exposeHeaders", cors.expose_headers)):
        for index, name in enumerate(names):
            _header(report.at(field, index), name)
    if cors.max_age is not None:
        check_duration(report.at("maxAge"), cors.max_age, 0)


def _mirrors(report: Report, route: HTTPRoute) -> None:
    if route.mirror is not None:
        check_destination(report.at("mirror"), route.mirror)
        if route.mirrors:
            report.error("HTTP route rule cannot contain both mirror and mirrors")
    if route.mirror_percent is not None and route.mirror_percent > 100:
        report.at("mirrorPercent").error(f"{route.mirror_percent} is not a share from 0 to 100")
    _percent(report, route.mirror_percentage)
    for index, policy in enumerate(route.mirrors):
        check_destination(report.at("mirrors", index, "destination"), policy.destination)
        _percent(report.at("mirrors", index), policy.percentage)
