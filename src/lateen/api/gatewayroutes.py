"""The Gateway API's routes: HTTPRoute, GRPCRoute, TLSRoute, TCPRoute, UDPRoute (gateway-api v1.6, standard channel).

Rules between fields are in `kube.gatewayrules`. Nothing compiles these kinds yet.
"""

from typing import Annotated, Literal

from msgspec import Meta

from lateen.api.base import JsonObject
from lateen.api.gatewaycommon import (
    BackendObjectReference,
    BackendRef,
    Filled,
    Fraction,
    GatewayDuration,
    HeaderName,
    Hostname,
    LocalObjectReference,
    MatchType,
    ParentRefs,
    PathText,
    PortNumber,
    PreciseHostname,
    SectionName,
    UpTo16,
    UpTo64,
)
from lateen.api.meta import ObjectMeta

__all__ = ["GRPCRoute", "HTTPRoute", "HTTPRouteFilter", "TCPRoute", "TLSRoute", "UDPRoute"]

HeaderValue = Annotated[str, Meta(min_length=1, max_length=4096)]
Method = Literal["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"]
AnyMethod = Literal["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "*"]
_ORIGIN = r"(^\*$)|(^(http(s)?):\/\/(((\*\.)?([a-zA-Z0-9\-]+\.)*[a-zA-Z0-9-]+|\*)(:([0-9]{1,5}))?)$)"
CORSOrigin = Annotated[str, Meta(min_length=1, max_length=253, pattern=_ORIGIN)]
Backends = Annotated[tuple[BackendRef, ...], Meta(min_length=1, max_length=16)]


class HTTPHeader(Filled, frozen=True, kw_only=True):
    """A header and its value."""

    name: HeaderName
    value: HeaderValue


class HTTPHeaderFilter(Filled, frozen=True, kw_only=True):
    """Headers to set, add, remove."""

    set: UpTo16[HTTPHeader] = ()
    add: UpTo16[HTTPHeader] = ()
    remove: UpTo16[str] = ()


class HTTPRequestMirrorFilter(Filled, frozen=True, kw_only=True):
    """Where a copy goes, and of how many requests."""

    backend_ref: BackendObjectReference
    percent: Annotated[int, Meta(ge=0, le=100)] | None = None
    fraction: Fraction | None = None


class HTTPPathModifier(Filled, frozen=True, kw_only=True):
    """Another path, or another beginning of it."""

    type: Literal["ReplaceFullPath", "ReplacePrefixMatch"]
    replace_full_path: PathText | None = None
    replace_prefix_match: PathText | None = None


class HTTPRequestRedirectFilter(Filled, frozen=True, kw_only=True):
    """Where the client is sent."""

    scheme: Literal["http", "https"] | None = None
    hostname: PreciseHostname | None = None
    path: HTTPPathModifier | None = None
    port: PortNumber | None = None
    status_code: Literal[301, 302, 303, 307, 308] = 302


class HTTPURLRewriteFilter(Filled, frozen=True, kw_only=True):
    """Another host or path for the backend."""

    hostname: PreciseHostname | None = None
    path: HTTPPathModifier | None = None


class HTTPCORSFilter(Filled, frozen=True, kw_only=True):
    """What pages of other origins may do."""

    allow_origins: UpTo64[CORSOrigin] = ()
    allow_credentials: bool | None = None
    allow_methods: Annotated[tuple[AnyMethod, ...], Meta(max_length=9)] = ()
    allow_headers: UpTo64[HeaderName] = ()
    expose_headers: UpTo64[HeaderName] = ()
    max_age: Annotated[int, Meta(ge=1, le=2**31 - 1)] = 5


class HTTPRouteFilter(Filled, frozen=True, kw_only=True):
    """One step of a rule; the field that `type` names is set."""

    type: Literal[
        "RequestHeaderModifier", "ResponseHeaderModifier", "RequestMirror", "RequestRedirect", "URLRewrite", "ExtensionRef", "CORS"
    ]
    request_header_modifier: HTTPHeaderFilter | None = None
    response_header_modifier: HTTPHeaderFilter | None = None
    request_mirror: HTTPRequestMirrorFilter | None = None
    request_redirect: HTTPRequestRedirectFilter | None = None
    url_rewrite: HTTPURLRewriteFilter | None = None
    cors: HTTPCORSFilter | None = None
    extension_ref: LocalObjectReference | None = None


class HTTPPathMatch(Filled, frozen=True, kw_only=True):
    """A path, or the beginning of one."""

    type: Literal["Exact", "PathPrefix", "RegularExpression"] = "PathPrefix"
    value: PathText = "/"


class HTTPHeaderMatch(Filled, frozen=True, kw_only=True):
    """A header's value."""

    type: MatchType = "Exact"
    name: HeaderName
    value: HeaderValue


class HTTPQueryParamMatch(Filled, frozen=True, kw_only=True):
    """A query parameter's value."""

    type: MatchType = "Exact"
    name: HeaderName
    value: Annotated[str, Meta(min_length=1, max_length=1024)]


class HTTPRouteMatch(Filled, frozen=True, kw_only=True):
    """All of these must hold."""

    path: HTTPPathMatch = HTTPPathMatch()
    headers: UpTo16[HTTPHeaderMatch] = ()
    query_params: UpTo16[HTTPQueryParamMatch] = ()
    method: Method | None = None


class HTTPBackendRef(BackendRef, frozen=True, kw_only=True):
    """A backend, and what is done on the way to it alone."""

    filters: UpTo16[HTTPRouteFilter] = ()


class HTTPRouteTimeouts(Filled, frozen=True, kw_only=True):
    """Of the whole request, and of each try."""

    request: GatewayDuration | None = None
    backend_request: GatewayDuration | None = None


class HTTPRouteRetry(Filled, frozen=True, kw_only=True):
    """When a request is tried again."""

    codes: tuple[Annotated[int, Meta(ge=400, le=599)], ...] = ()
    attempts: int | None = None
    backoff: GatewayDuration | None = None


class HTTPRouteRule(Filled, frozen=True, kw_only=True):
    """What happens to requests that one of the matches fits."""

    name: SectionName | None = None
    matches: UpTo64[HTTPRouteMatch] = (HTTPRouteMatch(),)
    filters: UpTo16[HTTPRouteFilter] = ()
    backend_refs: UpTo16[HTTPBackendRef] = ()
    timeouts: HTTPRouteTimeouts | None = None
    retry: HTTPRouteRetry | None = None


class HTTPRouteSpec(Filled, frozen=True, kw_only=True):
    """Rules for hosts."""

    parent_refs: ParentRefs = ()
    hostnames: UpTo16[Hostname] = ()
    rules: Annotated[tuple[HTTPRouteRule, ...], Meta(min_length=1, max_length=16)] = (HTTPRouteRule(),)


class HTTPRoute(Filled, frozen=True, kw_only=True):
    """gateway.networking.k8s.io HTTPRoute, all versions."""

    api_version: str = "gateway.networking.k8s.io/v1"
    kind: Literal["HTTPRoute"] = "HTTPRoute"
    metadata: ObjectMeta = ObjectMeta()
    spec: HTTPRouteSpec
    status: JsonObject | None = None


class GRPCMethodMatch(Filled, frozen=True, kw_only=True):
    """A service, a method of it, or both."""

    type: MatchType = "Exact"
    service: PathText | None = None
    method: PathText | None = None


class GRPCRouteMatch(Filled, frozen=True, kw_only=True):
    """Both must hold."""

    method: GRPCMethodMatch | None = None
    headers: UpTo16[HTTPHeaderMatch] = ()


class GRPCRouteFilter(Filled, frozen=True, kw_only=True):
    """One step of a rule; the field that `type` names is set."""

    type: Literal["ResponseHeaderModifier", "RequestHeaderModifier", "RequestMirror", "ExtensionRef"]
    request_header_modifier: HTTPHeaderFilter | None = None
    response_header_modifier: HTTPHeaderFilter | None = None
    request_mirror: HTTPRequestMirrorFilter | None = None
    extension_ref: LocalObjectReference | None = None


class GRPCBackendRef(BackendRef, frozen=True, kw_only=True):
    """A backend, and what is done on the way to it alone."""

    filters: UpTo16[GRPCRouteFilter] = ()


class GRPCRouteRule(Filled, frozen=True, kw_only=True):
    """What happens to calls that one of the matches fits."""

    name: SectionName | None = None
    matches: UpTo64[GRPCRouteMatch] = ()
    filters: UpTo16[GRPCRouteFilter] = ()
    backend_refs: UpTo16[GRPCBackendRef] = ()


class GRPCRouteSpec(Filled, frozen=True, kw_only=True):
    """Rules for hosts."""

    parent_refs: ParentRefs = ()
    hostnames: UpTo16[Hostname] = ()
    rules: UpTo16[GRPCRouteRule] = ()


class GRPCRoute(Filled, frozen=True, kw_only=True):
    """gateway.networking.k8s.io GRPCRoute."""

    api_version: str = "gateway.networking.k8s.io/v1"
    kind: Literal["GRPCRoute"] = "GRPCRoute"
    metadata: ObjectMeta = ObjectMeta()
    spec: GRPCRouteSpec = GRPCRouteSpec()
    status: JsonObject | None = None


class ByteRule(Filled, frozen=True, kw_only=True):
    """Where connections go."""

    name: SectionName | None = None
    backend_refs: Backends


OneRule = Annotated[tuple[ByteRule, ...], Meta(min_length=1, max_length=1)]


class TLSRouteSpec(Filled, frozen=True, kw_only=True):
    """One rule for server names."""

    parent_refs: ParentRefs = ()
    hostnames: Annotated[tuple[Hostname, ...], Meta(min_length=1, max_length=1024)]
    rules: OneRule


class TLSRoute(Filled, frozen=True, kw_only=True):
    """gateway.networking.k8s.io TLSRoute, all versions."""

    api_version: str = "gateway.networking.k8s.io/v1"
    kind: Literal["TLSRoute"] = "TLSRoute"
    metadata: ObjectMeta = ObjectMeta()
    spec: TLSRouteSpec
    status: JsonObject | None = None


class ByteRouteSpec(Filled, frozen=True, kw_only=True):
    """One rule for a port."""

    parent_refs: ParentRefs = ()
    rules: OneRule


class TCPRoute(Filled, frozen=True, kw_only=True):
    """gateway.networking.k8s.io TCPRoute, all versions."""

    api_version: str = "gateway.networking.k8s.io/v1"
    kind: Literal["TCPRoute"] = "TCPRoute"
    metadata: ObjectMeta = ObjectMeta()
    spec: ByteRouteSpec
    status: JsonObject | None = None


class UDPRoute(Filled, frozen=True, kw_only=True):
    """gateway.networking.k8s.io UDPRoute, all versions."""

    api_version: str = "gateway.networking.k8s.io/v1"
    kind: Literal["UDPRoute"] = "UDPRoute"
    metadata: ObjectMeta = ObjectMeta()
    spec: ByteRouteSpec
    status: JsonObject | None = None
