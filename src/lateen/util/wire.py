"""Protocol Buffers' wire form, as far as joining ready-made messages needs it.

Why: a response is joined from cached bytes instead of being built and serialised again; repeated message fields
may be concatenated. Must not interpret what it joins.
"""

from collections.abc import Iterable

__all__ = ["join", "length_delimited", "text", "varint"]


def varint(number: int) -> bytes:
    """`number` (>= 0) as a base-128 varint."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def length_delimited(field: int, payload: bytes) -> bytes:
    """Field `field` (wire type 2) holding `payload`: a message, bytes or UTF-8 text."""
    return varint(field << 3 | 2) + varint(len(payload)) + payload


def text(field: int, value: str) -> bytes:
    """A string field; absent (no bytes) when empty, as proto3 writes it."""
    return length_delimited(field, value.encode()) if value else b""


def join(field: int, messages: Iterable[bytes]) -> bytes:
    """A repeated message field: every message as one occurrence of `field`, in order."""
    return b"".join(length_delimited(field, message) for message in messages)
