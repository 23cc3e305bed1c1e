"""Istio's VirtualService.

Field meanings are Istio's; oneofs are several optional fields of which at most one is given (`one_of`).
"""

from collections.abc import Mapping
from typing import Literal

from msgspec import field

from lateen.api.base import Duration, Int32, Message, OneOf, UInt32
from lateen.api.meta import IstioStatus, ObjectMeta

__all__ = [
    "CorsPolicy",
    "Delegate",
    "Destination",
    "FaultAbort",
    "FaultDelay",
    "HTTPBody",
    "HTTPDirectResponse",
    "HTTPFaultInjection",
    "HTTPMatchRequest",
    "HTTPMirrorPolicy",
    "HTTPRedirect",
    "HTTPRetry",
    "HTTPRewrite",
    "HTTPRoute",
    "HTTPRouteDestination",
    "HeaderOperations",
    "Headers",
    "L4MatchAttributes",
    "Percent",
    "PortSelector",
    "RegexRewrite",
    "RouteDestination",
    "StringMatch",
    "TCPRoute",
    "TLSMatchAttributes",
    "TLSRoute",
    "VirtualService",
    "VirtualServiceSpec",
]


class StringMatch(OneOf, frozen=True):
    """`exact`, `prefix` or `regex` (RE2, the whole text); none of them means "is present" where that makes sense."""

    one_of = (("exact", "prefix", "regex"),)

    exact: str | None = None
    prefix: str | None = None
    regex: str | None = None


class Percent(Message, frozen=True):
    """A percentage from 0 to 100, in steps of 0.0001."""

    value: float = 0.0


class PortSelector(Message, frozen=True):
    """A port of a service by its number."""

    number: UInt32 = 0


class Destination(Message, frozen=True):
    """A service, a subset of it, and a port."""

    host: str = ""
    subset: str = ""
    port: PortSelector | None = None


class HeaderOperations(Message, frozen=True):
    """What to do with the headers of requests or responses."""

    set: Mapping[str, str] = field(default_factory=dict)
    add: Mapping[str, str] = field(default_factory=dict)
    remove: tuple[str, ...] = ()


class Headers(Message, frozen=True):
    """Header operations for both ways."""

    request: HeaderOperations | None = None
    response: HeaderOperations | None = None


class HTTPMatchRequest(Message, frozen=True):
    """All conditions of one match block; blocks of a route are alternatives."""

    name: str = ""
    uri: StringMatch | None = None
    scheme: StringMatch | None = None
    method: StringMatch | None = None
    authority: StringMatch | None = None
    headers: Mapping[str, StringMatch] = field(default_factory=dict)
    port: UInt32 = 0
    source_labels: Mapping[str, str] = field(default_factory=dict)
    gateways: tuple[str, ...] = ()
    query_params: Mapping[str, StringMatch] = field(default_factory=dict)
    ignore_uri_case: bool = False
    without_headers: Mapping[str, StringMatch] = field(default_factory=dict)
    source_namespace: str = ""
    stat_prefix: str = ""


class HTTPRouteDestination(Message, frozen=True):
    """Where a share of the requests goes."""

    destination: Destination | None = None
    weight: Int32 = 0
    headers: Headers | None = None


class RouteDestination(Message, frozen=True):
    """Where a share of the connections goes."""

    destination: Destination | None = None
    weight: Int32 = 0


class HTTPRedirect(OneOf, frozen=True):
    """Answers with a redirect instead of routing."""

    one_of = (("port", "derive_port"),)

    uri: str = ""
    prefix_rewrite: str = ""
    authority: str = ""
    port: UInt32 | None = None
    derive_port: Literal["FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT"] | None = None
    scheme: str = ""
    redirect_code: UInt32 = 0


class HTTPBody(OneOf, frozen=True):
    """A body as text or as base64."""

    one_of = (("string", "bytes"),)

    string: str | None = None
    bytes: str | None = None


class HTTPDirectResponse(Message, frozen=True):
    """Answers with this status and body instead of routing."""

    status: UInt32 = 0
    body: HTTPBody | None = None


class Delegate(Message, frozen=True):
    """The VirtualService that holds the routes below this match."""

    name: str = ""
    namespace: str = ""


class RegexRewrite(Message, frozen=True):
    """Replaces what `match` (RE2) matches in the path."""

    match: str = ""
    rewrite: str = ""


class HTTPRewrite(Message, frozen=True):
    """Changes path and authority before forwarding."""

    uri: str = ""
    authority: str = ""
    uri_regex_rewrite: RegexRewrite | None = None


class HTTPRetry(Message, frozen=True):
    """When and how often to try again; `attempts: 0` switches retries off."""

    attempts: Int32 = 0
    per_try_timeout: Duration | None = None
    retry_on: str = ""
    retry_remote_localities: bool | None = None
    retry_ignore_previous_hosts: bool | None = None
    backoff: Duration | None = None


class FaultDelay(OneOf, frozen=True):
    """Delays a share of the requests."""

    one_of = (("fixed_delay", "exponential_delay"),)

    percent: Int32 = 0  # deprecated
    fixed_delay: Duration | None = None
    exponential_delay: Duration | None = None  # never implemented by Istio
    percentage: Percent | None = None


class FaultAbort(OneOf, frozen=True):
    """Answers a share of the requests with an error."""

    one_of = (("http_status", "grpc_status", "http2_error"),)

    http_status: Int32 | None = None
    grpc_status: str | None = None
    http2_error: str | None = None  # never implemented by Istio
    percentage: Percent | None = None


class HTTPFaultInjection(Message, frozen=True):
    """Faults that the caller's proxy makes."""

    delay: FaultDelay | None = None
    abort: FaultAbort | None = None


class HTTPMirrorPolicy(Message, frozen=True):
    """Sends a copy of a share of the requests elsewhere; no percentage means all."""

    destination: Destination | None = None
    percentage: Percent | None = None


class CorsPolicy(Message, frozen=True):
    """Cross-origin resource sharing."""

    allow_origin: tuple[str, ...] = ()  # deprecated
    allow_origins: tuple[StringMatch, ...] = ()
    allow_methods: tuple[str, ...] = ()
    allow_headers: tuple[str, ...] = ()
    expose_headers: tuple[str, ...] = ()
    max_age: Duration | None = None
    allow_credentials: bool | None = None
    unmatched_preflights: Literal["UNSPECIFIED", "FORWARD", "IGNORE"] = "UNSPECIFIED"


class HTTPRoute(Message, frozen=True):
    """One rule for HTTP requests; the first that matches is taken."""

    name: str = ""
    match: tuple[HTTPMatchRequest, ...] = ()
    route: tuple[HTTPRouteDestination, ...] = ()
    redirect: HTTPRedirect | None = None
    direct_response: HTTPDirectResponse | None = None
    delegate: Delegate | None = None
    rewrite: HTTPRewrite | None = None
    timeout: Duration | None = None
    retries: HTTPRetry | None = None
    fault: HTTPFaultInjection | None = None
    mirror: Destination | None = None
    mirrors: tuple[HTTPMirrorPolicy, ...] = ()
    mirror_percent: UInt32 | None = None  # deprecated
    mirror_percentage: Percent | None = None
    cors_policy: CorsPolicy | None = None
    headers: Headers | None = None


class TLSMatchAttributes(Message, frozen=True):
    """Conditions on TLS that is passed on unopened."""

    sni_hosts: tuple[str, ...] = ()
    destination_subnets: tuple[str, ...] = ()
    port: UInt32 = 0
    source_subnet: str = ""  # deprecated
    source_labels: Mapping[str, str] = field(default_factory=dict)
    gateways: tuple[str, ...] = ()
    source_namespace: str = ""


class L4MatchAttributes(Message, frozen=True):
    """Conditions on TCP connections."""

    destination_subnets: tuple[str, ...] = ()
    port: UInt32 = 0
    source_subnet: str = ""
    source_labels: Mapping[str, str] = field(default_factory=dict)
    gateways: tuple[str, ...] = ()
    source_namespace: str = ""


class TLSRoute(Message, frozen=True):
    """One rule for TLS that is passed on unopened."""

    match: tuple[TLSMatchAttributes, ...] = ()
    route: tuple[RouteDestination, ...] = ()


class TCPRoute(Message, frozen=True):
    """One rule for TCP connections."""

    match: tuple[L4MatchAttributes, ...] = ()
    route: tuple[RouteDestination, ...] = ()


class VirtualServiceSpec(Message, frozen=True):
    """Routes for hosts."""

    hosts: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    http: tuple[HTTPRoute, ...] = ()
    tls: tuple[TLSRoute, ...] = ()
    tcp: tuple[TCPRoute, ...] = ()
    export_to: tuple[str, ...] = ()


class VirtualService(Message, frozen=True):
    """networking.istio.io VirtualService, all versions."""

    api_version: str = "networking.istio.io/v1"
    kind: Literal["VirtualService"] = "VirtualService"
    metadata: ObjectMeta = ObjectMeta()
    spec: VirtualServiceSpec = VirtualServiceSpec()
    status: IstioStatus | None = None
