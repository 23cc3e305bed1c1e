"""The network configuration of a node and its pods over rtnetlink: bridge, veth pairs, addresses, routes.

Why not a library: a dozen message kinds are all the node sends, and pyroute2 costs 24 MB and 0.2 s at start-up, of a budget of
150 MB and 10 s (docs/decisions/004). A `Netlink` speaks to the network namespace in which it was opened, wherever its user goes afterwards.
Must not know pods.
"""

import os
import socket
import struct
from ipaddress import IPv4Address, IPv4Interface
from types import TracebackType
from typing import Self

__all__ = ["Netlink"]

_NEWLINK, _DELLINK, _GETLINK, _NEWADDR, _NEWROUTE, _NEWRULE = 16, 17, 18, 20, 24, 32
_REQUEST, _ACK, _DUMP, _CREATE, _EXCLUSIVE = 0x1, 0x4, 0x300, 0x400, 0x200
_ERROR, _DONE = 2, 3
_ADDRESS, _IFNAME, _MASTER, _LINKINFO, _NET_NS_FD = 1, 3, 10, 18, 28
_INFO_KIND, _INFO_DATA, _VETH_PEER = 1, 2, 1
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_TABLE = 1, 4, 5, 15
_FRA_FWMARK, _FRA_TABLE = 10, 15
_IFF_UP = 1
_TABLE_MAIN, _PROTO_STATIC, _SCOPE_UNIVERSE, _SCOPE_HOST, _TYPE_UNICAST, _TYPE_LOCAL = 254, 4, 0, 254, 1, 2


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", len(value) + 4, kind) + value + b"\0" * (-len(value) % 4)


def _text(kind: int, value: str) -> bytes:
    return _attribute(kind, value.encode() + b"\0")


def _number(kind: int, value: int) -> bytes:
    return _attribute(kind, struct.pack("=I", value))


def _link_header(index: int = 0, flags: int = 0, change: int = 0) -> bytes:
    return struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, flags, change)


def _route_header(table: int, scope: int, kind: int, length: int = 0) -> bytes:
    return struct.pack("=8BI", socket.AF_INET, length, 0, 0, table, _PROTO_STATIC, scope, kind, 0)


class Netlink:
    """A conversation with the kernel about one network namespace; every method is a few system calls."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._socket.bind((0, 0))
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._socket.close()

    def _send(self, kind: int, flags: int, body: bytes) -> None:
        self._sequence += 1
        self._socket.send(struct.pack("=IHHII", len(body) + 16, kind, flags, self._sequence, 0) + body)

    def _do(self, doing: str, kind: int, body: bytes, flags: int = 0) -> None:
        self._send(kind, _REQUEST | _ACK | flags, body)
        answer = self._socket.recv(65536)
        number = -struct.unpack_from("=i", answer, 16)[0]
        if number:
            raise OSError(number, f"{doing}: {os.strerror(number)}")

    def link_names(self) -> list[str]:
        """The names of all links here."""
        self._send(_GETLINK, _REQUEST | _DUMP, _link_header())
        names: list[str] = []
        while True:
            data = self._socket.recv(1 << 18)
            while data:
                length, kind = struct.unpack_from("=IH", data)
                if kind == _DONE:
                    return names
                if kind == _NEWLINK:
                    names += _names(data[32:length])
                data = data[(length + 3) & ~3 :]

    def index(self, name: str) -> int:
        """The link's number in this socket's namespace."""
        self._send(_GETLINK, _REQUEST, _link_header() + _text(_IFNAME, name))
        answer = self._socket.recv(65536)
        kind = struct.unpack_from("=H", answer, 4)[0]
        if kind == _ERROR:
            number = -struct.unpack_from("=i", answer, 16)[0]
            raise OSError(number, f"finding the link {name}: {os.strerror(number)}")
        return int(struct.unpack_from("=i", answer, 20)[0])

    def up(self, name: str) -> None:
        """Bring the link up."""
        self._do(f"bringing up {name}", _NEWLINK, _link_header(self.index(name), _IFF_UP, _IFF_UP))

    def add_bridge(self, name: str, hardware_address: bytes) -> None:
        """Make a bridge and bring it up. Without an address of its own it would take a port's, and change it as ports come."""
        info = _attribute(_LINKINFO, _text(_INFO_KIND, "bridge"))
        body = _link_header() + _text(_IFNAME, name) + _attribute(_ADDRESS, hardware_address) + info
        self._do(f"making the bridge {name}", _NEWLINK, body, _CREATE | _EXCLUSIVE)
        self.up(name)

    def add_veth(self, name: str, *, bridge: str, peer: str, namespace: int) -> None:
        """Make a pair: `name` here, up and on the bridge; `peer` in the namespace of that file descriptor."""
        other = _attribute(_VETH_PEER, _link_header() + _text(_IFNAME, peer) + _number(_NET_NS_FD, namespace))
        info = _attribute(_LINKINFO, _text(_INFO_KIND, "veth") + _attribute(_INFO_DATA, other))
        body = _link_header(0, _IFF_UP, _IFF_UP) + _text(_IFNAME, name) + _number(_MASTER, self.index(bridge)) + info
        self._do(f"making the link {name}", _NEWLINK, body, _CREATE | _EXCLUSIVE)

    def delete(self, name: str) -> None:
        """Remove the link and, of a pair, its peer."""
        self._do(f"removing the link {name}", _DELLINK, _link_header() + _text(_IFNAME, name))

    def add_address(self, name: str, address: IPv4Interface) -> None:
        """Give the link an address."""
        packed = address.ip.packed
        header = struct.pack("=4Bi", socket.AF_INET, address.network.prefixlen, 0, _SCOPE_UNIVERSE, self.index(name))
        body = header + _attribute(_IFA_LOCAL, packed) + _attribute(_IFA_ADDRESS, packed)
        self._do(f"giving {name} the address {address}", _NEWADDR, body, _CREATE | _EXCLUSIVE)

    def add_default_route(self, gateway: IPv4Address) -> None:
        """Send what has no route of its own to the gateway."""
        body = _route_header(_TABLE_MAIN, _SCOPE_UNIVERSE, _TYPE_UNICAST) + _attribute(_RTA_GATEWAY, gateway.packed)
        self._do(f"routing by {gateway}", _NEWROUTE, body, _CREATE | _EXCLUSIVE)

    def deliver_marked(self, mark: int, table: int) -> None:
        """Deliver packets of that mark locally, whatever their destination (`ip rule` and `ip route add local`, for TPROXY)."""
        rule = _route_header(0, _SCOPE_UNIVERSE, _TYPE_UNICAST) + _number(_FRA_FWMARK, mark) + _number(_FRA_TABLE, table)
        self._do("routing by mark", _NEWRULE, rule, _CREATE | _EXCLUSIVE)
        route = _route_header(0, _SCOPE_HOST, _TYPE_LOCAL) + _number(_RTA_TABLE, table) + _number(_RTA_OIF, self.index("lo"))
        self._do("delivering by mark", _NEWROUTE, route, _CREATE | _EXCLUSIVE)


def _names(attributes: bytes) -> list[str]:
    while len(attributes) >= 4:
        length, kind = struct.unpack_from("=HH", attributes)
        if kind == _IFNAME:
            return [attributes[4:length].rstrip(b"\0").decode()]
        attributes = attributes[(length + 3) & ~3 :]
    return []
