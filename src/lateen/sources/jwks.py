"""Fetches public keys of token issuers over HTTP.

The address comes from whoever may write a RequestAuthentication, and the control plane sits where that person may not: so the host is
looked up once, every address it has must be outside of the blocked ranges, and the connection goes to the address that was checked. An
answer is limited in size and time; a redirect never leads to a private address or away from TLS. Must not keep anything.
"""

import asyncio
import socket
import ssl
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urljoin, urlsplit

import msgspec
from msgspec import Struct

from lateen.sources.kubehttp import Endpoint, HttpPool, UnreachableError

__all__ = ["BLOCKED", "JwksError", "JwksSource"]

DISCOVERY = "/.well-known/openid-configuration"
BLOCKED = ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4", "::/127", "fe80::/10", "ff00::/8")
_LARGEST = 1 << 20  # bytes
_SECONDS = 5.0
_REDIRECTS = 3
_MOVED = (301, 302, 303, 307, 308)
_OK = 200
_PORTS: Mapping[str, int] = {"http": 80, "https": 443}


class JwksError(ValueError):
    """A sentence saying why keys were not fetched."""


class _Answer(Struct, frozen=True):
    status: int
    location: str
    body: bytes


class JwksSource:
    """`blocked` are address ranges that are never connected to; `trust` is asked for certificates of https addresses."""

    def __init__(self, blocked: Sequence[str] = BLOCKED, trust: ssl.SSLContext | None = None) -> None:
        self._blocked: tuple[IPv4Network | IPv6Network, ...] = tuple(ip_network(one, strict=False) for one in blocked)
        self._trust = trust or ssl.create_default_context()

    async def fetch(self, address: str) -> str:
        """The key set at `address`, or the one that a discovery document there names; JwksError says why not."""
        try:
            async with asyncio.timeout(_SECONDS):
                body = await self._get(address, followed=False)
                if urlsplit(address).path.endswith(DISCOVERY):
                    body = await self._get(_named_in(body, address), followed=True)
        except TimeoutError:
            raise JwksError(f"{address}: no answer within {_SECONDS:g} s") from None
        except (UnreachableError, OSError) as error:
            raise JwksError(f"{address}: {error}") from None
        try:
            return body.decode()
        except UnicodeDecodeError:
            raise JwksError(f"{address}: the answer is not text") from None

    async def _get(self, address: str, *, followed: bool) -> bytes:
        for hop in range(_REDIRECTS + 1):
            answer = await self._once(address, followed=followed or hop > 0)
            if answer.status not in _MOVED:
                break
            target = urljoin(address, answer.location)
            if urlsplit(address).scheme == "https" and urlsplit(target).scheme != "https":
                raise JwksError(f"{address}: redirects to {target[:200]}, away from TLS")
            address = target
        else:
            raise JwksError(f"{address}: more than {_REDIRECTS} redirects")
        if answer.status != _OK:
            raise JwksError(f"{address}: answered {answer.status}")
        return answer.body

    async def _once(self, address: str, *, followed: bool) -> _Answer:
        try:
            url = urlsplit(address)
            port = url.port or _PORTS[url.scheme]
        except (ValueError, KeyError):
            raise JwksError(f"{address[:200]}: expected an address such as https://issuer.example/keys") from None
        host = url.hostname or ""
        target = await self._look_up(host, port, address, followed=followed)
        tls = self._trust if url.scheme == "https" else None
        pool = HttpPool(Endpoint(host=target, port=port, tls=tls, server_name=host), dict)
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        try:
            async with await pool.send("GET", path, headers={"Accept": "application/json"}) as reply:
                parts, size = [], 0
                async for part in reply.chunks():
                    size += len(part)
                    if size > _LARGEST:
                        raise JwksError(f"{address}: the answer is larger than {_LARGEST} bytes")
                    parts.append(part)
                return _Answer(reply.status, reply.headers.get("location", ""), b"".join(parts))
        finally:
            pool.close()

    async def _look_up(self, host: str, port: int, address: str, *, followed: bool) -> str:
        """The address to connect to; every address of the name must be allowed, so that none can be chosen by luck."""
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise JwksError(f"{address}: {host} cannot be looked up: {error}") from None
        addresses = [str(one[4][0]).partition("%")[0] for one in found]
        for one in addresses:
            ip = ip_address(one)
            ip = ip.ipv4_mapped or ip if isinstance(ip, IPv6Address) else ip
            if any(ip in network for network in self._blocked) or (followed and ip.is_private):
                how = "is led to" if followed else "is"
                raise JwksError(f"{address}: {host} {how} {one}, which the control plane does not connect to")
        return addresses[0]


def _named_in(body: bytes, address: str) -> str:
    try:
        found = msgspec.json.decode(body)
    except msgspec.DecodeError:
        raise JwksError(f"{address}: the discovery document is not JSON") from None
    named = found.get("jwks_uri") if isinstance(found, dict) else None
    if not isinstance(named, str):
        raise JwksError(f"{address}: the discovery document names no jwks_uri")
    return named
