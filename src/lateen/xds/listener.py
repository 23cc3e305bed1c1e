"""Prints listeners and their filter chains."""

from collections.abc import Sequence
from ipaddress import ip_network

from envoy.config.core.v3 import address_pb2
from envoy.config.listener.v3 import listener_components_pb2 as chain_pb2
from envoy.config.listener.v3 import listener_pb2 as pb
from envoy.extensions.filters.listener.http_inspector.v3 import http_inspector_pb2
from envoy.extensions.filters.listener.original_dst.v3 import original_dst_pb2
from envoy.extensions.filters.listener.proxy_protocol.v3 import proxy_protocol_pb2
from envoy.extensions.filters.listener.tls_inspector.v3 import tls_inspector_pb2
from envoy.type.v3 import range_pb2
from google.protobuf import message

from lateen.model.listenerplan import ChainMatch, ChainPlan, CredentialTls, HttpPlan, InspectorPlan, ListenerPlan, MeshTls, TcpPlan
from lateen.model.names import UNIX
from lateen.xds.downstreamtls import build_downstream_tls, build_quic
from lateen.xds.earlyrefusal import build_early_refusal
from lateen.xds.hcm import build_http
from lateen.xds.networkfilters import build_lookup, build_network_authz
from lateen.xds.tcpproxy import build_tcp
from lateen.xds.values import set_duration

__all__ = ["build_listener"]

_HANDSHAKE = 15_000_000_000  # nanoseconds
_HELLO = 512  # bytes read first for a TLS client hello
_DIRECTIONS = {"INBOUND": 1, "OUTBOUND": 2}


def build_listener(plan: ListenerPlan) -> pb.Listener:
    """The listener message of `plan`."""
    listener = pb.Listener(
        name=plan.name,
        address=_address(plan.address, plan.port),
        filter_chains=[_chain(chain) for chain in plan.chains],
        traffic_direction=_DIRECTIONS[plan.direction],
    )
    if plan.default is not None:
        listener.default_filter_chain.CopyFrom(_chain(plan.default))
    if plan.quic:
        listener.address.socket_address.protocol = address_pb2.SocketAddress.UDP
        listener.udp_listener_config.quic_options.SetInParent()
        listener.udp_listener_config.downstream_socket_config.prefer_gro.value = True
        listener.enable_reuse_port.value = True
    elif plan.bind:
        listener.max_connections_to_accept_per_socket_event.value = 1
    else:
        listener.bind_to_port.value = False
    if plan.intercepts == "redirect":
        listener.use_original_dst.value = True
    _add_inspectors(listener, plan)
    return listener


def _address(address: str, port: int) -> address_pb2.Address:
    if address.startswith(UNIX):
        return address_pb2.Address(pipe=address_pb2.Pipe(path=address.removeprefix(UNIX)))
    return address_pb2.Address(socket_address=address_pb2.SocketAddress(address=address, port_value=port))


def _add_inspectors(listener: pb.Listener, plan: ListenerPlan) -> None:
    if plan.proxy_protocol:
        listener.listener_filters.append(_listener_filter("proxy_protocol", proxy_protocol_pb2.ProxyProtocol()))
    if plan.intercepts == "original_dst" or (plan.intercepts and plan.inspectors):  # before those that may not come to an end
        listener.listener_filters.append(_listener_filter("original_dst", original_dst_pb2.OriginalDst()))
    listener.listener_filters.extend(_inspector(inspector) for inspector in plan.inspectors)
    if (plan.intercepts != "redirect" or plan.inspectors) and not plan.waits:
        set_duration(listener.listener_filters_timeout, plan.patience)
        listener.continue_on_listener_filters_timeout = True


def _inspector(plan: InspectorPlan) -> chain_pb2.ListenerFilter:
    if plan.kind == "http":
        inspector = _listener_filter("http_inspector", http_inspector_pb2.HttpInspector())
    else:
        config = tls_inspector_pb2.TlsInspector()
        config.initial_read_buffer_size.value = _HELLO
        inspector = _listener_filter("tls_inspector", config)
    if plan.only_ports:
        _any_of(inspector.filter_disabled.not_match, plan.only_ports)
    else:
        _any_of(inspector.filter_disabled, plan.off_ports)
    return inspector


def _listener_filter(name: str, config: message.Message) -> chain_pb2.ListenerFilter:
    listener_filter = chain_pb2.ListenerFilter(name=f"envoy.filters.listener.{name}")
    listener_filter.typed_config.Pack(config)
    return listener_filter


def _any_of(predicate: chain_pb2.ListenerFilterChainMatchPredicate, ports: Sequence[int]) -> None:
    if len(ports) == 1:
        predicate.destination_port_range.CopyFrom(_just(ports[0]))
    for port in ports if len(ports) > 1 else ():
        predicate.or_match.rules.add(destination_port_range=_just(port))


def _just(port: int) -> range_pb2.Int32Range:
    return range_pb2.Int32Range(start=port, end=port + 1)


def _of_bytes(plan: TcpPlan, tls: MeshTls | CredentialTls | None) -> list[chain_pb2.Filter]:
    secured = isinstance(tls, MeshTls)
    early = build_early_refusal(plan.authz, secured=secured) if secured or tls is None else None
    forward = build_tcp(plan, waits=early is not None and secured)
    return [*build_network_authz(plan.authz), *([early] if early is not None else []), *build_lookup(plan), forward]


def _chain(plan: ChainPlan) -> chain_pb2.FilterChain:
    application = plan.application
    filters = [build_http(application)] if isinstance(application, HttpPlan) else _of_bytes(application, plan.tls)
    chain = chain_pb2.FilterChain(name=plan.name, filters=filters)
    if plan.match is not None:
        chain.filter_chain_match.CopyFrom(_match(plan.match))
    if isinstance(plan.tls, CredentialTls) and isinstance(application, HttpPlan) and application.http3:
        chain.transport_socket.CopyFrom(build_quic(plan.tls))
    elif plan.tls is not None:
        chain.transport_socket.CopyFrom(build_downstream_tls(plan.tls))
    if plan.connect_timeout:
        set_duration(chain.transport_socket_connect_timeout, _HANDSHAKE)
    return chain


def _match(plan: ChainMatch) -> chain_pb2.FilterChainMatch:
    match = chain_pb2.FilterChainMatch(
        server_names=plan.server_names, transport_protocol=plan.transport, application_protocols=plan.protocols
    )
    if plan.port:
        match.destination_port.value = plan.port
    for prefix in plan.prefixes:
        network = ip_network(prefix, strict=False)
        match.prefix_ranges.add(address_prefix=str(network.network_address)).prefix_len.value = network.prefixlen
    return match
