"""SPDY/3.1, as far as Kubernetes still speaks it: port-forward's streams inside a WebSocket.

Why: kubectl and istioctl carry the connections of a port-forward as SPDY streams. Sans-I/O: bytes in, events out; bytes to send come from
the methods. Must not know pods. There is no flow control: the other side (moby/spdystream) has none.
"""

import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

__all__ = ["Closed", "Data", "Opened", "SpdyError", "SpdySession"]

_SYN_STREAM, _SYN_REPLY, _RST_STREAM, _PING, _GOAWAY = 1, 2, 3, 6, 7
_FIN = 1
_CANCEL = 5
_LARGEST = 1 << 20
_CHUNK = 1 << 16
# The dictionary of SPDY/3: words with their length before them, then text.
_WORDS = re.findall(
    r"\S+",
    """
    options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow
    authorization cache-control connection content-base content-encoding content-language content-length content-location
    content-md5 content-range content-type date etag expect expires from host if-match if-modified-since if-none-match if-range
    if-unmodified-since last-modified location max-forwards pragma proxy-authenticate proxy-authorization range referer
    retry-after server te trailer transfer-encoding upgrade user-agent vary via warning www-authenticate method get status 200_OK
    version HTTP/1.1 url public set-cookie keep-alive origin
    """,
)
_TEXT = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authoritativ"
    "e Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 I"
    "nternal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec"
    " 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xm"
    "l,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset="
    "iso-8859-1,utf-,*,enq=0."
)
_DICTIONARY = b"".join(struct.pack(">I", len(word)) + word.replace("_", " ").encode() for word in _WORDS) + _TEXT.encode()


class SpdyError(Exception):
    """What came is no SPDY/3.1."""


class Opened(NamedTuple):
    """The other side opened a stream; `ended` when it will send nothing on it."""

    stream: int
    headers: Mapping[str, str]
    ended: bool


class Data(NamedTuple):
    """Bytes on a stream; `ended` when they were the last."""

    stream: int
    data: bytes
    ended: bool


class Closed(NamedTuple):
    """A stream was ended at once, or all of them (0)."""

    stream: int


class SpdySession:
    """One connection's state, for the side that accepts streams."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._inflate = zlib.decompressobj(zdict=_DICTIONARY)
        self._deflate = zlib.compressobj(zdict=_DICTIONARY)
        self.outgoing = bytearray()  # what answers itself: replies to pings

    def receive(self, data: bytes) -> Iterator[Opened | Data | Closed]:
        """The events that the bytes complete; SpdyError when they make no sense."""
        self._buffer += data
        while len(self._buffer) >= 8:
            first, rest = struct.unpack_from(">II", self._buffer)
            length, flags = rest & 0xFFFFFF, rest >> 24
            if length > _LARGEST:
                raise SpdyError(f"a frame of {length} bytes is too long")
            if len(self._buffer) < 8 + length:
                return
            payload = bytes(self._buffer[8 : 8 + length])
            del self._buffer[: 8 + length]
            if first >> 31:
                yield from self._control(first & 0xFFFF, flags, payload)
            else:
                yield Data(first, payload, bool(flags & _FIN))

    def _control(self, kind: int, flags: int, payload: bytes) -> Iterator[Opened | Closed]:
        try:
            if kind == _SYN_STREAM:
                (stream,) = struct.unpack_from(">I", payload)
                yield Opened(stream & 0x7FFFFFFF, self._headers(payload[10:]), bool(flags & _FIN))
            elif kind == _RST_STREAM:
                yield Closed(struct.unpack_from(">I", payload)[0] & 0x7FFFFFFF)
            elif kind == _GOAWAY:
                yield Closed(0)
            elif kind == _PING:
                self.outgoing += _control_frame(_PING, 0, payload[:4])
        except (struct.error, zlib.error, UnicodeDecodeError) as problem:
            raise SpdyError(f"a frame of type {kind} cannot be read: {problem}") from problem

    def _headers(self, block: bytes) -> dict[str, str]:
        plain = self._inflate.decompress(block, _LARGEST)
        (count,), at = struct.unpack_from(">I", plain), 4
        texts: list[str] = []
        for _ in range(min(count, 1000) * 2):
            (length,) = struct.unpack_from(">I", plain, at)
            texts.append(plain[at + 4 : at + 4 + length].decode())
            at += 4 + length
        return {name.lower(): value for name, value in zip(texts[::2], texts[1::2], strict=True)}

    def reply(self, stream: int) -> bytes:
        """Accept a stream."""
        block = self._deflate.compress(struct.pack(">I", 0)) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        return _control_frame(_SYN_REPLY, 0, struct.pack(">I", stream) + block)

    def data(self, stream: int, data: bytes, *, end: bool = False) -> bytes:
        """Bytes on a stream, and its end."""
        chunks = [data[at : at + _CHUNK] for at in range(0, len(data), _CHUNK)] or [b""]
        flags = [0] * (len(chunks) - 1) + [_FIN if end else 0]
        return b"".join(struct.pack(">II", stream, flag << 24 | len(chunk)) + chunk for flag, chunk in zip(flags, chunks, strict=True))

    def reset(self, stream: int) -> bytes:
        """End a stream at once."""
        return _control_frame(_RST_STREAM, 0, struct.pack(">II", stream, _CANCEL))


def _control_frame(kind: int, flags: int, payload: bytes) -> bytes:
    return struct.pack(">HHI", 0x8003, kind, flags << 24 | len(payload)) + payload
