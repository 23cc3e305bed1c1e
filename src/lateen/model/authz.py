"""Plans of authorization: conditions on a connection or request, rules made of them, and the services that are asked.

A condition says what is looked at, never how a proxy writes it. Must not name an Envoy type.
"""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

__all__ = [
    "ASKED_PREFIX",
    "CLAIMS",
    "TOKENS",
    "AllOf",
    "Always",
    "AnyOf",
    "AuthzPlan",
    "AuthzRule",
    "AuthzStep",
    "Condition",
    "ExtAuthzPlan",
    "Header",
    "InRange",
    "Match",
    "Metadata",
    "Not",
    "OnPort",
    "Path",
    "PathTemplate",
    "Peer",
    "RbacPlan",
    "RuleSet",
    "ServerName",
]


TOKENS, CLAIMS = "envoy.filters.http.jwt_authn", "payload"  # the filter that reads tokens, and where it puts the claims of a good one
ASKED_PREFIX = "istio_ext_authz_"  # of what is found out about the rules by which a service is asked


class Match(Struct, frozen=True):
    """How a text must be; "present" takes any that is there."""

    kind: Literal["exact", "prefix", "suffix", "regex", "present"]
    text: str = ""
    ignore_case: bool = False


class Always(Struct, frozen=True, tag=True):
    """Holds for everything."""


class Header(Struct, frozen=True, tag=True):
    """A request header, or a pseudo-header such as `:method`."""

    name: str
    match: Match


class Path(Struct, frozen=True, tag=True):
    """The path without the query."""

    match: Match


class PathTemplate(Struct, frozen=True, tag=True):
    """The path as segments: `*` is one, `**` all that follow."""

    template: str


class OnPort(Struct, frozen=True, tag=True):
    """The port connected to."""

    number: int


class InRange(Struct, frozen=True, tag=True):
    """An address: connected to, of the peer of the connection, or of the client as trusted proxies tell it."""

    whose: Literal["destination", "direct", "remote"]
    address: str
    length: int


class ServerName(Struct, frozen=True, tag=True):
    """The server name of the TLS handshake."""

    match: Match


class Peer(Struct, frozen=True, tag=True):
    """The URI of the verified client certificate."""

    match: Match


class Metadata(Struct, frozen=True, tag=True):
    """What an earlier filter found out. `lists`: the value may also be a list with such an element."""

    filter: str
    path: tuple[str, ...]
    matches: tuple[Match, ...]
    lists: bool = False


class AllOf(Struct, frozen=True, tag=True):
    """All conditions hold."""

    conditions: "tuple[Condition, ...]"


class AnyOf(Struct, frozen=True, tag=True):
    """One of the conditions holds."""

    conditions: "tuple[Condition, ...]"


class Not(Struct, frozen=True, tag=True):
    """The condition does not hold."""

    condition: "Condition"


Condition = Always | Header | Path | PathTemplate | OnPort | InRange | ServerName | Peer | Metadata | AllOf | AnyOf | Not


class AuthzRule(Struct, frozen=True, kw_only=True):
    """One rule of a policy: matches when one of `operations` and one of `sources` does."""

    name: str
    operations: tuple[Condition, ...]
    sources: tuple[Condition, ...]


class RuleSet(Struct, frozen=True, kw_only=True):
    """What happens to what a rule matches; ALLOW refuses all the rest."""

    action: Literal["ALLOW", "DENY", "LOG"]
    rules: tuple[AuthzRule, ...] = ()


class RbacPlan(Struct, frozen=True, kw_only=True):
    """Rules in force, and rules that are only counted (`shadow`), whose statistics begin with `shadow_prefix`."""

    rules: RuleSet | None = None
    shadow: RuleSet | None = None
    shadow_prefix: str = ""


class ExtAuthzPlan(Struct, frozen=True, kw_only=True):
    """A service asked about requests that the shadow rule named `asked_when*` matched. Durations are nanoseconds."""

    asked_when: str
    cluster: str
    authority: str
    timeout: int
    http: bool = False
    fail_open: bool = False
    status_on_error: int = 403
    clear_route_cache: bool = False
    path_prefix: str = ""
    body: tuple[int, bool, bool] | None = None  # bytes at most, whether a part will do, as raw bytes
    request_headers: tuple[Match, ...] = ()
    added_headers: Mapping[str, str] = {}
    headers_on_allow: tuple[Match, ...] = ()
    headers_to_client_on_deny: tuple[Match, ...] = ()
    headers_to_client_on_allow: tuple[Match, ...] = ()


AuthzStep = RbacPlan | ExtAuthzPlan


class AuthzPlan(Struct, frozen=True, kw_only=True):
    """The steps of a chain, in order: `custom` before tokens are read, `rules` after; `tcp` is all of a chain of bytes."""

    custom: tuple[AuthzStep, ...] = ()
    rules: tuple[AuthzStep, ...] = ()
    tcp: tuple[AuthzStep, ...] = ()
