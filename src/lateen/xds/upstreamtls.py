"""Prints the client side of TLS, and how a cluster chooses between mutual TLS and plaintext per endpoint."""

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import base_pb2
from envoy.extensions.transport_sockets.raw_buffer.v3 import raw_buffer_pb2
from envoy.extensions.transport_sockets.tls.v3 import common_pb2, secret_pb2, tls_pb2

from lateen.model.clusterplan import ClusterTls
from lateen.xds.sds import from_agent, sds_secret

__all__ = ["add_tls"]

_OWN = ("default", "ROOTCA")
_VERSIONS = common_pb2.TlsParameters.TlsProtocol


def add_tls(cluster: cluster_pb2.Cluster, plan: ClusterTls) -> None:
    """Put the plan's TLS on the cluster."""
    socket = _socket(plan)
    if plan.mode != "AUTO":
        cluster.transport_socket.CopyFrom(socket)
        return
    secure = cluster.transport_socket_matches.add(name="tlsMode-istio", transport_socket=socket)
    secure.match["tlsMode"] = "istio"
    plain = cluster.transport_socket_matches.add(name="tlsMode-disabled")
    plain.match.SetInParent()
    plain.transport_socket.name = "envoy.transport_sockets.raw_buffer"
    plain.transport_socket.typed_config.Pack(raw_buffer_pb2.RawBuffer())


def _socket(plan: ClusterTls) -> base_pb2.TransportSocket:
    context = tls_pb2.UpstreamTlsContext(sni=plan.sni)
    common = context.common_tls_context
    common.alpn_protocols.extend(plan.alpn)
    common.tls_params.tls_minimum_protocol_version = _VERSIONS.Value(plan.min_version.replace("TLSV", "TLSv"))
    common.tls_params.tls_maximum_protocol_version = common_pb2.TlsParameters.TLSv1_3
    common.tls_params.ecdh_curves.extend(plan.curves)
    common.tls_params.cipher_suites.extend(plan.ciphers)
    if plan.certificate:
        common.tls_certificate_sds_secret_configs.append(_secret(plan.certificate))
    if plan.root:
        validation = common.combined_validation_context
        validation.default_validation_context.SetInParent()
        for name in plan.names:
            validation.default_validation_context.match_subject_alt_names.add(exact=name)
        if plan.crl:
            validation.default_validation_context.crl.filename = plan.crl
        validation.validation_context_sds_secret_config.CopyFrom(_secret(plan.root))
    socket = base_pb2.TransportSocket(name="envoy.transport_sockets.tls")
    socket.typed_config.Pack(context, deterministic=True)
    return socket


def _secret(name: str) -> secret_pb2.SdsSecretConfig:
    return from_agent(name) if name in _OWN else sds_secret(name)
