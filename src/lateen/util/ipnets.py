"""IP addresses and CIDR ranges as text.

Why: ServiceEntry addresses, `destinationSubnets` and traffic redirection all ask the same few questions.
Must not look anything up: names are not resolved here.
"""

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

__all__ = ["Address", "Net", "contains", "is_address", "is_ipv6", "parse", "prefix"]

Address = IPv4Address | IPv6Address
Net = IPv4Network | IPv6Network


def is_address(text: str) -> bool:
    """Whether `text` is one IPv4 or IPv6 address (no range, no zone)."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def is_ipv6(text: str) -> bool:
    """Whether `text` is an IPv6 address."""
    return is_address(text) and ip_address(text).version == 6


@lru_cache(maxsize=4096)
def parse(text: str) -> Net:
    """The range of `10.0.0.0/8` or of a lone address (/32, /128); bits beyond the mask are dropped; ValueError else."""
    try:
        return ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"{text[:60]!r} is neither an IP address nor a range such as 10.0.0.0/8") from None


def prefix(text: str) -> tuple[str, int]:
    """Network address and length: `10.1.2.3/8` -> (`10.0.0.0`, 8)."""
    net = parse(text)
    return str(net.network_address), net.prefixlen


def contains(net: str, address: str) -> bool:
    """Whether the range holds the address, or all of a range; families never mix."""
    outer, inner = parse(net), parse(address)
    if isinstance(outer, IPv4Network) and isinstance(inner, IPv4Network):
        return inner.subnet_of(outer)
    return isinstance(outer, IPv6Network) and isinstance(inner, IPv6Network) and inner.subnet_of(outer)
