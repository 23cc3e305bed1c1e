"""Changes of clusters."""

from functools import partial

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import base_pb2

from lateen.xds.patches.lists import Used, change_whole
from lateen.xds.patches.merge import merge, merge_any
from lateen.xds.patches.parse import Ready
from lateen.xds.patches.select import Patches

__all__ = ["cluster_matches", "patch_cluster"]


def patch_cluster(cluster: cluster_pb2.Cluster, hosts: tuple[str, ...], patches: Patches, found: Used) -> bool:
    """Change the cluster; whether it is to stay. `hosts` are the services of an inbound one."""
    name = cluster.name
    return change_whole(cluster, patches.of("CLUSTER"), lambda ready: cluster_matches(name, hosts, ready), found, partial(_merge, cluster))


def cluster_matches(name: str, hosts: tuple[str, ...], ready: Ready) -> bool:
    """Whether the change is for the cluster of this name; a name given excludes all other questions."""
    match = ready.match
    if match.cluster:
        return match.cluster == name
    parts = name.split("|")
    port, subset, host = (parts[1], parts[2], parts[3]) if len(parts) == 4 else ("", "", "")
    services = hosts if name.startswith("inbound|") and hosts else (host,)
    return match.subset in ("", subset) and (not match.service or match.service in services) and match.port in (0, int(port or 0))


def _merge(cluster: cluster_pb2.Cluster, ready: Ready) -> None:
    value = ready.value
    assert isinstance(value, cluster_pb2.Cluster)  # noqa: S101 - read as that
    if not value.HasField("transport_socket"):
        merge(cluster, value, replace_lists=ready.replaces_lists)
        return
    sockets = [one.transport_socket for one in cluster.transport_socket_matches]
    sockets = sockets or ([cluster.transport_socket] if cluster.HasField("transport_socket") else [])
    socket = _named(sockets, value.transport_socket.name)
    if socket is not None:
        merge_any(socket.typed_config, value.transport_socket.typed_config, replace_lists=ready.replaces_lists)
    elif not cluster.transport_socket_matches:
        cluster.transport_socket.CopyFrom(value.transport_socket)


def _named(sockets: list[base_pb2.TransportSocket], name: str) -> base_pb2.TransportSocket | None:
    return next((socket for socket in sockets if socket.name == name), None)
