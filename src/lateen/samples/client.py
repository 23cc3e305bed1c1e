"""The samples' web client: one GET on a connection of its own, within a time limit.

Why a fresh connection each time: the originals do so, and a changed route then acts on the very next request.
Must not retry: whoever calls decides that.
"""

import asyncio
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

from lateen.samples.http1 import MAX_HEAD, Headers, MessageError, encode_head, read_response

__all__ = ["Answer", "FetchError", "fetch"]


class FetchError(Exception):
    """No answer: not reachable, too slow, or not HTTP."""


class Answer(NamedTuple):
    status: int
    headers: Headers
    body: bytes


async def fetch(url: str, headers: Iterable[tuple[str, str]] = (), *, seconds: float) -> Answer:
    """GET `url`, all within `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            return await _get(url, headers)
    except TimeoutError:
        raise FetchError(f"no answer from {url} within {seconds:g} s") from None
    except (OSError, MessageError) as failed:
        raise FetchError(f"no answer from {url}: {failed}") from failed


async def _get(url: str, headers: Iterable[tuple[str, str]]) -> Answer:
    parts = urlsplit(url)
    tls = parts.scheme == "https"
    port = parts.port or (443 if tls else 80)
    reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=tls or None, limit=MAX_HEAD)
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        fields = (("Host", parts.netloc), ("Accept", "*/*"), *headers, ("Connection", "close"))
        writer.write(encode_head(f"GET {target} HTTP/1.1", fields))
        await writer.drain()
        return Answer(*await read_response(reader))
    finally:
        writer.transport.abort()
