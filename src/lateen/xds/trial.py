"""Prints a resource in a form that an Envoy beside the fleet can try: under a name and an address of its own, bound to no port.

Everything is tried as a cluster or a listener: routes and filters stand inside a listener made for them, so that Envoy judges them at
once. What a resource may name and only a proxy has, clusters, is printed as empty ones. Must not judge.
"""

from collections.abc import Iterable, Iterator

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import extension_pb2
from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.config.route.v3 import route_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2
from google.protobuf import json_format
from msgspec import Struct

from lateen.model.frame import Frame
from lateen.xds.pack import pack, resource_of
from lateen.xds.resources import CLUSTER, EXTENSION, LISTENER, ROUTES

__all__ = ["Trial", "build_stand_in", "build_trial"]

_NETWORK = "type.googleapis.com/envoy.extensions.filters.network."
_PORTS = 65_535


class Trial(Struct, frozen=True):
    """`frame` is a cluster or a listener; `words` are all texts in it."""

    frame: Frame
    words: frozenset[str]


def build_trial(frame: Frame, number: int) -> Trial:
    """The trial of a cluster, listener, route configuration or filter; each under way needs a number of its own."""
    name, resource = f"trial-{number}", resource_of(frame)
    message: cluster_pb2.Cluster | listener_pb2.Listener
    if frame.type_url == CLUSTER:
        message, url = cluster_pb2.Cluster.FromString(resource), CLUSTER
    else:
        message, url = _LISTENERS[frame.type_url](resource), LISTENER
        _unbind(message, number)
    message.name = name
    words = frozenset(_words(json_format.MessageToDict(message)))
    return Trial(pack(name, url, message, frame.owners), words)


def build_stand_in(name: str) -> Frame:
    """A cluster of that name without endpoints."""
    return pack(name, CLUSTER, cluster_pb2.Cluster(name=name, type=cluster_pb2.Cluster.STATIC))


def _unbind(listener: listener_pb2.Listener, number: int) -> None:
    listener.bind_to_port.value = False
    del listener.additional_addresses[:]
    if listener.address.HasField("socket_address") or not listener.HasField("address"):
        listener.address.socket_address.address = "127.0.0.1"
        listener.address.socket_address.port_value = 1 + number % _PORTS


def _of_routes(resource: bytes) -> listener_pb2.Listener:
    routes = route_pb2.RouteConfiguration.FromString(resource)
    routes.validate_clusters.value = False
    return _serving(hcm_pb2.HttpConnectionManager(route_config=routes))


def _of_filter(resource: bytes) -> listener_pb2.Listener:
    config = extension_pb2.TypedExtensionConfig.FromString(resource)
    if config.typed_config.type_url.startswith(_NETWORK):
        return _with_filter(listener_components_pb2.Filter(name=config.name, typed_config=config.typed_config))
    manager = hcm_pb2.HttpConnectionManager(route_config=route_pb2.RouteConfiguration())
    manager.http_filters.add(name=config.name, typed_config=config.typed_config)
    return _serving(manager)


def _serving(manager: hcm_pb2.HttpConnectionManager) -> listener_pb2.Listener:
    manager.stat_prefix = "trial"
    manager.http_filters.add(name="envoy.filters.http.router").typed_config.Pack(router_pb2.Router())
    served = listener_components_pb2.Filter(name="envoy.filters.network.http_connection_manager")
    served.typed_config.Pack(manager, deterministic=True)
    return _with_filter(served)


def _with_filter(network_filter: listener_components_pb2.Filter) -> listener_pb2.Listener:
    listener = listener_pb2.Listener()
    listener.filter_chains.add().filters.append(network_filter)
    return listener


_LISTENERS = {LISTENER: listener_pb2.Listener.FromString, ROUTES: _of_routes, EXTENSION: _of_filter}


def _words(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from _each(value.values())
    elif isinstance(value, list):
        yield from _each(value)


def _each(values: Iterable[object]) -> Iterator[str]:
    for one in values:
        yield from _words(one)
