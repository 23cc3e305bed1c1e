"""Prints a gateway's certificate or CA as an SDS secret."""

from envoy.extensions.transport_sockets.tls.v3 import secret_pb2 as pb

from lateen.model.secretplan import SecretPlan

__all__ = ["build_secret"]


def build_secret(plan: SecretPlan) -> pb.Secret:
    """The secret message of `plan`."""
    secret = pb.Secret(name=plan.name)
    if plan.key is None:
        secret.validation_context.trusted_ca.inline_bytes = plan.root
        if plan.revoked:
            secret.validation_context.crl.inline_bytes = plan.revoked
    else:
        secret.tls_certificate.certificate_chain.inline_bytes = plan.chain
        secret.tls_certificate.private_key.inline_bytes = plan.key.reveal()
    return secret
