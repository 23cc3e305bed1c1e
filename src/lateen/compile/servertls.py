"""TLS that a gateway's server, or a Sidecar's port, ends with certificates of its own."""

from lateen.api.gateway import ServerTLSSettings
from lateen.model.listenerplan import CredentialTls

__all__ = ["credentials_of", "server_tls"]


def credentials_of(tls: ServerTLSSettings) -> tuple[str, ...]:
    """The names of the Secrets a server needs, certificates first, the CA of client certificates last."""
    names = tls.credential_names or ((tls.credential_name,) if tls.credential_name else ())
    if not names or tls.mode not in ("MUTUAL", "OPTIONAL_MUTUAL"):
        return names
    return (*names, tls.ca_cert_credential_name or f"{names[0]}-cacert")


def server_tls(tls: ServerTLSSettings) -> CredentialTls:
    """The server's side of TLS."""
    if tls.mode == "ISTIO_MUTUAL":
        return CredentialTls(secrets=("default",), root="ROOTCA", client="required", client_names=tls.subject_alt_names)
    asks = tls.mode in ("MUTUAL", "OPTIONAL_MUTUAL")
    names = credentials_of(tls)
    if names:
        secrets = tuple(f"kubernetes://{name}" for name in (names[:-1] if asks else names))
        root = f"kubernetes://{names[-1]}" if asks else ""
    else:
        secrets = (f"file-cert:{tls.server_certificate}~{tls.private_key}",)
        root = f"file-root:{tls.ca_certificates}" if asks else ""
    return CredentialTls(
        secrets=secrets,
        root=root,
        client=("required" if tls.mode == "MUTUAL" else "optional") if asks else "none",
        client_names=tls.subject_alt_names,
        revoked=tls.ca_crl if asks and not names else "",
        min_version=_version(tls.min_protocol_version),
        max_version=_version(tls.max_protocol_version),
        ciphers=tls.cipher_suites,
    )


def _version(version: str) -> str:
    return "" if version == "TLS_AUTO" else version
