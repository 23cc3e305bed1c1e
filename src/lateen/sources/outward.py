"""Fetches over HTTP what users' objects name.

The address comes from whoever may write such an object, and the control plane sits where that person may not: so the host is looked up
once, every address it has must be outside of the blocked ranges, and the connection goes to the address that was checked. An answer is
limited in size, and by its caller in time; a redirect never leads to a private address or away from TLS, nor takes credentials to another
host. Must not keep anything.
"""

import asyncio
import socket
import ssl
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urljoin, urlsplit

from msgspec import Struct

from lateen.sources.kubehttp import Endpoint, HttpPool, UnreachableError

__all__ = ["BLOCKED", "Answer", "FetchError", "Outward"]

BLOCKED = ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4", "::/127", "fe80::/10", "ff00::/8")
_REDIRECTS = 3
_MOVED = (301, 302, 303, 307, 308)
_PORTS: Mapping[str, int] = {"http": 80, "https": 443}


class FetchError(ValueError):
    """A sentence saying why something was not fetched."""


class Answer(Struct, frozen=True):
    """Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Outward:
    """`blocked` are address ranges that are never connected to; `trust` is asked for certificates of https addresses."""

    def __init__(self, blocked: Sequence[str] = BLOCKED, trust: ssl.SSLContext | None = None) -> None:
        self._blocked: tuple[IPv4Network | IPv6Network, ...] = tuple(ip_network(one, strict=False) for one in blocked)
        self._trust = trust or ssl.create_default_context()

    async def get(self, address: str, headers: Mapping[str, str], *, largest: int, followed: bool = False) -> Answer:
        """What is at `address`, of at most `largest` bytes; FetchError. `followed`: the address was an answer, and may not be private."""
        for hop in range(_REDIRECTS + 1):
            try:
                answer = await self._once(address, headers, largest, followed=followed or hop > 0)
            except (UnreachableError, OSError) as error:
                raise FetchError(f"{address}: {error}") from None
            if answer.status not in _MOVED:
                return answer
            target = urljoin(address, answer.headers.get("location", ""))
            if urlsplit(address).scheme == "https" and urlsplit(target).scheme != "https":
                raise FetchError(f"{address}: redirects to {target[:200]}, away from TLS")
            if urlsplit(address).netloc != urlsplit(target).netloc:
                headers = {name: value for name, value in headers.items() if name.lower() != "authorization"}
            address = target
        raise FetchError(f"{address}: more than {_REDIRECTS} redirects")

    async def _once(self, address: str, headers: Mapping[str, str], largest: int, *, followed: bool) -> Answer:
        try:
            url = urlsplit(address)
            port = url.port or _PORTS[url.scheme]
        except (ValueError, KeyError):
            raise FetchError(f"{address[:200]}: expected an address such as https://name.example/path") from None
        host = url.hostname or ""
        target = await self._look_up(host, port, address, followed=followed)
        tls = self._trust if url.scheme == "https" else None
        pool = HttpPool(Endpoint(host=target, port=port, tls=tls, server_name=host), dict)
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        try:
            async with await pool.send("GET", path, headers=headers) as reply:
                parts, size = [], 0
                async for part in reply.chunks():
                    size += len(part)
                    if size > largest:
                        raise FetchError(f"{address}: the answer is larger than {largest} bytes")
                    parts.append(part)
                return Answer(reply.status, dict(reply.headers), b"".join(parts))
        finally:
            pool.close()

    async def _look_up(self, host: str, port: int, address: str, *, followed: bool) -> str:
        """The address to connect to; every address of the name must be allowed, so that none can be chosen by luck."""
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise FetchError(f"{address}: {host} cannot be looked up: {error}") from None
        addresses = [str(one[4][0]).partition("%")[0] for one in found]
        for one in addresses:
            ip = ip_address(one)
            ip = ip.ipv4_mapped or ip if isinstance(ip, IPv6Address) else ip
            if any(ip in network for network in self._blocked) or (followed and ip.is_private):
                how = "is led to" if followed else "is"
                raise FetchError(f"{address}: {host} {how} {one}, which the control plane does not connect to")
        return addresses[0]
