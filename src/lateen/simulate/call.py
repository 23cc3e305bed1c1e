"""A call as its sender makes it, and what becomes of it: the words that the look-up, peer cases and `explain` share."""

from enum import StrEnum
from typing import Literal, NamedTuple

from msgspec import Struct

__all__ = ["Call", "Certificate", "Outcome", "Refusal"]


class Refusal(StrEnum):
    """Why a call does not reach a cluster."""

    NO_LISTENER = "NoListener"
    NO_FILTER_CHAIN = "NoFilterChain"
    MULTIPLE_FILTER_CHAINS = "MultipleFilterChain"
    PROTOCOL = "ProtocolError"
    TLS = "TLSError"
    MTLS = "MTLSError"
    NO_VIRTUAL_HOST = "NoVirtualHost"
    TLS_REDIRECT = "TLSRedirect"
    NO_ROUTE = "NoRoute"


_DEFAULT_ALPN = {
    ("mtls", "http"): "istio-http/1.1",
    ("mtls", "http2"): "istio-h2",
    ("mtls", "tcp"): "istio",
    ("tls", "http"): "http/1.1",
    ("tls", "http2"): "h2",
}


class Call(Struct, frozen=True, kw_only=True):
    """One connection and, for HTTP, one request. `address` and `port` are those the caller dials.

    `with_headers`: routes are matched by headers, method and query too, as Envoy does; else by path alone.
    `own_secret` is the SDS name that makes a chain count as mutual TLS of the mesh.
    """

    port: int
    address: str = "1.3.3.7"  # one that has no listener of its own
    mode: Literal["inbound", "outbound", "gateway"] = "outbound"
    protocol: Literal["http", "http2", "tcp"] = "http"
    tls: Literal["plaintext", "tls", "mtls"] = "plaintext"
    server_name: str = ""
    offered: str = ""  # ALPN
    host: str = ""
    method: str = "GET"
    path: str = "/"
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    with_headers: bool = True
    own_secret: str = "default"  # noqa: S105 - a name

    @property
    def sni(self) -> str:
        """The name asked for in the TLS handshake: the host's unless told."""
        return self.server_name or (self.host if self.tls == "tls" else "")

    @property
    def alpn(self) -> str:
        return self.offered or _DEFAULT_ALPN.get((self.tls, self.protocol), "")


class Certificate(NamedTuple):
    """What a chain's server side of TLS shows: its first SDS certificate, and whether the client must show one."""

    name: str
    client_required: bool


class Outcome(Struct, frozen=True, kw_only=True):
    """How far the call came; names are empty where it did not come so far. Weights are those of the route, 0 where it has none."""

    refusal: Refusal | None = None
    listener: str = ""
    chain: str = ""
    certificate: Certificate | None = None
    route_config: str = ""
    virtual_host: str = ""
    route: str = ""
    clusters: tuple[tuple[str, int], ...] = ()
    status: int = 0  # of a direct response or redirect

    @property
    def cluster(self) -> str:
        """The one cluster; empty where several share the calls or none takes them."""
        return self.clusters[0][0] if len(self.clusters) == 1 else ""
