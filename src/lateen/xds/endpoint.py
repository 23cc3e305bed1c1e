"""Prints the endpoints of a cluster."""

from envoy.config.core.v3 import address_pb2, health_check_pb2
from envoy.config.endpoint.v3 import endpoint_components_pb2, endpoint_pb2

from lateen.model.clusterplan import EndpointsPlan, LocalityPlan
from lateen.model.endpoint import Endpoint

__all__ = ["build_load_assignment"]

_HEALTH = {
    "UNKNOWN": health_check_pb2.UNKNOWN,
    "HEALTHY": health_check_pb2.HEALTHY,
    "UNHEALTHY": health_check_pb2.UNHEALTHY,
    "DRAINING": health_check_pb2.DRAINING,
}
_UNIX = "unix://"


def build_load_assignment(plan: EndpointsPlan) -> endpoint_pb2.ClusterLoadAssignment:
    """The load assignment of `plan`."""
    return endpoint_pb2.ClusterLoadAssignment(cluster_name=plan.cluster, endpoints=[_locality(place) for place in plan.localities])


def _locality(plan: LocalityPlan) -> endpoint_components_pb2.LocalityLbEndpoints:
    place = endpoint_components_pb2.LocalityLbEndpoints(
        priority=plan.priority, lb_endpoints=[_endpoint(endpoint) for endpoint in plan.endpoints]
    )
    place.locality.region, place.locality.zone = plan.locality.region, plan.locality.zone
    place.locality.sub_zone = plan.locality.subzone
    place.load_balancing_weight.value = plan.weight
    return place


def _endpoint(plan: Endpoint) -> endpoint_components_pb2.LbEndpoint:
    endpoint = endpoint_components_pb2.LbEndpoint(
        endpoint=endpoint_components_pb2.Endpoint(address=_address(plan)), health_status=_HEALTH[plan.health.value]
    )
    endpoint.load_balancing_weight.value = plan.weight or 1
    metadata = endpoint.metadata.filter_metadata
    if plan.tls_mode == "istio":
        metadata["envoy.transport_socket_match"]["tlsMode"] = "istio"
    if plan.workload:
        metadata["istio"]["workload"] = plan.tag
    return endpoint


def _address(plan: Endpoint) -> address_pb2.Address:
    if plan.address.startswith(_UNIX):
        return address_pb2.Address(pipe=address_pb2.Pipe(path=plan.address.removeprefix(_UNIX)))
    return address_pb2.Address(socket_address=address_pb2.SocketAddress(address=plan.address, port_value=plan.port))
