"""Plans of request authentication: whose tokens are taken, where they are found, what the backend is told. Must not name an Envoy type."""

from msgspec import Struct

__all__ = ["JwtPlan", "JwtProvider"]


class JwtProvider(Struct, frozen=True, kw_only=True):
    """Tokens of one issuer. Without a place to look for them, the usual ones: `Authorization: Bearer`, `?access_token`."""

    issuer: str
    keys: str  # a JWKS
    audiences: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()  # name, prefix
    params: tuple[str, ...] = ()
    cookies: tuple[str, ...] = ()
    forward: bool = False
    payload_header: str = ""
    claim_headers: tuple[tuple[str, str], ...] = ()  # header, claim
    space_delimited: tuple[str, ...] = ()


class JwtPlan(Struct, frozen=True, kw_only=True):
    """A request without a token passes, one with a token that none of the providers takes does not."""

    providers: tuple[JwtProvider, ...]
    clear_route_cache: bool = False  # gateways: routes may ask for claims
