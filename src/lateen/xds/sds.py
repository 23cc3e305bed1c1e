"""Where Envoy gets a secret from: Kubernetes' from the control plane, all others from its agent."""

from envoy.extensions.transport_sockets.tls.v3 import secret_pb2

from lateen.xds.values import set_duration

__all__ = ["from_agent", "sds_secret"]

_V3 = 2
_GRPC = 2
_OWN = ("default", "ROOTCA")  # the workload's own certificate and the mesh's root


def sds_secret(name: str, provider: str = "") -> secret_pb2.SdsSecretConfig:
    """The secret `name`: a Secret's, file-cert:..., file-root:..., the workload's own, or one that the cluster `provider` has."""
    if provider:
        return _over_grpc(name, provider)
    if not name.startswith(("kubernetes://", "kubernetes-gateway://")):
        return from_agent(name, wait_for_ever=name in _OWN)
    config = secret_pb2.SdsSecretConfig(name=name)
    config.sds_config.ads.SetInParent()
    config.sds_config.resource_api_version = _V3
    return config


def from_agent(name: str, *, wait_for_ever: bool = True) -> secret_pb2.SdsSecretConfig:
    """The secret `name` from the agent; the workload's own certificate is waited for without limit."""
    config = _over_grpc(name, "sds-grpc")
    if wait_for_ever:
        set_duration(config.sds_config.initial_fetch_timeout, 0)
    return config


def _over_grpc(name: str, cluster: str) -> secret_pb2.SdsSecretConfig:
    config = secret_pb2.SdsSecretConfig(name=name)
    config.sds_config.resource_api_version = _V3
    source = config.sds_config.api_config_source
    source.api_type, source.transport_api_version, source.set_node_on_first_message_only = _GRPC, _V3, True
    source.grpc_services.add().envoy_grpc.cluster_name = cluster
    return config
