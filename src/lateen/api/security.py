"""Istio's security kinds: PeerAuthentication, RequestAuthentication, AuthorizationPolicy."""

from collections.abc import Mapping
from typing import Literal

from msgspec import field

from lateen.api.base import Duration, Message
from lateen.api.meta import IstioStatus, ObjectMeta, PolicyTargetReference, WorkloadSelector

__all__ = [
    "AuthorizationPolicy",
    "AuthorizationPolicySpec",
    "AuthorizationProvider",
    "ClaimToHeader",
    "Condition",
    "From",
    "JWTHeader",
    "JWTRule",
    "MutualTLS",
    "Operation",
    "PeerAuthentication",
    "PeerAuthenticationSpec",
    "RequestAuthentication",
    "RequestAuthenticationSpec",
    "Rule",
    "Source",
    "To",
]


class MutualTLS(Message, frozen=True):
    """Whether mutual TLS is taken; UNSET inherits from the wider scope."""

    mode: Literal["UNSET", "DISABLE", "PERMISSIVE", "STRICT"] = "UNSET"


class PeerAuthenticationSpec(Message, frozen=True):
    """Selector (none: the namespace, or the mesh in the root namespace), mode, and modes of workload ports."""

    selector: WorkloadSelector | None = None
    mtls: MutualTLS | None = None
    port_level_mtls: Mapping[int, MutualTLS] = field(default_factory=dict)


class PeerAuthentication(Message, frozen=True):
    """security.istio.io PeerAuthentication, all versions."""

    api_version: str = "security.istio.io/v1"
    kind: Literal["PeerAuthentication"] = "PeerAuthentication"
    metadata: ObjectMeta = ObjectMeta()
    spec: PeerAuthenticationSpec = PeerAuthenticationSpec()
    status: IstioStatus | None = None


class JWTHeader(Message, frozen=True):
    """A header that carries the token, behind a prefix such as `Bearer `."""

    name: str = ""
    prefix: str = ""


class ClaimToHeader(Message, frozen=True):
    """A claim that the backend is told in a header."""

    header: str = ""
    claim: str = ""


class JWTRule(Message, frozen=True):
    """Tokens of one issuer: its keys, where tokens are found, what the backend is told."""

    issuer: str = ""
    audiences: tuple[str, ...] = ()
    jwks_uri: str = ""
    jwks: str = ""
    from_headers: tuple[JWTHeader, ...] = ()
    from_params: tuple[str, ...] = ()
    from_cookies: tuple[str, ...] = ()
    output_payload_to_header: str = ""
    forward_original_token: bool = False
    output_claim_to_headers: tuple[ClaimToHeader, ...] = ()
    timeout: Duration | None = None
    space_delimited_claims: tuple[str, ...] = ()
    presence: Literal["PRESENCE_UNSPECIFIED", "OPTIONAL", "REQUIRED"] = "PRESENCE_UNSPECIFIED"


class RequestAuthenticationSpec(Message, frozen=True):
    """Which workloads, by labels or as targets, and the rules of each issuer."""

    selector: WorkloadSelector | None = None
    target_ref: PolicyTargetReference | None = None
    target_refs: tuple[PolicyTargetReference, ...] = ()
    jwt_rules: tuple[JWTRule, ...] = ()


class RequestAuthentication(Message, frozen=True):
    """security.istio.io RequestAuthentication, all versions."""

    api_version: str = "security.istio.io/v1"
    kind: Literal["RequestAuthentication"] = "RequestAuthentication"
    metadata: ObjectMeta = ObjectMeta()
    spec: RequestAuthenticationSpec = RequestAuthenticationSpec()
    status: IstioStatus | None = None


class Source(Message, frozen=True):
    """Who calls: all lists given must match, each by one of its values."""

    principals: tuple[str, ...] = ()
    not_principals: tuple[str, ...] = ()
    request_principals: tuple[str, ...] = ()
    not_request_principals: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    not_namespaces: tuple[str, ...] = ()
    service_accounts: tuple[str, ...] = ()
    not_service_accounts: tuple[str, ...] = ()
    trust_domains: tuple[str, ...] = ()
    not_trust_domains: tuple[str, ...] = ()
    ip_blocks: tuple[str, ...] = ()
    not_ip_blocks: tuple[str, ...] = ()
    remote_ip_blocks: tuple[str, ...] = ()
    not_remote_ip_blocks: tuple[str, ...] = ()


class Operation(Message, frozen=True):
    """What is asked for: all lists given must match, each by one of its values."""

    hosts: tuple[str, ...] = ()
    not_hosts: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    not_ports: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    not_methods: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    not_paths: tuple[str, ...] = ()


class From(Message, frozen=True):
    """One source of a rule."""

    source: Source | None = None


class To(Message, frozen=True):
    """One operation of a rule."""

    operation: Operation | None = None


class Condition(Message, frozen=True):
    """An attribute that must have one of the values and none of the others."""

    key: str = ""
    values: tuple[str, ...] = ()
    not_values: tuple[str, ...] = ()


class Rule(Message, frozen=True):
    """Matches when one source, one operation and all conditions do; what is left out (None) matches always."""

    from_: tuple[From, ...] | None = field(name="from", default=None)
    to: tuple[To, ...] | None = None
    when: tuple[Condition, ...] = ()


class AuthorizationProvider(Message, frozen=True):
    """The extension provider that is asked, for action CUSTOM."""

    name: str = ""


class AuthorizationPolicySpec(Message, frozen=True):
    """Which workloads, what is done with a request that a rule matches. ALLOW without rules allows nothing."""

    selector: WorkloadSelector | None = None
    target_ref: PolicyTargetReference | None = None
    target_refs: tuple[PolicyTargetReference, ...] = ()
    rules: tuple[Rule, ...] = ()
    action: Literal["ALLOW", "DENY", "AUDIT", "CUSTOM"] = "ALLOW"
    provider: AuthorizationProvider | None = None


class AuthorizationPolicy(Message, frozen=True):
    """security.istio.io AuthorizationPolicy, all versions."""

    api_version: str = "security.istio.io/v1"
    kind: Literal["AuthorizationPolicy"] = "AuthorizationPolicy"
    metadata: ObjectMeta = ObjectMeta()
    spec: AuthorizationPolicySpec = AuthorizationPolicySpec()
    status: IstioStatus | None = None
