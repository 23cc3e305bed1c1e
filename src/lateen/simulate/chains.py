"""Which listener and filter chain take a connection, in Envoy's order."""

import ipaddress
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from envoy.config.listener.v3 import listener_components_pb2, listener_pb2

from lateen.simulate.call import Call

__all__ = ["Seen", "find_chains", "find_listener", "seen_by"]

Listener: TypeAlias = listener_pb2.Listener
Chain: TypeAlias = listener_components_pb2.FilterChain
Match: TypeAlias = listener_components_pb2.FilterChainMatch
Predicate: TypeAlias = listener_components_pb2.ListenerFilterChainMatchPredicate

_TLS_INSPECTOR, _HTTP_INSPECTOR = "envoy.filters.listener.tls_inspector", "envoy.filters.listener.http_inspector"
_INBOUND, _OUTBOUND = "virtualInbound", "virtualOutbound"
_ANY_ADDRESS = "0.0.0.0"  # noqa: S104 - the name of listeners, nothing listens here


class Seen(NamedTuple):
    """What the listener's filters have found out when a chain is chosen."""

    transport: str
    server_name: str
    protocol: str


def find_listener(listeners: Mapping[str, Listener], call: Call) -> Listener | None:
    """The listener of the address, else of the port, else the one that intercepts everything."""
    if call.mode == "inbound":
        return listeners.get(_INBOUND)
    by_address = {_address(one): one for one in listeners.values()}
    return by_address.get((call.address, call.port)) or by_address.get((_ANY_ADDRESS, call.port)) or listeners.get(_OUTBOUND)


def _address(listener: Listener) -> tuple[str, int]:
    address = listener.address.socket_address
    return address.address, address.port_value


def seen_by(listener: Listener, call: Call) -> Seen:
    """Without an inspector nothing is known but the address."""
    if call.tls != "plaintext":
        return Seen("tls", call.sni, call.alpn) if _inspects(listener, _TLS_INSPECTOR, call.port) else Seen("raw_buffer", "", "")
    names = {"http": "http/1.1", "http2": "h2c"} if _inspects(listener, _HTTP_INSPECTOR, call.port) else {}
    return Seen("raw_buffer", call.server_name, names.get(call.protocol, ""))


def _inspects(listener: Listener, name: str, port: int) -> bool:
    return any(
        one.name == name and not (one.HasField("filter_disabled") and _holds(one.filter_disabled, port))
        for one in listener.listener_filters
    )


def _holds(rule: Predicate, port: int) -> bool:
    kind = rule.WhichOneof("rule")
    if kind == "or_match":
        return any(_holds(one, port) for one in rule.or_match.rules)
    if kind == "and_match":
        return all(_holds(one, port) for one in rule.and_match.rules)
    if kind == "not_match":
        return not _holds(rule.not_match, port)
    if kind == "destination_port_range":
        return bool(rule.destination_port_range.start <= port < rule.destination_port_range.end)
    return bool(rule.any_match)


def find_chains(listener: Listener, call: Call, seen: Seen) -> Sequence[Chain]:
    """The chains left after every criterion: one in a sound configuration, none where only the default chain remains."""
    chains: Sequence[Chain] = listener.filter_chains
    criteria: tuple[Callable[[Match], int], ...] = (
        lambda match: _exact(match.HasField("destination_port"), match.destination_port.value == call.port),
        lambda match: _prefix(match, call.address),
        lambda match: _server_name(match.server_names, seen.server_name),
        lambda match: _exact(bool(match.transport_protocol), match.transport_protocol == seen.transport),
        lambda match: _exact(bool(match.application_protocols), seen.protocol in match.application_protocols),
    )
    for rank in criteria:
        chains = _best(chains, rank)
    return chains


def _best(chains: Iterable[Chain], rank: Callable[[Match], int]) -> Sequence[Chain]:
    """Those that match best; rank 0 says nothing of the criterion, below 0 excludes."""
    ranked = [(rank(chain.filter_chain_match), chain) for chain in chains]
    best = max((number for number, _ in ranked), default=-1)
    return [chain for number, chain in ranked if number == best] if best >= 0 else ()


def _exact(wanted: bool, equal: bool) -> int:  # noqa: FBT001 - two facts
    return (1 if equal else -1) if wanted else 0


def _prefix(match: Match, address: str) -> int:
    if not match.prefix_ranges:
        return 0
    lengths = [
        one.prefix_len.value + 1
        for one in match.prefix_ranges
        if ipaddress.ip_address(address) in ipaddress.ip_network(f"{one.address_prefix}/{one.prefix_len.value}", strict=False)
    ]
    return max(lengths, default=-1)


def _server_name(names: Iterable[str], asked: str) -> int:
    """An exact name before the longest wildcard."""
    names = tuple(names)
    if not names:
        return 0
    if asked.lower() in names:
        return 1 << 16
    return max((len(name) for name in names if name.startswith("*.") and asked.lower().endswith(name[1:])), default=-1)
