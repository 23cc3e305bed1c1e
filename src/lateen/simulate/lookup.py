"""What would Envoy do with this call? A pure look-up in listeners and routes, step by step as Envoy takes them."""

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.config.route.v3 import route_components_pb2, route_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2
from envoy.extensions.transport_sockets.tls.v3 import tls_pb2
from msgspec.structs import replace

from lateen.simulate.call import Call, Certificate, Outcome, Refusal
from lateen.simulate.chains import find_chains, find_listener, seen_by
from lateen.simulate.requests import find_host, find_route, targets_of

__all__ = ["Configuration", "look_up"]

Chain: TypeAlias = listener_components_pb2.FilterChain
Manager: TypeAlias = http_connection_manager_pb2.HttpConnectionManager

_HTTP, _TCP = "envoy.filters.network.http_connection_manager", "envoy.filters.network.tcp_proxy"


class Configuration(NamedTuple):
    """What a proxy holds, by name."""

    listeners: Mapping[str, listener_pb2.Listener]
    routes: Mapping[str, route_pb2.RouteConfiguration]


def look_up(configuration: Configuration, call: Call) -> Outcome:
    """How the call goes through the proxy."""
    listener = find_listener(configuration.listeners, call)
    if listener is None:
        return Outcome(refusal=Refusal.NO_LISTENER)
    outcome = Outcome(listener=listener.name)
    chains = find_chains(listener, call, seen_by(listener, call))
    if len(chains) > 1:
        return replace(outcome, refusal=Refusal.MULTIPLE_FILTER_CHAINS)
    if not chains and not listener.HasField("default_filter_chain"):
        return replace(outcome, refusal=Refusal.NO_FILTER_CHAIN)
    chain = chains[0] if chains else listener.default_filter_chain
    outcome = replace(outcome, chain=chain.name, certificate=_certificate(chain))
    refusal = _refused_tls(chain, call)
    if refusal is not None:
        return replace(outcome, refusal=refusal)
    return _serve(configuration, chain, call, outcome)


def _certificate(chain: Chain) -> Certificate | None:
    """The chain's side of TLS; an unnamed one where it has a socket without SDS."""
    if not chain.HasField("transport_socket"):
        return None
    context = tls_pb2.DownstreamTlsContext()
    chain.transport_socket.typed_config.Unpack(context)
    secrets = context.common_tls_context.tls_certificate_sds_secret_configs
    return Certificate(secrets[0].name if secrets else "", context.require_client_certificate.value)


def _refused_tls(chain: Chain, call: Call) -> Refusal | None:
    certificate = _certificate(chain)
    if certificate is None:
        return None
    if call.tls == "plaintext":
        return Refusal.TLS
    mutual = certificate == Certificate(call.own_secret, client_required=True)
    return Refusal.MTLS if mutual != (call.tls == "mtls") else None


def _serve(configuration: Configuration, chain: Chain, call: Call, outcome: Outcome) -> Outcome:
    for network in chain.filters:
        if network.name == _HTTP:
            manager = Manager()
            network.typed_config.Unpack(manager)
            return _request(configuration, manager, chain, call, outcome)
        if network.name == _TCP:
            proxy = tcp_proxy_pb2.TcpProxy()
            network.typed_config.Unpack(proxy)
            weighted = tuple((one.name, one.weight) for one in proxy.weighted_clusters.clusters)
            return replace(outcome, clusters=((proxy.cluster, 0),) if proxy.cluster else weighted)
    return outcome


def _request(configuration: Configuration, manager: Manager, chain: Chain, call: Call, outcome: Outcome) -> Outcome:
    if call.protocol == "tcp" or (call.tls != "plaintext" and not chain.HasField("transport_socket")):
        return replace(outcome, refusal=Refusal.PROTOCOL)
    inline = manager.HasField("route_config")
    outcome = replace(outcome, route_config=manager.route_config.name if inline else manager.rds.route_config_name)
    routes = manager.route_config if inline else configuration.routes.get(outcome.route_config)
    host = find_host(routes, call.host) if routes is not None else None
    if host is None:
        return replace(outcome, refusal=Refusal.NO_VIRTUAL_HOST)
    outcome = replace(outcome, virtual_host=host.name)
    if host.require_tls == route_components_pb2.VirtualHost.ALL and call.tls == "plaintext":
        return replace(outcome, refusal=Refusal.TLS_REDIRECT)
    route = find_route(host, call)
    if route is None:
        return replace(outcome, refusal=Refusal.NO_ROUTE)
    return replace(outcome, route=route.name, clusters=targets_of(route), status=_status(route))


def _status(route: route_components_pb2.Route) -> int:
    if route.HasField("direct_response"):
        return int(route.direct_response.status)
    codes = {0: 301, 1: 302, 2: 303, 3: 307, 4: 308}
    return codes[route.redirect.response_code] if route.HasField("redirect") else 0
