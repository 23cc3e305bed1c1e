"""Listens on a link inside the node's network: `python -m lateen.testing.capture LINK`, run with nsenter.

It says "ready", takes every TCP packet of IPv4 that crosses the link until its standard input ends, then prints a JSON object:
"FROM:PORT>TO:PORT" to the bytes that went that way, in hexadecimal, as they were seen. Must not need anything but the standard library.
"""

import json
import select
import socket
import struct
import sys

__all__ = ["main", "tcp_payload"]

_ALL, _IPV4, _TCP = 0x0003, 0x0800, 6
_SOL_PACKET, _ADD_MEMBERSHIP, _PROMISCUOUS = 263, 1, 1
_MOST = 64 * 1024 * 1024  # bytes kept


def tcp_payload(frame: bytes) -> tuple[str, bytes] | None:
    """The way that an Ethernet frame's TCP segment goes and what it carries; None for other frames and empty segments."""
    if len(frame) < 34 or int.from_bytes(frame[12:14], "big") != _IPV4 or frame[23] != _TCP:
        return None
    start = 14 + (frame[14] & 15) * 4
    length = int.from_bytes(frame[16:18], "big")
    if len(frame) < start + 20:
        return None
    source, target = struct.unpack_from(">HH", frame, start)
    payload = frame[start + (frame[start + 12] >> 4) * 4 : 14 + length]
    way = f"{socket.inet_ntoa(frame[26:30])}:{source}>{socket.inet_ntoa(frame[30:34])}:{target}"
    return (way, payload) if payload else None


def main() -> None:
    """Listen until the standard input ends."""
    link = sys.argv[1]
    seen: dict[str, bytearray] = {}
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL)) as wire:
        wire.bind((link, _ALL))
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 * 1024 * 1024)
        # What goes from one pod to another crosses the bridge without being for it: only a promiscuous listener gets it.
        membership = struct.pack("iHH8s", socket.if_nametoindex(link), _PROMISCUOUS, 0, b"")
        wire.setsockopt(_SOL_PACKET, _ADD_MEMBERSHIP, membership)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        _listen(wire, seen)
    json.dump({way: payload.hex() for way, payload in seen.items()}, sys.stdout)


def _listen(wire: socket.socket, seen: dict[str, bytearray]) -> None:
    kept, ended = 0, False
    while kept < _MOST:
        readable = select.select([wire] if ended else [wire, sys.stdin], [], [], 0.3 if ended else None)[0]
        ended = ended or sys.stdin in readable
        if wire in readable:
            found = tcp_payload(wire.recv(65536))
            if found:
                seen.setdefault(found[0], bytearray()).extend(found[1])
                kept += len(found[1])
        elif ended:
            return


if __name__ == "__main__":
    main()
