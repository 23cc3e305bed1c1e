"""The traffic policy that DestinationRule, Sidecar and MeshConfig share: load balancing, pools, outliers, client TLS."""

from lateen.api.destinationrule import (
    ClientTLSSettings,
    ConnectionPoolHTTP,
    ConnectionPoolSettings,
    ConnectionPoolTCP,
    ConsistentHashLB,
    LoadBalancerSettings,
    LocalityLoadBalancerSetting,
    OutlierDetection,
    PortTrafficPolicy,
    TrafficPolicy,
    TunnelSettings,
    WarmupConfiguration,
)
from lateen.api.validate.names import check_fqdn, check_port
from lateen.api.validate.report import Report
from lateen.util import durations, ipnets

__all__ = ["check_client_tls", "check_duration", "check_locality", "check_pool", "check_traffic_policy"]

_MILLISECOND = durations.SECOND // 1000


def check_traffic_policy(report: Report, policy: TrafficPolicy) -> None:
    """All of one policy, as a rule's or as a subset's."""
    if policy == TrafficPolicy():
        report.error("a traffic policy needs at least one field")
    _common(report, policy)
    for index, port in enumerate(policy.port_level_settings):
        where = report.at("portLevelSettings", index)
        if port.port is None:
            where.at("port").error("which port is required")
        else:
            check_port(where.at("port", "number"), port.port.number)
        _common(where, port)
    if policy.tunnel is not None:
        _tunnel(report.at("tunnel"), policy.tunnel)
    budget = policy.retry_budget
    if budget is not None and budget.percent is not None and not 0 <= budget.percent <= 100:
        report.at("retryBudget", "percent").error(f"{budget.percent:g} is not a share from 0 to 100")


def _common(report: Report, policy: TrafficPolicy | PortTrafficPolicy) -> None:
    if policy.load_balancer is not None:
        _load_balancer(report.at("loadBalancer"), policy.load_balancer, policy.outlier_detection)
    if policy.connection_pool is not None:
        check_pool(report.at("connectionPool"), policy.connection_pool)
    if policy.outlier_detection is not None:
        _outliers(report.at("outlierDetection"), policy.outlier_detection)
    if policy.tls is not None:
        check_client_tls(report.at("tls"), policy.tls)


def check_duration(report: Report, text: str | None, least: int = _MILLISECOND) -> None:
    """Not shorter than `least` nanoseconds, and of whole milliseconds; None is not given."""
    if text is None:
        return
    value = durations.parse(text)
    if value < least:
        report.error(f"{text}: must be a valid duration greater than {durations.to_text(least)}")
    elif value % _MILLISECOND:
        report.error(f"{text}: only durations to ms precision are supported")


def check_pool(report: Report, pool: ConnectionPoolSettings) -> None:
    """Limits of connections and requests; one that limits nothing is a mistake."""
    if pool.http is None and pool.tcp is None:
        report.error("must have at least one field: tcp or http")
    if pool.http is not None:
        _http_pool(report.at("http"), pool.http)
    if pool.tcp is not None:
        _tcp_pool(report.at("tcp"), pool.tcp)


def _http_pool(report: Report, pool: ConnectionPoolHTTP) -> None:
    if pool == ConnectionPoolHTTP():
        report.error("must have at least one field")
    for field, value in (
        ("http1MaxPendingRequests", pool.http1_max_pending_requests),
        ("http2MaxRequests", pool.http2_max_requests),
        ("maxRequestsPerConnection", pool.max_requests_per_connection),
        ("maxRetries", pool.max_retries),
        ("maxConcurrentStreams", pool.max_concurrent_streams),
    ):
        if value < 0:
            report.at(field).error(f"{value}: must be non-negative")
    check_duration(report.at("idleTimeout"), pool.idle_timeout, 0)
    if pool.h2_upgrade_policy == "UPGRADE" and pool.use_client_protocol:
        report.at("useClientProtocol").error("must not be true when h2UpgradePolicy is UPGRADE: the client's protocol would not be kept")


def _tcp_pool(report: Report, pool: ConnectionPoolTCP) -> None:
    if pool == ConnectionPoolTCP():
        report.error("must have at least one field")
    if pool.max_connections < 0:
        report.at("maxConnections").error(f"{pool.max_connections}: must be non-negative")
    check_duration(report.at("connectTimeout"), pool.connect_timeout)
    check_duration(report.at("maxConnectionDuration"), pool.max_connection_duration)
    check_duration(report.at("idleTimeout"), pool.idle_timeout, 0)
    if pool.tcp_keepalive is not None:
        for field, value in (("time", pool.tcp_keepalive.time), ("interval", pool.tcp_keepalive.interval)):
            check_duration(report.at("tcpKeepalive", field), value, durations.SECOND)


def _outliers(report: Report, found: OutlierDetection) -> None:
    check_duration(report.at("interval"), found.interval)
    check_duration(report.at("baseEjectionTime"), found.base_ejection_time)
    if found.consecutive_errors:
        report.at("consecutiveErrors").warn("is no longer read; use consecutiveGatewayErrors or consecutive5xxErrors")
    if found.consecutive_local_origin_failures is not None and not found.split_external_local_origin_errors:
        report.at("consecutiveLocalOriginFailures").error("is read only with splitExternalLocalOriginErrors: true")
    for field, value in (("maxEjectionPercent", found.max_ejection_percent), ("minHealthPercent", found.min_health_percent)):
        if not 0 <= value <= 100:
            report.at(field).error(f"{value} is not a share from 0 to 100")


def check_client_tls(report: Report, tls: ClientTLSSettings) -> None:
    """Which certificates go with which mode."""
    files = (tls.client_certificate, tls.private_key, tls.ca_certificates)
    if tls.insecure_skip_verify and tls.mode in {"SIMPLE", "MUTUAL"}:
        _unchecked(report, tls)
    if tls.mode in {"SIMPLE", "MUTUAL"} and tls.credential_name and any(files):
        report.error("with credentialName no file (clientCertificate, privateKey, caCertificates) may be given")
    elif tls.mode == "MUTUAL" and not tls.credential_name:
        for field, value in (("clientCertificate", tls.client_certificate), ("privateKey", tls.private_key)):
            if not value:
                report.at(field).error("mutual TLS needs a certificate and its key, as files or by credentialName")
    if tls.mode == "ISTIO_MUTUAL" and (any(files) or tls.credential_name):
        report.error("ISTIO_MUTUAL uses the mesh's own certificates; no others may be given")
    if tls.credential_name.startswith("sds://"):
        report.at("credentialName").error('names of external SDS ("sds://") are not for DestinationRules')


def _unchecked(report: Report, tls: ClientTLSSettings) -> None:
    if tls.mode == "SIMPLE" and (tls.ca_certificates or tls.credential_name):
        report.error("insecureSkipVerify checks nothing, so an authority (caCertificates or credentialName) must not be given")
    if tls.mode == "MUTUAL" and tls.ca_certificates:
        report.at("caCertificates").error("insecureSkipVerify checks nothing, so an authority must not be given")
    if tls.subject_alt_names:
        report.at("subjectAltNames").error("insecureSkipVerify checks nothing, so names must not be given")


def _load_balancer(report: Report, settings: LoadBalancerSettings, outliers: OutlierDetection | None) -> None:
    if settings.consistent_hash is not None:
        _hash(report.at("consistentHash"), settings.consistent_hash)
    if settings.locality_lb_setting is not None:
        check_locality(report.at("localityLbSetting"), settings.locality_lb_setting, outliers)
    warmup = settings.warmup
    if warmup is not None:
        _warmup(report.at("warmup"), warmup)
    other = settings.consistent_hash is not None or settings.simple in {"RANDOM", "PASSTHROUGH"}
    if other and (settings.warmup_duration_secs is not None or warmup is not None):
        report.error("a warm-up is for ROUND_ROBIN and LEAST_REQUEST only")
    if settings.simple == "LEAST_CONN":
        report.at("simple").warn("LEAST_CONN is the former name of LEAST_REQUEST")


def _warmup(report: Report, warmup: WarmupConfiguration) -> None:
    if warmup.duration is None:
        report.at("duration").error("Required value: how long a new endpoint takes to get its full share")
    else:
        check_duration(report.at("duration"), warmup.duration)
    if warmup.minimum_percent is not None and not 0 <= warmup.minimum_percent <= 100:
        report.at("minimumPercent").error(f"{warmup.minimum_percent:g} is not a share from 0 to 100")
    if warmup.aggression is not None and warmup.aggression < 1:
        report.at("aggression").error(f"Invalid value: {warmup.aggression:g}: must be 1 or more")


def _hash(report: Report, given: ConsistentHashLB) -> None:
    if not (given.http_header_name or given.http_cookie is not None or given.use_source_ip or given.http_query_parameter_name):
        report.error("what is hashed is required: httpHeaderName, httpCookie, useSourceIp or httpQueryParameterName")
    cookie = given.http_cookie
    if cookie is not None and not cookie.name:
        report.at("httpCookie", "name").error("a cookie needs a name")
    if given.maglev is not None and given.maglev.table_size and not _prime(given.maglev.table_size):
        report.at("maglev", "tableSize").error(f"{given.maglev.table_size}: Envoy needs a prime number")


def _prime(number: int) -> bool:
    return number > 1 and all(number % divisor for divisor in range(2, int(min(number, 5_000_011) ** 0.5) + 1))


def check_locality(report: Report, setting: LocalityLoadBalancerSetting, outliers: OutlierDetection | None) -> None:
    """Shares add up to 100, regions are not their own failover, one way at a time."""
    if setting.distribute and (setting.failover or setting.failover_priority):
        report.error("can not simultaneously specify 'distribute' and 'failover' or 'failoverPriority'")
    if setting.failover and setting.failover_priority and any(_is_topology(each) for each in setting.failover_priority):
        report.error("can not specify 'failover' together with a topology label in 'failoverPriority'")
    if (setting.failover or setting.failover_priority) and outliers is None:
        report.warn("without outlierDetection nothing ever fails over: Envoy does not learn which endpoints fail")
    _shares(report, setting)
    for number, failover in enumerate(setting.failover):
        where = report.at("failover", number)
        if failover.from_ == failover.to:
            where.error(f'"{failover.to}" cannot take over for itself')
        if "/" in failover.from_ + failover.to or "*" in failover.from_ + failover.to:
            where.error("failover is between regions: write their names without zones and wildcards")


def _shares(report: Report, setting: LocalityLoadBalancerSetting) -> None:
    sources = [each.from_ for each in setting.distribute]
    for index, each in enumerate(setting.distribute):
        where = report.at("distribute", index)
        total = sum(each.to.values())
        if any(not weight for weight in each.to.values()):
            where.at("to").error("a share of 0 is none; leave the locality out")
        elif total != 100:
            where.at("to").error(f"the shares must add up to 100; they are {total}")
        if sources.count(each.from_) > 1:
            where.at("from").error(f'"{each.from_}" is given twice')


def _is_topology(text: str) -> bool:
    return text.partition("=")[0] in {
        "topology.kubernetes.io/region",
        "topology.kubernetes.io/zone",
        "topology.istio.io/subzone",
        "topology.istio.io/network",
        "topology.istio.io/cluster",
    }


def _tunnel(report: Report, tunnel: TunnelSettings) -> None:
    if tunnel.protocol.upper() not in {"", "CONNECT", "POST"}:
        report.at("protocol").error(f'"{tunnel.protocol}" is not CONNECT or POST')
    host = tunnel.target_host.removeprefix("[").removesuffix("]")
    if not host:
        report.at("targetHost").error("the host behind the tunnel is required")
    elif not ipnets.is_address(host):
        check_fqdn(report.at("targetHost"), host)
    check_port(report.at("targetPort"), tunnel.target_port)
