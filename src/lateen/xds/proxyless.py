"""Prints for gRPC programs without a proxy what gRPC understands of xDS, and nothing that it refuses.

Certificates are named, not sent: `default` is a provider in the program's own bootstrap. Endpoints are printed as for Envoys. Only plans
come in.
"""

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import address_pb2, base_pb2
from envoy.config.listener.v3 import api_listener_pb2, listener_components_pb2, listener_pb2
from envoy.config.route.v3 import route_components_pb2, route_pb2
from envoy.extensions.filters.http.fault.v3 import fault_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2
from envoy.extensions.transport_sockets.tls.v3 import tls_pb2
from google.protobuf.message import Message

from lateen.model.authz import RbacPlan
from lateen.model.clusterplan import ClusterPlan
from lateen.model.proxylessplan import CallPlan, ServerPlan
from lateen.model.routeplan import VirtualHostPlan
from lateen.xds.filters.rbac import build_http_rbac
from lateen.xds.values import set_duration
from lateen.xds.virtualhost import build_virtual_host

__all__ = ["PROVIDER", "build_call_listener", "build_call_routes", "build_grpc_cluster", "build_server_listener", "takes"]

PROVIDER = "default"
_HASHED = ("RING_HASH", "MAGLEV")


def build_call_listener(plan: CallPlan) -> listener_pb2.Listener:
    """What a name means."""
    manager = hcm_pb2.HttpConnectionManager(http_filters=[_filter("fault", fault_pb2.HTTPFault()), _router()])
    manager.rds.route_config_name = plan.routes
    manager.rds.config_source.ads.SetInParent()
    listener = listener_pb2.Listener(name=plan.name, api_listener=api_listener_pb2.ApiListener())
    listener.api_listener.api_listener.Pack(manager, deterministic=True)
    return listener


def build_call_routes(name: str, plan: VirtualHostPlan) -> route_pb2.RouteConfiguration:
    """The routes of one service. gRPC reads a route's time limit from another field than Envoy."""
    host = build_virtual_host(plan)
    for route, planned in zip(host.routes, plan.routes, strict=True):
        if planned.timeout and route.HasField("route"):
            limits = route.route.max_stream_duration
            set_duration(limits.max_stream_duration, planned.timeout)
            set_duration(limits.grpc_timeout_header_max, planned.timeout)
    return route_pb2.RouteConfiguration(name=name, virtual_hosts=[host])


def takes(plan: ClusterPlan) -> bool:
    """Whether gRPC can do what the cluster asks. Without it calls fail; in the clear where TLS was asked for they must not be made."""
    return plan.kind == "EDS" and (plan.tls is None or plan.tls.mode in ("AUTO", "ISTIO_MUTUAL"))


def build_grpc_cluster(plan: ClusterPlan) -> cluster_pb2.Cluster:
    """A cluster whose plan `takes`."""
    cluster = cluster_pb2.Cluster(name=plan.name, type=cluster_pb2.Cluster.EDS)
    cluster.eds_cluster_config.service_name = plan.name
    cluster.eds_cluster_config.eds_config.ads.SetInParent()
    if plan.load_balancer.policy in _HASHED:
        cluster.lb_policy = cluster_pb2.Cluster.RING_HASH
        if plan.load_balancer.ring_size:
            cluster.ring_hash_lb_config.minimum_ring_size.value = plan.load_balancer.ring_size
    cluster.circuit_breakers.thresholds.add().max_requests.value = plan.breaker.requests
    if plan.tls is not None and plan.tls.mode == "ISTIO_MUTUAL":
        context = tls_pb2.UpstreamTlsContext(common_tls_context=_certificates(plan.tls.names))
        cluster.transport_socket.CopyFrom(_tls(context))
    return cluster


def build_server_listener(plan: ServerPlan) -> listener_pb2.Listener:
    """How a server takes calls. gRPC wants the address back that it asked for."""
    filters = [build_http_rbac(RbacPlan(rules=rules)) for rules in plan.rules]
    for number, each in enumerate(filters):
        each.name = f"{each.name}.{number}"  # gRPC refuses two of one name
    manager = hcm_pb2.HttpConnectionManager(route_config=_all_to_the_server(), http_filters=[*filters, _router()])
    chain = listener_components_pb2.FilterChain(name="inbound-mtls" if plan.mutual_tls else "inbound-plaintext")
    chain.filters.add(name="inbound-hcm").typed_config.Pack(manager, deterministic=True)
    if plan.mutual_tls:
        context = tls_pb2.DownstreamTlsContext(common_tls_context=_certificates(()))
        context.require_client_certificate.value = True
        chain.transport_socket.CopyFrom(_tls(context))
    address = address_pb2.SocketAddress(address=plan.address, port_value=plan.port)
    return listener_pb2.Listener(name=plan.name, address=address_pb2.Address(socket_address=address), filter_chains=[chain])


def _all_to_the_server() -> route_pb2.RouteConfiguration:
    route = route_components_pb2.Route(match=route_components_pb2.RouteMatch(prefix="/"))
    route.non_forwarding_action.SetInParent()
    host = route_components_pb2.VirtualHost(name="inbound", domains=["*"], routes=[route])
    return route_pb2.RouteConfiguration(name="inbound", virtual_hosts=[host])


def _certificates(names: tuple[str, ...]) -> tls_pb2.CommonTlsContext:
    """The program's own, and the mesh's root for the peer's; where there are `names` the peer must have one of them."""
    context = tls_pb2.CommonTlsContext()
    context.tls_certificate_provider_instance.instance_name = PROVIDER
    context.tls_certificate_provider_instance.certificate_name = PROVIDER
    validation = context.combined_validation_context.default_validation_context
    validation.ca_certificate_provider_instance.instance_name = PROVIDER
    validation.ca_certificate_provider_instance.certificate_name = "ROOTCA"
    for name in names:
        validation.match_subject_alt_names.add(exact=name)
    return context


def _tls(context: Message) -> base_pb2.TransportSocket:
    socket = base_pb2.TransportSocket(name="envoy.transport_sockets.tls")
    socket.typed_config.Pack(context, deterministic=True)
    return socket


def _router() -> hcm_pb2.HttpFilter:
    return _filter("router", router_pb2.Router())


def _filter(name: str, config: Message) -> hcm_pb2.HttpFilter:
    made = hcm_pb2.HttpFilter(name=f"envoy.filters.http.{name}")
    made.typed_config.Pack(config, deterministic=True)
    return made
