"""Gateway, and the server's TLS that Sidecar shares."""

from lateen.api.gateway import Gateway, GatewayPort, Server, ServerTLSSettings
from lateen.api.sidecar import SidecarPort
from lateen.api.validate.names import check_labels, check_port, check_wildcard_domain, is_namespace, split_namespaced
from lateen.api.validate.report import Report
from lateen.util import ipnets

__all__ = ["PROTOCOLS", "check_bind", "check_gateway", "check_server_port", "check_server_tls"]

PROTOCOLS = frozenset(
    {"HTTP", "HTTPS", "HTTP2", "HTTP_PROXY", "GRPC", "GRPC-WEB", "GRPC-WEB-HTTP2", "TCP", "TLS", "MONGO", "REDIS", "MYSQL", "UDP", "HBONE"}
)
_NEEDS_TLS = frozenset({"HTTPS", "TLS"})


def check_gateway(report: Report, gateway: Gateway) -> None:
    """All of one gateway."""
    spec, at = gateway.spec, report.at("spec")
    if not spec.servers:
        at.at("servers").error("a gateway must have at least one server")
    names: set[str] = set()
    for index, server in enumerate(spec.servers):
        where = at.at("servers", index)
        _server(where, server)
        name = server.port.name if server.port is not None else ""
        if name in names:
            where.at("port", "name").error(f'port names in servers must be unique: "{name}" is given twice')
        names.add(name)
    check_labels(at.at("selector"), spec.selector)


def _server(report: Report, server: Server) -> None:
    if not server.hosts:
        report.at("hosts").error("a server must have at least one host; * means all")
    for index, host in enumerate(server.hosts):
        _host(report.at("hosts", index), host)
    port = server.port
    if port is None:
        report.at("port").error("a server needs a port")
    else:
        check_server_port(report.at("port"), port)
        protocol = port.protocol.upper()
        if protocol in _NEEDS_TLS and server.tls is None:
            report.at("tls").error(f"server must have TLS settings for protocol {protocol}")
        if protocol not in _NEEDS_TLS and protocol and server.tls is not None and not server.tls.https_redirect:
            report.at("tls").error(
                f"server cannot have TLS settings for plain text protocol {protocol}; httpsRedirect is the one exception"
            )
        if protocol not in {"HTTP", "HTTP2", "GRPC", ""} and server.tls is not None and server.tls.https_redirect:
            report.at("tls", "httpsRedirect").warn("should only be used with HTTP servers: there is no plain request to redirect")
    check_bind(report.at("bind"), server.bind, port.number if port is not None else 0)
    if server.default_endpoint:
        report.at("defaultEndpoint").warn("is no longer read")
    if server.tls is not None:
        check_server_tls(report.at("tls"), server.tls)


def _host(report: Report, text: str) -> None:
    parts = split_namespaced(text)
    if "/" in text and parts is None:
        report.error(f'"{text}" is not a host of a gateway: write host, or namespace/host')
        return
    namespace, host = parts or ("*", text)
    if namespace not in {"*", "."} and not is_namespace(namespace):
        report.error(f'"{namespace}" is neither a namespace nor one of "*", "."')
    check_wildcard_domain(report, host)


def check_server_port(report: Report, port: GatewayPort | SidecarPort, *, bound: bool = False) -> None:
    """A port to listen on; 0 where a Unix socket is `bound`."""
    if port.protocol and port.protocol.upper() not in PROTOCOLS:
        report.at("protocol").error(f'"{port.protocol}" is not a protocol; known are {", ".join(sorted(PROTOCOLS))}')
    if not bound:
        check_port(report.at("number"), port.number)
    if not port.name and isinstance(port, GatewayPort):
        report.at("name").error("port name must be set")
    if port.target_port:
        report.at("targetPort").warn("is no longer read; the gateway's Service says which port it leads to")


def check_bind(report: Report, bind: str, number: int) -> None:
    """An address, or a Unix socket with no port."""
    if not bind:
        return
    if bind.startswith("unix://"):
        path = bind.removeprefix("unix://")
        if not path.startswith(("/", "@")):
            report.error(f'"{bind}": a Unix socket is named by an absolute path, or an abstract one beginning with @')
        if number:
            report.error(f'"{bind}": a Unix socket has no port; set the number to 0')
    elif not ipnets.is_address(bind):
        report.error(f'"{bind}" is neither an address nor unix://...')


def check_server_tls(report: Report, tls: ServerTLSSettings) -> None:
    """Which certificates go with which mode."""
    sources = [tls.credential_name, tls.credential_names, tls.tls_certificates, tls.server_certificate or tls.private_key]
    given = sum(map(bool, sources))
    if tls.mode == "ISTIO_MUTUAL":
        if given or tls.ca_certificates:
            report.error("ISTIO_MUTUAL uses the mesh's own certificates; no others may be given")
        return
    if tls.mode in {"PASSTHROUGH", "AUTO_PASSTHROUGH"}:
        if given or tls.ca_certificates:
            report.warn(f"{tls.mode} does not open TLS, so certificates are not used")
        return
    _sources(report, tls, given)
    for index, suite in enumerate(tls.cipher_suites):
        if suite in tls.cipher_suites[:index]:
            report.at("cipherSuites", index).warn(f"{suite} is given twice")


def _sources(report: Report, tls: ServerTLSSettings, given: int) -> None:
    if given > 1:
        report.error("only one source of certificates may be given: credentialName, credentialNames, tlsCertificates, or files")
    if not given:
        report.error(
            f"{tls.mode} needs a certificate: credentialName, credentialNames, tlsCertificates, or serverCertificate and privateKey"
        )
    if bool(tls.server_certificate) != bool(tls.private_key):
        report.error("serverCertificate and privateKey belong together")
    for index, pair in enumerate(tls.tls_certificates):
        if not (pair.server_certificate and pair.private_key):
            report.at("tlsCertificates", index).error("serverCertificate and privateKey belong together")
    if len(tls.tls_certificates) > 2 or len(tls.credential_names) > 2:
        report.error("at most two certificates, an RSA and an ECDSA one, may be given")
    by_name = bool(tls.credential_name or tls.credential_names)
    if tls.mode in {"MUTUAL", "OPTIONAL_MUTUAL"} and not by_name and not tls.ca_certificates and not tls.ca_cert_credential_name:
        report.at("caCertificates").error(f"{tls.mode} needs the authority of the clients: caCertificates, or a credentialName")
