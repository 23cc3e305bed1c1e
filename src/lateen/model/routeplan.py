"""Plans of HTTP routes: everything a printer needs to write virtual hosts, and nothing else.

Why: a plan is the only argument of its printer and so its only cache key. Durations are nanoseconds, shares are in millionths.
Must not name an Envoy type.
"""

from typing import Literal

from msgspec import Struct

from lateen.api.meta import Key
from lateen.model.frame import Owner

__all__ = [
    "ClaimMatchPlan",
    "CorsPlan",
    "FaultPlan",
    "HashPlan",
    "HeaderMatchPlan",
    "HeaderOpsPlan",
    "MatchPlan",
    "MirrorPlan",
    "QueryMatchPlan",
    "RedirectPlan",
    "ResponsePlan",
    "RetryPlan",
    "RouteConfigPlan",
    "RoutePlan",
    "TargetPlan",
    "TextMatch",
    "VirtualHostPlan",
]


class TextMatch(Struct, frozen=True):
    """How a text must be: `present` takes any; a regex is RE2 and must match the whole text."""

    kind: Literal["exact", "prefix", "regex", "present"]
    value: str = ""


class HeaderMatchPlan(Struct, frozen=True, kw_only=True):
    """One header that must match, or with `invert` must not; then an absent header counts as empty."""

    name: str
    match: TextMatch
    invert: bool = False


class ClaimMatchPlan(Struct, frozen=True, kw_only=True):
    """A claim of the request's verified token: its value, or an element of it."""

    path: tuple[str, ...]
    match: TextMatch
    invert: bool = False


class QueryMatchPlan(Struct, frozen=True):
    name: str
    match: TextMatch


class MatchPlan(Struct, frozen=True, kw_only=True):
    """All conditions of a route. `case_sensitive` is None where the rule says nothing of it."""

    path: TextMatch = TextMatch("prefix", "/")
    case_sensitive: bool | None = None
    headers: tuple[HeaderMatchPlan, ...] = ()
    queries: tuple[QueryMatchPlan, ...] = ()
    claims: tuple[ClaimMatchPlan, ...] = ()

    @property
    def takes_all(self) -> bool:
        """Whether no request passes it by, so that whatever follows is never reached."""
        everything = self.path in (TextMatch("prefix", "/"), TextMatch("regex", ".*"))
        return everything and not self.headers and not self.queries and not self.claims


class HeaderOpsPlan(Struct, frozen=True, kw_only=True):
    """Header operations in the order they are applied: (name, value, replace)."""

    request: tuple[tuple[str, str, bool], ...] = ()
    response: tuple[tuple[str, str, bool], ...] = ()
    request_remove: tuple[str, ...] = ()
    response_remove: tuple[str, ...] = ()


class TargetPlan(Struct, frozen=True, kw_only=True):
    """A cluster and its share; `authority` replaces the request's host."""

    cluster: str
    weight: int = 0
    headers: HeaderOpsPlan = HeaderOpsPlan()
    authority: str = ""


class RetryPlan(Struct, frozen=True, kw_only=True):
    """When to try again. `other_hosts`: not on a host that was tried; `other_localities`: move on through priorities."""

    attempts: int
    retry_on: str
    status_codes: tuple[int, ...] = ()
    per_try_timeout: int | None = None
    backoff: int | None = None
    other_hosts: bool = True
    other_localities: bool = False


class HashPlan(Struct, frozen=True, kw_only=True):
    """What decides the endpoint under consistent hashing. `ttl` None: no cookie is made up."""

    kind: Literal["header", "cookie", "query", "source_ip"]
    name: str = ""
    path: str = ""
    ttl: int | None = None
    attributes: tuple[tuple[str, str], ...] = ()


class MirrorPlan(Struct, frozen=True):
    """A copy of a share (millionths) of the requests; None = all."""

    cluster: str
    share: int | None = None


class FaultPlan(Struct, frozen=True, kw_only=True):
    """Faults with their shares in millionths (None: not said, so of no request); a fault that is None does not happen."""

    delay: int | None = None
    delay_share: int | None = None
    abort_status: int | None = None
    abort_grpc: int | None = None
    abort_share: int | None = None


class CorsPlan(Struct, frozen=True, kw_only=True):
    """Cross-origin rules; `max_age` is whole seconds as text, "" = not given."""

    origins: tuple[TextMatch, ...] = ()
    methods: str = ""
    headers: str = ""
    expose: str = ""
    max_age: str = ""
    credentials: bool | None = None
    forward_unmatched_preflights: bool | None = None


class RedirectPlan(Struct, frozen=True, kw_only=True):
    """An answer that sends the client elsewhere; empty parts stay as in the request."""

    code: int = 301
    scheme: str = ""
    authority: str = ""
    port: int = 0
    path: str = ""
    prefix: str = ""


class ResponsePlan(Struct, frozen=True):
    """An answer made by the proxy."""

    status: int
    body: bytes | None = None


class RoutePlan(Struct, frozen=True, kw_only=True):
    """One route: exactly one of `targets`, `redirect`, `response`."""

    match: MatchPlan = MatchPlan()
    name: str = ""
    operation: str = ""  # decorator for traces, "" = none
    config: Key | None = None  # the VirtualService it came from
    targets: tuple[TargetPlan, ...] = ()
    redirect: RedirectPlan | None = None
    response: ResponsePlan | None = None
    timeout: int = 0  # 0 = none
    retry: RetryPlan | None = None
    prefix_rewrite: str = ""
    regex_rewrite: tuple[str, str] | None = None  # (pattern, substitution)
    authority: str = ""
    headers: HeaderOpsPlan = HeaderOpsPlan()
    mirrors: tuple[MirrorPlan, ...] = ()
    hashes: tuple[HashPlan, ...] = ()
    fault: FaultPlan | None = None
    cors: CorsPlan | None = None
    stat_prefix: str = ""


class VirtualHostPlan(Struct, frozen=True, kw_only=True):
    """Domains and their routes. `require_tls`: plaintext requests are redirected to HTTPS. `http3_port` also has them over QUIC."""

    name: str
    domains: tuple[str, ...]
    routes: tuple[RoutePlan, ...]
    require_tls: bool = False
    http3_port: int = 0
    owners: tuple[Owner, ...] = ()


class RouteConfigPlan(Struct, frozen=True, kw_only=True):
    """A route configuration: its virtual hosts by their plan keys, joined after printing."""

    name: str
    hosts: tuple[object, ...]  # keys in the collection of virtual host plans, sorted
