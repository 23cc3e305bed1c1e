"""Prints the server side of TLS: mutual TLS inside the mesh, and what a gateway offers the outside."""

from envoy.config.core.v3 import base_pb2
from envoy.extensions.transport_sockets.quic.v3 import quic_transport_pb2 as quic_pb2
from envoy.extensions.transport_sockets.tls.v3 import common_pb2, tls_pb2

from lateen.model.listenerplan import CredentialTls, MeshTls
from lateen.xds.sds import from_agent, sds_secret

__all__ = ["build_downstream_tls", "build_quic"]

_CIPHERS = (
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
    "AES128-GCM-SHA256",
)
_VERSIONS = common_pb2.TlsParameters.TlsProtocol


def build_quic(plan: CredentialTls) -> base_pb2.TransportSocket:
    """The transport socket of a chain of HTTP/3: TLS is part of QUIC."""
    socket = base_pb2.TransportSocket(name="envoy.transport_sockets.quic")
    socket.typed_config.Pack(quic_pb2.QuicDownstreamTransport(downstream_tls_context=_credential(plan)), deterministic=True)
    return socket


def build_downstream_tls(plan: MeshTls | CredentialTls) -> base_pb2.TransportSocket:
    """The transport socket of a filter chain."""
    context = _mesh(plan) if isinstance(plan, MeshTls) else _credential(plan)
    socket = base_pb2.TransportSocket(name="envoy.transport_sockets.tls")
    socket.typed_config.Pack(context, deterministic=True)
    return socket


def _mesh(plan: MeshTls) -> tls_pb2.DownstreamTlsContext:
    context = tls_pb2.DownstreamTlsContext()
    context.require_client_certificate.value = True
    common = context.common_tls_context
    common.alpn_protocols.extend(plan.alpn)
    common.tls_params.tls_minimum_protocol_version = _version(plan.min_version)
    common.tls_params.tls_maximum_protocol_version = common_pb2.TlsParameters.TLSv1_3
    common.tls_params.cipher_suites.extend(_CIPHERS)
    common.tls_certificate_sds_secret_configs.append(from_agent("default"))
    validation = common.combined_validation_context
    validation.default_validation_context.SetInParent()
    for prefix in plan.client_prefixes:
        validation.default_validation_context.match_subject_alt_names.add(prefix=prefix)
    validation.validation_context_sds_secret_config.CopyFrom(from_agent("ROOTCA"))
    return context


def _credential(plan: CredentialTls) -> tls_pb2.DownstreamTlsContext:
    context = tls_pb2.DownstreamTlsContext()
    context.require_client_certificate.value = plan.client == "required"
    common = context.common_tls_context
    common.alpn_protocols.extend(plan.alpn)
    if plan.min_version:
        common.tls_params.tls_minimum_protocol_version = _version(plan.min_version)
    if plan.max_version:
        common.tls_params.tls_maximum_protocol_version = _version(plan.max_version)
    common.tls_params.cipher_suites.extend(plan.ciphers)
    if not common.tls_params.ByteSize():
        common.ClearField("tls_params")
    common.tls_certificate_sds_secret_configs.extend(sds_secret(name, plan.provider) for name in plan.secrets)
    if plan.client != "none":
        validation = common.combined_validation_context
        validation.default_validation_context.SetInParent()
        for name in plan.client_names:
            validation.default_validation_context.match_subject_alt_names.add(exact=name)
        if plan.revoked:
            validation.default_validation_context.crl.filename = plan.revoked
        validation.validation_context_sds_secret_config.CopyFrom(sds_secret(plan.root, plan.provider))
    return context


def _version(name: str) -> int:
    """Istio writes TLSV1_2, Envoy TLSv1_2."""
    return int(_VERSIONS.Value(name.replace("TLSV", "TLSv")))
