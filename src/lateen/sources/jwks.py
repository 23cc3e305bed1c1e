"""Fetches public keys of token issuers over HTTP, within limits of size and time. Must not keep anything."""

import asyncio
from urllib.parse import urlsplit

import msgspec

from lateen.sources.outward import FetchError, Outward

__all__ = ["JwksSource"]

DISCOVERY = "/.well-known/openid-configuration"
_LARGEST = 1 << 20  # bytes
_SECONDS = 5.0
_OK = 200


class JwksSource:
    """Reads addresses through `outward`, which says where it may go."""

    def __init__(self, outward: Outward | None = None) -> None:
        self._outward = outward or Outward()

    async def fetch(self, address: str) -> str:
        """The key set at `address`, or the one that a discovery document there names; FetchError says why not."""
        try:
            async with asyncio.timeout(_SECONDS):
                body = await self._get(address, followed=False)
                if urlsplit(address).path.endswith(DISCOVERY):
                    body = await self._get(_named_in(body, address), followed=True)
        except TimeoutError:
            raise FetchError(f"{address}: no answer within {_SECONDS:g} s") from None
        try:
            return body.decode()
        except UnicodeDecodeError:
            raise FetchError(f"{address}: the answer is not text") from None

    async def _get(self, address: str, *, followed: bool) -> bytes:
        answer = await self._outward.get(address, {"Accept": "application/json"}, largest=_LARGEST, followed=followed)
        if answer.status != _OK:
            raise FetchError(f"{address}: answered {answer.status}")
        return answer.body


def _named_in(body: bytes, address: str) -> str:
    try:
        found = msgspec.json.decode(body)
    except msgspec.DecodeError:
        raise FetchError(f"{address}: the discovery document is not JSON") from None
    named = found.get("jwks_uri") if isinstance(found, dict) else None
    if not isinstance(named, str):
        raise FetchError(f"{address}: the discovery document names no jwks_uri")
    return named
