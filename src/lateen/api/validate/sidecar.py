"""Sidecar."""

from lateen.api.destinationrule import ConnectionPoolSettings
from lateen.api.sidecar import IstioEgressListener, IstioIngressListener, Sidecar, SidecarOutboundTrafficPolicy
from lateen.api.validate.gateway import check_bind, check_server_port
from lateen.api.validate.names import check_fqdn, check_port, check_selector, check_wildcard_domain, is_namespace, split_namespaced
from lateen.api.validate.report import Report
from lateen.api.validate.traffic import check_pool
from lateen.util import hosts, ipnets

__all__ = ["check_sidecar"]

_HTTP = frozenset({"HTTP", "HTTP2", "GRPC", "GRPC-WEB", "HTTP_PROXY", "HTTPS"})
_LOCAL = frozenset({"127.0.0.1", "0.0.0.0", "::1", "::"})  # noqa: S104  (names, nothing listens)


def check_sidecar(report: Report, sidecar: Sidecar) -> None:
    """All of one Sidecar."""
    spec, at = sidecar.spec, report.at("spec")
    check_selector(at.at("workloadSelector"), spec.workload_selector)
    if not (spec.egress or spec.ingress or spec.inbound_connection_pool or spec.outbound_traffic_policy):
        at.error("a Sidecar needs egress, ingress, inboundConnectionPool or outboundTrafficPolicy")
    ports: set[int] = set()
    for index, listener in enumerate(spec.ingress):
        _ingress(at.at("ingress", index), listener)
        number = listener.port.number if listener.port is not None else 0
        if number and number in ports:
            at.at("ingress", index, "port", "number").error(f"port {number} is given twice")
        ports.add(number)
    _egress(at, spec.egress, sidecar.metadata.namespace)
    if spec.inbound_connection_pool is not None:
        check_pool(at.at("inboundConnectionPool"), spec.inbound_connection_pool)
    if spec.outbound_traffic_policy is not None:
        _outbound(at.at("outboundTrafficPolicy"), spec.outbound_traffic_policy)


def _ingress(report: Report, listener: IstioIngressListener) -> None:
    if listener.port is None:
        report.at("port").error("port is required for ingress listeners")
    else:
        check_server_port(report.at("port"), listener.port)
    if listener.bind.startswith("unix://"):
        report.at("bind").error("a Unix socket cannot be bound for incoming traffic; name an address")
    else:
        check_bind(report.at("bind"), listener.bind, 0)
    if listener.default_endpoint:
        _endpoint(report.at("defaultEndpoint"), listener.default_endpoint)
    protocol = listener.port.protocol.upper() if listener.port is not None else ""
    if listener.tls is not None:
        _tls(report.at("tls"), listener, protocol)
    if listener.connection_pool is not None:
        _pool(report.at("connectionPool"), listener.connection_pool, protocol)


def _pool(report: Report, pool: ConnectionPoolSettings, protocol: str) -> None:
    check_pool(report, pool)
    if pool.http is not None and protocol and protocol not in _HTTP:
        report.at("http").warn(f"is not read on a port of protocol {protocol}")


def _endpoint(report: Report, text: str) -> None:
    if text.startswith("unix://"):
        if not text.removeprefix("unix://").startswith(("/", "@")):
            report.error(f'"{text}": a Unix socket is named by an absolute path, or an abstract one beginning with @')
        return
    host, colon, port = text.rpartition(":")
    if not colon or host.strip("[]") not in _LOCAL:
        report.error(
            f'"{text}": traffic goes to the workload itself: write 127.0.0.1:PORT, 0.0.0.0:PORT, [::1]:PORT, [::]:PORT or unix:///PATH'
        )
    elif not (port.isascii() and port.isdigit()):
        report.error(f'"{text}": "{port}" is not a port')
    else:
        check_port(report, int(port))


def _tls(report: Report, listener: IstioIngressListener, protocol: str) -> None:
    tls = listener.tls
    assert tls is not None  # noqa: S101  (the caller has looked)
    if tls.mode not in {"SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL"}:
        report.at("mode").error(f"{tls.mode} is not for a Sidecar's own TLS; SIMPLE and MUTUAL are")
    if protocol not in {"HTTPS", "TLS"}:
        report.error(f"TLS is opened on a port of protocol HTTPS or TLS; it is {protocol or 'not given'}")
    if tls.https_redirect:
        report.at("httpsRedirect").error("is not supported for a Sidecar")
    if tls.subject_alt_names:
        report.at("subjectAltNames").error("is not supported for a Sidecar")
    if tls.credential_name or tls.credential_names:
        report.at("credentialName").error("is not supported for a Sidecar; name files")
    if tls.tls_certificates:
        report.at("tlsCertificates").error("is not supported for a Sidecar; name one certificate by serverCertificate and privateKey")


def _egress(report: Report, listeners: tuple[IstioEgressListener, ...], own: str) -> None:
    ports: set[int] = set()
    sockets: set[str] = set()
    catch_all = False
    for index, listener in enumerate(listeners):
        where = report.at("egress", index)
        if listener.port is None:
            if catch_all:
                where.error("only one listener may be without a port")
            if index != len(listeners) - 1:
                where.error("the listener without a port takes what is left, so it must be the last")
            if listener.bind:
                where.at("bind").error("a listener with bind needs a port")
            catch_all = True
        elif listener.bind.startswith("unix://"):
            _socket(where, listener, sockets)
        else:
            check_server_port(where.at("port"), listener.port)
            check_bind(where.at("bind"), listener.bind, listener.port.number)
            if listener.port.number in ports:
                where.at("port", "number").error(f"port {listener.port.number} is given twice")
            ports.add(listener.port.number)
        _egress_hosts(where.at("hosts"), listener.hosts, own)


def _socket(report: Report, listener: IstioEgressListener, seen: set[str]) -> None:
    assert listener.port is not None  # noqa: S101  (the caller has looked)
    check_server_port(report.at("port"), listener.port, bound=True)
    check_bind(report.at("bind"), listener.bind, listener.port.number)
    if listener.capture_mode == "IPTABLES":
        report.at("captureMode").error("interception leads to ports, not to Unix sockets; use DEFAULT or NONE")
    if listener.bind in seen:
        report.at("bind").error(f'"{listener.bind}" is given twice')
    seen.add(listener.bind)


def _egress_hosts(report: Report, names: tuple[str, ...], own: str) -> None:
    if not names:
        report.error("at least one host is required; */* is everything, ~/* is nothing")
    imported: list[tuple[int, tuple[str, str]]] = []
    for index, text in enumerate(names):
        parts = split_namespaced(text)
        if parts is None:
            report.at(index).error(f'"{text}": write namespace/host; namespace may be *, . or ~, and host may begin with *.')
            continue
        _egress_host(report.at(index), text, *parts)
        if not text.startswith("~"):
            imported.append((index, (own if parts[0] == "." else parts[0], parts[1])))
    for index, parts in imported:
        if any(_covers(other, parts) for number, other in imported if other != parts or number < index):
            report.at(index).warn(f'"{names[index]}" adds nothing: another entry has it already')


def _egress_host(report: Report, text: str, namespace: str, host: str) -> None:
    if namespace == "~" and host != "*":
        report.error(f'"{text}": ~ is no namespace, so only ~/* makes sense')
    if namespace not in {"*", ".", "~"} and not is_namespace(namespace.removeprefix("~")):
        report.error(f'"{namespace}" is neither a namespace nor one of *, ., ~')
    if host.startswith("*") and host != "*" and not host.startswith("*."):
        report.error(f'"{host}": "*" stands for whole labels only: *.example.com')
    check_wildcard_domain(report, host)


def _covers(wide: tuple[str, str], narrow: tuple[str, str]) -> bool:
    return (wide[0] == "*" or wide[0] == narrow[0]) and hosts.matches(wide[1], narrow[1])


def _outbound(report: Report, policy: SidecarOutboundTrafficPolicy) -> None:
    proxy = policy.egress_proxy
    if proxy is None:
        return
    where = report.at("egressProxy")
    if policy.mode != "ALLOW_ANY":
        where.error("an egress proxy is for mode ALLOW_ANY: with REGISTRY_ONLY nothing unknown leaves")
    if not ipnets.is_address(proxy.host):
        check_fqdn(where.at("host"), proxy.host)
    if proxy.port is None:
        where.at("port").error("the proxy's port is required")
    else:
        check_port(where.at("port", "number"), proxy.port.number)
