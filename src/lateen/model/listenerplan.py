"""Plans of listeners: addresses, filter chains, and what each chain does with a connection.

Why: a plan is the only argument of its printer and so its only cache key. Must not name an Envoy type.
"""

from typing import Literal

from msgspec import Struct

from lateen.model.authz import AuthzPlan, AuthzStep
from lateen.model.extensionplan import ExtensionPlan
from lateen.model.frame import Owner
from lateen.model.requestauthn import JwtPlan

__all__ = [
    "AccessLogPlan",
    "ChainMatch",
    "ChainPlan",
    "ClientCertificates",
    "CredentialTls",
    "HttpPlan",
    "InboundRoutes",
    "InspectorPlan",
    "ListenerPlan",
    "MeshTls",
    "PathNormalization",
    "TcpPlan",
    "TunnelPlan",
]

Role = Literal["inbound", "outbound", "gateway"]
PathNormalization = Literal["NONE", "BASE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES"]
ClientCertificates = Literal["SANITIZE", "FORWARD_ONLY", "APPEND_FORWARD", "SANITIZE_SET", "ALWAYS_FORWARD_ONLY"]


class AccessLogPlan(Struct, frozen=True):
    """One file access log. `fields` are JSON's; empty for text."""

    path: str
    text: str = ""
    fields: tuple[tuple[str, str], ...] = ()


class MeshTls(Struct, frozen=True, kw_only=True):
    """A chain's side of mutual TLS inside the mesh: the workload's own certificate, clients of these trust domains."""

    alpn: tuple[str, ...]
    client_prefixes: tuple[str, ...]  # SPIFFE URI prefixes, one per trust domain
    min_version: str = "TLSV1_2"


class CredentialTls(Struct, frozen=True, kw_only=True):
    """A gateway's TLS from a Secret (`credentialName`) or files. `client`: what is asked of the client's certificate."""

    secrets: tuple[str, ...]  # SDS names: kubernetes://name, kubernetes-gateway://namespace/name or file-cert:cert~key
    provider: str = ""  # the cluster of a server that has them, where they are neither
    root: str = ""  # SDS name of the CA for client certificates
    client: Literal["none", "optional", "required"] = "none"
    alpn: tuple[str, ...] = ("h2", "http/1.1")
    client_names: tuple[str, ...] = ()  # exact subject alternative names
    revoked: str = ""  # file of revoked certificates
    min_version: str = ""
    max_version: str = ""
    ciphers: tuple[str, ...] = ()


class ChainMatch(Struct, frozen=True, kw_only=True):
    """Which connections a chain takes; empty parts match all."""

    port: int = 0
    prefixes: tuple[str, ...] = ()  # CIDRs of the destination
    server_names: tuple[str, ...] = ()
    transport: Literal["", "tls", "raw_buffer"] = ""
    protocols: tuple[str, ...] = ()


class InboundRoutes(Struct, frozen=True, kw_only=True):
    """All requests of an inbound port go to one cluster. `retries`: once more when the application was not reached."""

    cluster: str
    port: int
    operation: str
    retries: bool = True


class HttpPlan(Struct, frozen=True, kw_only=True):
    """HTTP on a chain: routes by name over RDS, or the one inline route of an inbound port."""

    role: Role
    stat_prefix: str
    route_name: str
    inbound: InboundRoutes | None = None
    trusted_proxies: int = 0  # gateways: xff_num_trusted_hops
    client_certificates: ClientCertificates = "SANITIZE_SET"  # gateways: what of a client's certificate is told in a header
    access_logs: tuple[AccessLogPlan, ...] = ()
    authn: JwtPlan | None = None
    authz: AuthzPlan | None = None
    path_normalization: PathNormalization = "BASE"
    grpc_web: bool = False  # browsers' form of gRPC is made into the plain one
    extensions: tuple[ExtensionPlan, ...] = ()  # within a phase in the order in which they stand
    http3: bool = False
    looks_up: bool = False  # some routes lead to hosts that are looked up when they are asked for


class TunnelPlan(Struct, frozen=True):
    """Bytes carried through an HTTP proxy: `target` is what it is asked for, as host:port, by CONNECT unless `post`."""

    target: str
    post: bool = False


class CarriedPlan(Struct, frozen=True, kw_only=True):
    """How connections of bytes are carried; times in nanoseconds."""

    idle_timeout: int | None = None
    max_duration: int | None = None
    by_source: bool = False  # the client's address chooses among endpoints
    tunnel: TunnelPlan | None = None


class TcpPlan(Struct, frozen=True, kw_only=True):
    """Bytes forwarded to a cluster, or to several by weight."""

    stat_prefix: str
    clusters: tuple[tuple[str, int], ...]
    idle_timeout: int | None = None  # nanoseconds
    max_duration: int | None = None  # nanoseconds
    by_source: bool = False  # the client's address chooses among endpoints
    access_logs: tuple[AccessLogPlan, ...] = ()
    authz: tuple[AuthzStep, ...] = ()
    tunnel: TunnelPlan | None = None
    looks_up: int = 0  # the port at which the server name of TLS is looked up and connected to


class ChainPlan(Struct, frozen=True, kw_only=True):
    """A filter chain. `name` may stand for several chains of one port."""

    application: HttpPlan | TcpPlan
    match: ChainMatch | None = None
    tls: MeshTls | CredentialTls | None = None
    name: str = ""
    connect_timeout: bool = False  # the TLS handshake must be over in 15 s


class InspectorPlan(Struct, frozen=True, kw_only=True):
    """A listener filter that looks into the first bytes, switched off on some destination ports or on for some."""

    kind: Literal["tls", "http"]
    off_ports: tuple[int, ...] = ()
    only_ports: tuple[int, ...] = ()  # on these alone; () for any that is not off


class ListenerPlan(Struct, frozen=True, kw_only=True):
    """A listener. `bind` False: only reached through the interception listener."""

    name: str
    address: str
    port: int
    direction: Literal["INBOUND", "OUTBOUND"]
    chains: tuple[ChainPlan, ...]
    default: ChainPlan | None = None
    bind: bool = True
    intercepts: Literal["", "redirect", "original_dst"] = ""  # use_original_dst; or the listener filter
    inspectors: tuple[InspectorPlan, ...] = ()
    patience: int = 0  # nanoseconds for inspectors to see something, then the connection goes on; 0 = no limit
    proxy_protocol: bool = False  # what stands before the client tells whose connection it is
    quic: bool = False  # of UDP: HTTP/3
    waits: bool = False  # gateways: no limit set on how long inspectors wait
    owners: tuple[Owner, ...] = ()
    rule_owners: tuple[Owner, ...] = ()  # of the tokens and rules of its chains

    @property
    def shaped_by(self) -> tuple[Owner, ...]:
        """The objects that the listener itself is made from: rules on bytes are in it, those on requests are resources of their own."""
        chains = (*self.chains, *((self.default,) if self.default is not None else ()))
        if not any(isinstance(chain.application, TcpPlan) and chain.application.authz for chain in chains):
            return self.owners
        return (*self.owners, *(owner for owner in self.rule_owners if owner[0].kind == "AuthorizationPolicy"))
