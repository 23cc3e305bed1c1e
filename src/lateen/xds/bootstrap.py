"""Prints the configuration that an Envoy starts with: who it is, where its control plane and its agent are, its own ports.

Everything else comes over ADS. Names, ports and limits are those of the bootstrap that istiod's agents write. Only plans come in;
the result is bytes for a file named `*.pb`.
"""

from collections.abc import Mapping

from envoy.config.bootstrap.v3 import bootstrap_pb2
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import base_pb2, config_source_pb2
from envoy.config.overload.v3 import overload_pb2
from envoy.extensions.access_loggers.file.v3 import file_pb2
from envoy.extensions.bootstrap.internal_listener.v3 import internal_listener_pb2
from envoy.extensions.resource_monitors.downstream_connections.v3 import downstream_connections_pb2
from google.protobuf import json_format
from msgspec import Struct

from lateen.model.names import LOCAL_CLUSTER
from lateen.model.patchplan import FilterPlan
from lateen.util.regexes import LARGEST_PROGRAM
from lateen.xds.bootstrapclusters import Pipe, Tcp, build_local_cluster, build_peers_cluster, build_sds_cluster, build_xds_cluster
from lateen.xds.bootstraplisteners import build_health_listener, build_prometheus_listener
from lateen.xds.bootstrapstats import StatsPlan, build_stats_config
from lateen.xds.pack import serialise
from lateen.xds.patches.bootstrap import patch_bootstrap
from lateen.xds.values import set_duration

__all__ = ["BootstrapPlan", "build_bootstrap"]

_LOG_FORMAT = "%Y-%m-%dT%T.%fZ\t%l\tenvoy %n %g:%#\t%v\tthread=%t"
_V3 = config_source_pb2.ApiVersion.V3
_UNLIMITED = 2**31 - 1
_RUNTIME: Mapping[str, object] = {
    "envoy.deprecated_features:envoy.config.listener.v3.Listener.hidden_envoy_deprecated_use_original_dst": True,
    "envoy.reloadable_features.coalesce_lb_rebuilds_on_batch_update": False,
    "envoy.reloadable_features.fixed_heap_use_allocated": True,
    "envoy.reloadable_features.http_reject_path_with_fragment": False,
    "envoy.reloadable_features.tcp_proxy_delay_route_selection": True,  # docs/decisions/017
    "re2.max_program_size.error_level": str(LARGEST_PROGRAM),
}
_CONNECTIONS_KEY = "overload.global_downstream_max_connections"


class BootstrapPlan(Struct, frozen=True, kw_only=True):
    """One Envoy's start: `metadata` is what its node tells the control plane, `sds` the agent's Unix socket as Envoy sees it."""

    node_id: str
    node_cluster: str
    metadata: Mapping[str, object]
    xds: Pipe | Tcp
    sds: str
    locality: tuple[str, str, str] = ("", "", "")
    stats: StatsPlan = StatsPlan()
    runtime: Mapping[str, object] = {}
    address: str = "0.0.0.0"  # noqa: S104  (of the ports 15021 and 15090: all of the pod's addresses)
    admin_port: int = 15000
    agent_port: int = 15020
    health_port: int = 15021
    prometheus_port: int = 15090
    outlier_log: str = ""
    peers: bool = False  # the proxy is told of its like, for routing by zones
    changes: tuple[FilterPlan, ...] = ()  # of EnvoyFilters


def build_bootstrap(plan: BootstrapPlan) -> bytes:
    """The serialised Bootstrap message."""
    message = bootstrap_pb2.Bootstrap()
    message.application_log_config.log_format.text_format = _LOG_FORMAT
    _node(message.node, plan)
    runtime = message.layered_runtime.layers.add(name="global config")
    json_format.ParseDict({**_RUNTIME, **plan.runtime}, runtime.static_layer)
    message.layered_runtime.layers.add(name="admin").admin_layer.SetInParent()
    buffers = internal_listener_pb2.InternalListener()
    buffers.buffer_size_kb.value = 64
    message.bootstrap_extensions.add(name="envoy.bootstrap.internal_listener").typed_config.Pack(buffers, deterministic=True)
    message.stats_config.CopyFrom(build_stats_config(plan.stats))
    if plan.stats.flush_interval:
        set_duration(message.stats_flush_interval, plan.stats.flush_interval)
    if plan.stats.eviction_interval:
        set_duration(message.stats_eviction_interval, plan.stats.eviction_interval)
    _admin(message.admin, plan.admin_port)
    _dynamic(message.dynamic_resources)
    message.static_resources.clusters.extend(_clusters(plan))
    message.static_resources.listeners.append(build_prometheus_listener(plan.address, plan.prometheus_port))
    message.static_resources.listeners.append(build_health_listener(plan.address, plan.health_port))
    _limits(message.overload_manager, plan.runtime)
    message.cluster_manager.outlier_detection.event_log_path = plan.outlier_log
    if not plan.outlier_log:
        message.cluster_manager.ClearField("outlier_detection")
    message.cluster_manager.local_cluster_name = LOCAL_CLUSTER if plan.peers else ""
    message.cluster_manager.enable_deferred_cluster_creation = True
    message.deferred_stat_options.enable_deferred_creation_stats = True
    patch_bootstrap(message, plan.changes)
    return serialise(message)


def _node(node: base_pb2.Node, plan: BootstrapPlan) -> None:
    node.id, node.cluster = plan.node_id, plan.node_cluster
    node.locality.region, node.locality.zone, node.locality.sub_zone = plan.locality
    json_format.ParseDict(dict(plan.metadata), node.metadata)


def _admin(admin: bootstrap_pb2.Admin, port: int) -> None:
    admin.access_log.add(name="envoy.access_loggers.file").typed_config.Pack(file_pb2.FileAccessLog(path="/dev/null"), deterministic=True)
    admin.profile_path = "/var/lib/istio/data/envoy.prof"
    admin.address.socket_address.address, admin.address.socket_address.port_value = "127.0.0.1", port


def _dynamic(resources: bootstrap_pb2.Bootstrap.DynamicResources) -> None:
    for source in (resources.lds_config, resources.cds_config):
        source.ads.SetInParent()
        set_duration(source.initial_fetch_timeout, 0)
        source.resource_api_version = _V3
    ads = resources.ads_config
    ads.api_type, ads.transport_api_version = config_source_pb2.ApiConfigSource.DELTA_GRPC, _V3
    ads.set_node_on_first_message_only = True
    ads.grpc_services.add().envoy_grpc.cluster_name = "xds-grpc"


def _clusters(plan: BootstrapPlan) -> tuple[cluster_pb2.Cluster, ...]:
    return (
        build_local_cluster("prometheus_stats", plan.admin_port),
        build_local_cluster("agent", plan.agent_port),
        build_sds_cluster(plan.sds),
        build_xds_cluster(plan.xds),
        *((build_peers_cluster(),) if plan.peers else ()),
    )


def _limits(manager: overload_pb2.OverloadManager, runtime: Mapping[str, object]) -> None:
    limit = downstream_connections_pb2.DownstreamConnectionsConfig()
    limit.max_active_downstream_connections = int(str(runtime.get(_CONNECTIONS_KEY, _UNLIMITED)))
    monitor = manager.resource_monitors.add(name="envoy.resource_monitors.global_downstream_max_connections")
    monitor.typed_config.Pack(limit, deterministic=True)
