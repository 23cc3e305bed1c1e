"""Istio's Gateway (not Kubernetes Gateway API's)."""

from collections.abc import Mapping
from typing import Literal

from msgspec import field

from lateen.api.base import Message, UInt32
from lateen.api.meta import IstioStatus, ObjectMeta

__all__ = ["Gateway", "GatewayPort", "GatewaySpec", "Server", "ServerTLSSettings", "TLSCertificate", "TLSProtocol"]

TLSProtocol = Literal["TLS_AUTO", "TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3"]


class TLSCertificate(Message, frozen=True):
    """A certificate and its key, as files."""

    server_certificate: str = ""
    private_key: str = ""
    ca_certificates: str = ""


class ServerTLSSettings(Message, frozen=True):
    """TLS of a server; exactly one source of certificates is used."""

    https_redirect: bool = False
    mode: Literal["PASSTHROUGH", "SIMPLE", "MUTUAL", "AUTO_PASSTHROUGH", "ISTIO_MUTUAL", "OPTIONAL_MUTUAL"] = "PASSTHROUGH"
    server_certificate: str = ""
    private_key: str = ""
    ca_certificates: str = ""
    ca_crl: str = ""
    subject_alt_names: tuple[str, ...] = ()
    credential_name: str = ""
    credential_names: tuple[str, ...] = ()
    ca_cert_credential_name: str = ""
    tls_certificates: tuple[TLSCertificate, ...] = ()
    verify_certificate_spki: tuple[str, ...] = ()
    verify_certificate_hash: tuple[str, ...] = ()
    min_protocol_version: TLSProtocol = "TLS_AUTO"
    max_protocol_version: TLSProtocol = "TLS_AUTO"
    cipher_suites: tuple[str, ...] = ()
    ecdh_curves: tuple[str, ...] = ()
    insecure_skip_verify: bool | None = None


class GatewayPort(Message, frozen=True):
    """A port to listen on; `number` is mapped to the targetPort of the gateway's Service."""

    number: UInt32 = 0
    protocol: str = ""
    name: str = ""
    target_port: UInt32 = 0  # deprecated


class Server(Message, frozen=True):
    """One listening port for some hosts."""

    port: GatewayPort | None = None
    bind: str = ""
    hosts: tuple[str, ...] = ()
    tls: ServerTLSSettings | None = None
    default_endpoint: str = ""
    name: str = ""


class GatewaySpec(Message, frozen=True):
    """Servers, and the labels of the proxies that run them (none: every gateway)."""

    servers: tuple[Server, ...] = ()
    selector: Mapping[str, str] = field(default_factory=dict)


class Gateway(Message, frozen=True):
    """networking.istio.io Gateway, all versions."""

    api_version: str = "networking.istio.io/v1"
    kind: Literal["Gateway"] = "Gateway"
    metadata: ObjectMeta = ObjectMeta()
    spec: GatewaySpec = GatewaySpec()
    status: IstioStatus | None = None
