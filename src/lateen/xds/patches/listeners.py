"""Changes of listeners, and of the chains and filters in them."""

from collections.abc import Iterable, Sequence
from functools import partial

from envoy.config.listener.v3 import listener_components_pb2 as chain_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2

from lateen.xds.filters.alpn import NAME as ALPN
from lateen.xds.patches.lists import Used, change_list, change_whole, named, used
from lateen.xds.patches.merge import merge, merge_any
from lateen.xds.patches.parse import Ready
from lateen.xds.patches.routes import patch_route_configuration
from lateen.xds.patches.select import Patches

__all__ = ["patch_listener"]

_HCM = "envoy.filters.network.http_connection_manager"
_INTERCEPTING = ("virtualInbound", "virtualOutbound")
_STAND_INS = {"istio.alpn": ALPN}
_FIRST, _BEFORE_LAST = ("istio.metadata_exchange",), ("istio.stats",)  # filters of Istio's Envoy: where they would stand


def patch_listener(listener: listener_pb2.Listener, patches: Patches, found: Used) -> bool:
    """Change the listener; whether it is to stay."""
    if not change_whole(listener, patches.of("LISTENER"), partial(_listener_matches, listener), found):
        return False
    for ready in patches.of("LISTENER_FILTER"):
        if _listener_matches(listener, ready):
            change_list(listener.listener_filters, ready, named(ready.match.listener_filter or None), found)
    _patch_chains(listener, patches, found)
    return True


def _patch_chains(listener: listener_pb2.Listener, patches: Patches, found: Used) -> None:
    for index in reversed(range(len(listener.filter_chains))):
        if not _patch_chain(listener, listener.filter_chains[index], patches, found):
            del listener.filter_chains[index]
    if listener.HasField("default_filter_chain") and not _patch_chain(listener, listener.default_filter_chain, patches, found):
        listener.ClearField("default_filter_chain")
    for ready in patches.of("FILTER_CHAIN"):
        if ready.patch.operation == "ADD" and _listener_matches(listener, ready):
            listener.filter_chains.append(ready.value)
            used(ready, found)


def _patch_chain(listener: listener_pb2.Listener, chain: chain_pb2.FilterChain, patches: Patches, found: Used) -> bool:
    matches = partial(_chain_matches, listener, chain)
    if not change_whole(chain, patches.of("FILTER_CHAIN"), matches, found, partial(_merge_chain, chain)):
        return False
    for ready in patches.of("NETWORK_FILTER"):
        if matches(ready):
            change_list(chain.filters, ready, named(ready.match.network_filter), found)
    for one in chain.filters:
        _patch_network_filter(listener, chain, one, patches, found)
    return True


def _merge_chain(chain: chain_pb2.FilterChain, ready: Ready) -> None:
    value = ready.value
    assert isinstance(value, chain_pb2.FilterChain)  # noqa: S101 - read as that
    if value.HasField("transport_socket") and chain.transport_socket.name == value.transport_socket.name:
        merge_any(chain.transport_socket.typed_config, value.transport_socket.typed_config, replace_lists=ready.replaces_lists)
    else:
        merge(chain, ready.value, replace_lists=ready.replaces_lists)


def _patch_network_filter(
    listener: listener_pb2.Listener, chain: chain_pb2.FilterChain, one: chain_pb2.Filter, patches: Patches, found: Used
) -> None:
    for ready in patches.of("NETWORK_FILTER"):
        name = ready.match.network_filter
        if ready.merges and _chain_matches(listener, chain, ready) and name in (None, one.name):
            _merge_filter(one, ready)
            used(ready, found)
    if one.name != _HCM or not (patches.of("HTTP_FILTER") or patches.inbound_routes):
        return
    manager = hcm_pb2.HttpConnectionManager.FromString(one.typed_config.value)
    chosen = [
        ready
        for ready in patches.of("HTTP_FILTER")
        if _chain_matches(listener, chain, ready) and ready.match.network_filter in (None, one.name)
    ]
    _patch_http_filters(manager, chosen, found)
    if patches.inbound_routes and manager.HasField("route_config"):
        patch_route_configuration(manager.route_config, patches, found)
    one.typed_config.value = manager.SerializeToString(deterministic=True)


def _patch_http_filters(manager: hcm_pb2.HttpConnectionManager, chosen: Iterable[Ready], found: Used) -> None:
    filters = manager.http_filters
    for ready in chosen:
        name = _known(ready.match.http_filter)
        if not ready.merges:
            change_list(filters, ready, named(name), found, _absent(name, filters))
    for ready in chosen:
        name = _known(ready.match.http_filter)
        for one in filters:
            if ready.merges and name in (None, one.name):
                _merge_filter(one, ready)
                used(ready, found)


def _known(name: str | None) -> str | None:
    return _STAND_INS.get(name, name) if name is not None else None


def _absent(name: str | None, filters: Sequence[hcm_pb2.HttpFilter]) -> int | None:
    """Where a filter stands that only Istio's Envoy has."""
    return 0 if name in _FIRST else len(filters) - 1 if name in _BEFORE_LAST else None


def _merge_filter(one: chain_pb2.Filter | hcm_pb2.HttpFilter, ready: Ready) -> None:
    value = ready.value
    assert isinstance(value, (chain_pb2.Filter, hcm_pb2.HttpFilter))  # noqa: S101 - read as that
    if not one.HasField("typed_config"):
        return
    if value.HasField("typed_config"):
        merge_any(one.typed_config, value.typed_config, replace_lists=ready.replaces_lists)
    one.name = value.name or one.name


def _listener_matches(listener: listener_pb2.Listener, ready: Ready) -> bool:
    match = ready.match
    if match.listener and match.listener != listener.name:
        return False
    if ready.patch.apply_to != "LISTENER" and listener.name in _INTERCEPTING:
        return True  # the port is that of a chain there
    return match.port in (0, listener.address.socket_address.port_value)


def _chain_matches(listener: listener_pb2.Listener, chain: chain_pb2.FilterChain, ready: Ready) -> bool:
    match, asked = ready.match, chain.filter_chain_match
    port = asked.destination_port.value
    return (
        _listener_matches(listener, ready)
        and (listener.name not in _INTERCEPTING or match.port in (0, port))
        and match.chain in ("", chain.name)
        and (not match.sni or match.sni in asked.server_names)
        and match.transport in ("", asked.transport_protocol)
        and all(protocol in asked.application_protocols for protocol in match.protocols)
        and match.destination_port in (0, port)
        and match.socket in ("", chain.transport_socket.name)
    )
