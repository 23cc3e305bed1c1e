"""HTTP/1.1 messages on asyncio streams: what the samples' server and client both read and write.

Why: six samples start at once, so each must start in a tenth of a second; a web framework costs several times that.
It must not know what a path means (`web`) nor where a back-end is (`bookinfo`).
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from http import HTTPStatus
from typing import NamedTuple

__all__ = [
    "MAX_BODY",
    "MAX_HEAD",
    "Headers",
    "MessageError",
    "Request",
    "Response",
    "encode_head",
    "encode_response_head",
    "read_request",
    "read_response",
]

MAX_HEAD = 65536
MAX_BODY = 10 * 1024 * 1024


class MessageError(Exception):
    """The peer broke the protocol or asked too much; `status` is what a server answers."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Headers:
    """Header fields in the order they came; names are found in any case."""

    __slots__ = ("pairs",)

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self.pairs = tuple(pairs)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.pairs)

    def get(self, name: str, default: str = "") -> str:
        """The first value of `name`."""
        wanted = name.lower()
        return next((value for key, value in self.pairs if key.lower() == wanted), default)

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of `name`."""
        wanted = name.lower()
        return tuple(value for key, value in self.pairs if key.lower() == wanted)


class Request(NamedTuple):
    method: str
    target: str
    version: str
    headers: Headers
    body: bytes
    peer: str

    def cookies(self) -> dict[str, str]:
        """The cookies by name."""
        pairs = (each.partition("=") for field in self.headers.all("cookie") for each in field.split(";"))
        return {name.strip(): value.strip().strip('"') for name, equals, value in pairs if equals}


class Response(NamedTuple):
    """An answer; a body that is an iterator is sent in chunks as it comes."""

    status: int
    body: bytes | AsyncIterator[bytes] = b""
    headers: Headers = Headers()


async def _read_head(reader: asyncio.StreamReader) -> tuple[str, Headers] | None:
    """The first line and the fields, or None where the peer closed between messages."""
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as end:
        if end.partial:
            raise MessageError(400, "the connection ended inside a message's head") from None
        return None
    except asyncio.LimitOverrunError:
        raise MessageError(431, f"a message's head is longer than {MAX_HEAD} bytes") from None
    first, *lines = raw[:-4].decode("latin-1").split("\r\n")
    return first, Headers(map(_field, lines))


def _field(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not name or name != name.strip():
        raise MessageError(400, "a header field is not of the form `name: value`")
    return name, value.strip()


def _body_length(headers: Headers) -> int | None:
    """The length that Content-Length gives, or None without one."""
    values = set(headers.all("content-length"))
    if not values:
        return None
    value = values.pop()
    if values or not (value.isascii() and value.isdigit()):
        raise MessageError(400, "Content-Length is not one number")
    if len(value) > 12 or int(value) > MAX_BODY:
        raise MessageError(413, f"the body is longer than {MAX_BODY} bytes")
    return int(value)


def _is_chunked(headers: Headers) -> bool:
    codings = ",".join(headers.all("transfer-encoding")).lower().replace(" ", "")
    if codings not in {"", "chunked"}:
        raise MessageError(501, "the only transfer coding understood here is chunked")
    if codings and headers.all("content-length"):
        raise MessageError(400, "a message has both Transfer-Encoding and Content-Length")
    return bool(codings)


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while True:
        size = (await reader.readuntil(b"\r\n")).partition(b";")[0].strip()
        if not size or len(size) > 8 or size.strip(b"0123456789abcdefABCDEF"):
            raise MessageError(400, "a chunk's size is not a hexadecimal number")
        if len(body) + int(size, 16) > MAX_BODY:
            raise MessageError(413, f"the body is longer than {MAX_BODY} bytes")
        if not int(size, 16):
            while await reader.readuntil(b"\r\n") != b"\r\n":  # trailers
                pass
            return bytes(body)
        body += await reader.readexactly(int(size, 16))
        if await reader.readexactly(2) != b"\r\n":
            raise MessageError(400, "a chunk is longer than its size")


async def _read_body(reader: asyncio.StreamReader, headers: Headers, *, until_eof: bool) -> bytes:
    try:
        if _is_chunked(headers):
            return await _read_chunks(reader)
        length = _body_length(headers)
        if length is None:
            return await _read_rest(reader) if until_eof else b""
        return await reader.readexactly(length)
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        raise MessageError(400, "the connection ended inside a message's body") from None


async def _read_rest(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while part := await reader.read(65536):
        body += part
        if len(body) > MAX_BODY:
            raise MessageError(413, f"the body is longer than {MAX_BODY} bytes")
    return bytes(body)


async def read_request(
    reader: asyncio.StreamReader, peer: str, *, begun: Callable[[], None], go_on: Callable[[bytes], None]
) -> Request | None:
    """The next request, or None where the client is done; `begun` is called once its head is there, `go_on` to ask for the body."""
    head = await _read_head(reader)
    if head is None:
        return None
    begun()
    first, headers = head
    parts = first.split(" ")
    if len(parts) != 3 or not parts[0].isalpha() or parts[2] not in {"HTTP/1.0", "HTTP/1.1"}:
        raise MessageError(400, "the request line is not of the form `METHOD target HTTP/1.1`")
    if headers.get("expect").lower() == "100-continue":
        go_on(b"HTTP/1.1 100 Continue\r\n\r\n")
    return Request(parts[0], parts[1], parts[2], headers, await _read_body(reader, headers, until_eof=False), peer)


async def read_response(reader: asyncio.StreamReader) -> tuple[int, Headers, bytes]:
    """The answer to a GET or POST on a connection of its own."""
    while True:
        head = await _read_head(reader)
        if head is None:
            raise MessageError(502, "the server closed the connection without an answer")
        first, headers = head
        version, _, rest = first.partition(" ")
        code = rest[:3]
        if version not in {"HTTP/1.0", "HTTP/1.1"} or not (code.isascii() and code.isdigit()) or len(code) != 3:
            raise MessageError(502, "the server's answer is not HTTP/1.1")
        if int(code) >= 200:
            break
    body = b"" if int(code) in {204, 304} else await _read_body(reader, headers, until_eof=True)
    return int(code), headers, body


def encode_head(first: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """The bytes of a head; a line break inside a value becomes a space, so that no value can add a field."""
    lines = [first, *(f"{name}: {value}" for name, value in headers)]
    return "".join(line.translate(_ONE_LINE) + "\r\n" for line in lines).encode("latin-1", "replace") + b"\r\n"


_ONE_LINE = {0: " ", 10: " ", 13: " "}


def encode_response_head(response: Response, *, version: str, close: bool) -> bytes:
    """The head of `response`, with the framing of its body: a length, or chunks, or (to HTTP/1.0) the connection's end."""
    fields = list(response.headers)
    if isinstance(response.body, bytes):
        if response.status >= 200 and response.status not in {204, 304}:
            fields.append(("Content-Length", str(len(response.body))))
    elif version == "HTTP/1.1":
        fields.append(("Transfer-Encoding", "chunked"))
    if close:
        fields.append(("Connection", "close"))
    elif version == "HTTP/1.0":
        fields.append(("Connection", "keep-alive"))
    try:
        phrase = HTTPStatus(response.status).phrase
    except ValueError:
        phrase = "Unknown"
    return encode_head(f"HTTP/1.1 {response.status} {phrase}", fields)
