"""Prints the SDS secrets that name files of the pod: `file-cert:CERTIFICATE~KEY`, `file-root:CA` and `file-root:system`.

Why as file names and not their content: Envoy reads them itself, so what a rule may name is what the proxy's own user can read in
its own pod, and Envoy watches their folders, so that files renewed as Kubernetes does it are taken up (docs/decisions/011).
Must not read them.
"""

from envoy.extensions.transport_sockets.tls.v3 import secret_pb2 as pb

__all__ = ["build_file_secret"]

_CERTIFICATE, _ROOT, _SYSTEM = "file-cert:", "file-root:", "file-root:system"


def build_file_secret(name: str, system_roots: str) -> pb.Secret | None:
    """The secret of that name, None where the name is of another form; `system_roots` is the machine's own CA bundle."""
    secret = pb.Secret(name=name)
    if name.startswith(_CERTIFICATE):
        chain, separator, key = name.removeprefix(_CERTIFICATE).partition("~")
        if not (chain and separator and key):
            return None
        secret.tls_certificate.certificate_chain.filename = chain
        secret.tls_certificate.private_key.filename = key
    elif name.startswith(_ROOT) and name != _ROOT:
        secret.validation_context.trusted_ca.filename = system_roots if name == _SYSTEM else name.removeprefix(_ROOT)
    else:
        return None
    return secret
