"""TLS that a gateway's server, or a Sidecar's port, ends with certificates of its own."""

from collections.abc import Iterable, Mapping

from lateen.api.extensionproviders import ExtensionProvider
from lateen.api.gateway import ServerTLSSettings
from lateen.compile.secretnames import CA_SUFFIX, resource_of
from lateen.model.listenerplan import CredentialTls
from lateen.model.names import outbound_cluster

__all__ = ["EXTERNAL", "credentials_of", "provider_cluster", "provider_hosts", "server_tls"]

_SORTS = ExtensionProvider.one_of[0]
EXTERNAL = "sds://"  # credentials that an extension provider has


def credentials_of(tls: ServerTLSSettings) -> tuple[str, ...]:
    """The SDS resources a server needs, certificates first, the CA of client certificates last; `sds://` is left before an extension's."""
    names = tls.credential_names or ((tls.credential_name,) if tls.credential_name else ())
    if names and tls.mode in ("MUTUAL", "OPTIONAL_MUTUAL"):
        names = (*names, tls.ca_cert_credential_name or f"{names[0]}{CA_SUFFIX}")
    return names if names and names[0].startswith(EXTERNAL) else tuple(resource_of(name) for name in names)


def server_tls(tls: ServerTLSSettings, provider: str = "") -> CredentialTls:
    """The server's side of TLS; `provider` is the cluster that has the secrets named `sds://`."""
    if tls.mode == "ISTIO_MUTUAL":
        return CredentialTls(secrets=("default",), root="ROOTCA", client="required", client_names=tls.subject_alt_names)
    asks = tls.mode in ("MUTUAL", "OPTIONAL_MUTUAL")
    names = credentials_of(tls)
    if names and names[0].startswith(EXTERNAL):
        found = tuple(name.removeprefix(EXTERNAL) for name in names)
        secrets, root = (found[:-1], found[-1]) if asks else (found, "")
    elif names:
        secrets, root = (names[:-1], names[-1]) if asks else (names, "")
    else:
        secrets = (f"file-cert:{tls.server_certificate}~{tls.private_key}",)
        root = f"file-root:{tls.ca_certificates}" if asks else ""
    return CredentialTls(
        secrets=secrets,
        provider=provider if names and names[0].startswith(EXTERNAL) else "",
        root=root,
        client=("required" if tls.mode == "MUTUAL" else "optional") if asks else "none",
        client_names=tls.subject_alt_names,
        revoked=tls.ca_crl if asks and not names else "",
        min_version=_version(tls.min_protocol_version),
        max_version=_version(tls.max_protocol_version),
        ciphers=tls.cipher_suites,
    )


def provider_cluster(providers: Iterable[ExtensionProvider]) -> str:
    """The cluster of the mesh's server of secrets; "" where it has none."""
    found = next((one.sds for one in providers if one.sds is not None), None)
    return outbound_cluster(found.port, "", found.service.rpartition("/")[2]) if found is not None else ""


def provider_hosts(providers: Iterable[ExtensionProvider]) -> frozenset[str]:
    """The services of all sorts of providers."""
    sorts = (sort for one in providers for name in _SORTS if (sort := getattr(one, name)) is not None)
    services = (sort.get("service", "") if isinstance(sort, Mapping) else getattr(sort, "service", "") for sort in sorts)
    return frozenset(str(service).rpartition("/")[2] for service in services if service)


def _version(version: str) -> str:
    return "" if version == "TLS_AUTO" else version
