"""Clusters of services and of a workload's own ports.

A cluster takes its settings from the port's protocol, the service's resolution and the DestinationRule's policy for the port; how it
speaks TLS follows Istio's automatic mutual TLS unless the rule decides. Endpoints change without touching a cluster.
"""

from collections.abc import Iterable

from msgspec import Struct

from lateen.api.destinationrule import ClientTLSSettings, ConnectionPoolHTTP
from lateen.compile.destinationrules import policy_for
from lateen.compile.plan_policies import plan_breaker, plan_load_balancer, plan_outlier, plan_pool
from lateen.model.authn import MtlsMode
from lateen.model.clusterplan import ClusterPlan, ClusterTls, EndpointsPlan, LoadBalancerPlan, PassthroughPlan
from lateen.model.destination import DestinationPolicy, PortPolicy
from lateen.model.names import BLACK_HOLE, INBOUND_PASSTHROUGH, PASSTHROUGH, inbound_cluster, outbound_cluster, sni
from lateen.model.scope import ServiceInstance
from lateen.model.service import Port, Protocol, Resolution, Service

__all__ = ["PASSTHROUGHS", "Reach", "differs_for_gateways", "kind_of", "plan_inbound_cluster", "plan_outbound_clusters"]

_MESH_ALPN = ("istio-peer-exchange", "istio")
_LOOPBACK = "127.0.0.6"  # what the sidecar connects to its application from, so that it is not intercepted again
_KINDS = {
    Resolution.STATIC: "EDS",
    Resolution.DNS: "STRICT_DNS",
    Resolution.ALIAS: "STRICT_DNS",
    Resolution.DNS_ROUND_ROBIN: "LOGICAL_DNS",
    Resolution.NONE: "ORIGINAL_DST",
}
PASSTHROUGHS = {
    "gateway": (PassthroughPlan(BLACK_HOLE, BLACK_HOLE, original_destination=False),),
    "sidecar": (
        PassthroughPlan(BLACK_HOLE, BLACK_HOLE, original_destination=False),
        PassthroughPlan(PASSTHROUGH, PASSTHROUGH, original_destination=True),
        PassthroughPlan(INBOUND_PASSTHROUGH, PASSTHROUGH, original_destination=True, sources=(_LOOPBACK,)),
    ),
}


def kind_of(service: Service, *, gateway: bool) -> str:
    """Envoy's kind of cluster. A gateway is not sent connections for a service's own addresses, so it needs them all."""
    return "EDS" if gateway and service.resolution == Resolution.NONE else _KINDS[service.resolution]


def differs_for_gateways(service: Service) -> bool:
    """Whether a gateway needs other clusters than a sidecar: nothing detects protocols for it, see also `kind_of`."""
    return service.resolution == Resolution.NONE or any(port.protocol == Protocol.AUTO for port in service.ports)


class Reach(Struct, frozen=True, kw_only=True):
    """What is known of how a service's workloads take connections."""

    identities: tuple[str, ...] = ()  # SPIFFE URIs of its endpoints
    all_mesh: bool = False  # every endpoint has a sidecar
    auto_mtls: bool = True
    mode: MtlsMode = MtlsMode.PERMISSIVE  # of its namespace


def plan_outbound_clusters(
    service: Service, rule: DestinationPolicy | None, reach: Reach, static: dict[tuple[int, str], EndpointsPlan], *, gateway: bool = False
) -> dict[str, ClusterPlan]:
    """The clusters of every port and subset by name; `static` holds endpoints of DNS clusters by port and subset."""
    plans: dict[str, ClusterPlan] = {}
    for port in service.ports if service.resolution in _KINDS else ():
        if port.protocol == Protocol.UDP:
            continue
        for subset in ("", *(one.name for one in rule.subsets)) if rule is not None else ("",):
            plan = _outbound(service, port, subset, rule, reach, static.get((port.number, subset)), gateway=gateway)
            plans[plan.name] = plan
    return plans


def _outbound(
    service: Service,
    port: Port,
    subset: str,
    rule: DestinationPolicy | None,
    reach: Reach,
    endpoints: EndpointsPlan | None,
    *,
    gateway: bool,
) -> ClusterPlan:
    policy = policy_for(rule, subset, port.number)
    kind = kind_of(service, gateway=gateway)
    simple = policy.load_balancer.simple if policy.load_balancer is not None else None
    if simple == "PASSTHROUGH":
        kind = "ORIGINAL_DST"
    original = kind == "ORIGINAL_DST"
    protocol = _protocol(port, policy, gateway=gateway)
    return ClusterPlan(
        name=outbound_cluster(port.number, subset, service.hostname),
        kind=kind,  # type: ignore[arg-type]  # the values of _KINDS
        services=((service.name, service.hostname, service.namespace),),
        subset=subset,
        config=rule.config if rule is not None else None,
        external=service.mesh_external,
        protocol=protocol,  # type: ignore[arg-type]  # one of three
        load_balancer=LoadBalancerPlan(policy="CLUSTER_PROVIDED") if original else plan_load_balancer(policy.load_balancer),
        breaker=plan_breaker(policy),
        pool=plan_pool(policy.connection_pool),
        outlier=plan_outlier(policy.outlier_detection),
        tls=_tls(service, port, subset, policy.tls, reach, protocol, original=original),
        proxy_protocol=policy.proxy_protocol.version if policy.proxy_protocol is not None else "",
        endpoints=endpoints if kind in ("STRICT_DNS", "LOGICAL_DNS") else None,
        owners=rule.owners if rule is not None else (),
    )


def _protocol(port: Port, policy: PortPolicy, *, gateway: bool) -> str:
    http = (policy.connection_pool.http if policy.connection_pool is not None else None) or ConnectionPoolHTTP()
    if port.protocol.is_http2 or (http.h2_upgrade_policy == "UPGRADE" and (port.protocol.is_http or port.protocol == Protocol.AUTO)):
        return "http2"
    return (
        "client" if (port.protocol == Protocol.AUTO and not gateway) or (http.use_client_protocol and port.protocol.is_http) else "default"
    )


def _tls(
    service: Service, port: Port, subset: str, tls: ClientTLSSettings | None, reach: Reach, protocol: str, *, original: bool
) -> ClusterTls | None:
    names = service.subject_alt_names or reach.identities
    h2 = ("h2",) if protocol == "http2" else ()
    server = sni(port.number, subset, service.hostname)
    if tls is None:
        return _automatic(service, names, server, h2, reach, original=original)
    if tls.mode == "DISABLE":
        return None
    if tls.mode == "ISTIO_MUTUAL":
        return _mutual("ISTIO_MUTUAL", tls.subject_alt_names or names, tls.sni or server, h2)
    return _foreign(tls, service, h2)


def _automatic(
    service: Service, names: tuple[str, ...], server: str, h2: tuple[str, ...], reach: Reach, *, original: bool
) -> ClusterTls | None:
    if service.mesh_external or not reach.auto_mtls or reach.mode == MtlsMode.DISABLE:
        return None
    if original:
        return _mutual("ISTIO_MUTUAL", names, server, h2) if reach.all_mesh else None
    return _mutual("AUTO", names, server, h2)


def _mutual(mode: str, names: tuple[str, ...], server: str, h2: tuple[str, ...]) -> ClusterTls:
    return ClusterTls(
        mode="AUTO" if mode == "AUTO" else "ISTIO_MUTUAL",
        names=names,
        sni=server,
        alpn=(*_MESH_ALPN, *h2),
        certificate="default",
        root="ROOTCA",
    )


def _foreign(tls: ClientTLSSettings, service: Service, h2: tuple[str, ...]) -> ClusterTls:
    names = tls.subject_alt_names or service.subject_alt_names
    if tls.credential_name:
        certificate = f"kubernetes://{tls.credential_name}" if tls.mode == "MUTUAL" else ""
        root = f"kubernetes://{tls.credential_name}-cacert"
    else:
        certificate = f"file-cert:{tls.client_certificate}~{tls.private_key}" if tls.mode == "MUTUAL" else ""
        root = f"file-root:{tls.ca_certificates or 'system'}"
    return ClusterTls(
        mode="MUTUAL" if tls.mode == "MUTUAL" else "SIMPLE",
        names=names,
        sni=tls.sni,
        alpn=h2,
        certificate=certificate,
        root="" if tls.insecure_skip_verify else root,
        auto_sni=not tls.sni,
        auto_names=not tls.sni and not names and not tls.insecure_skip_verify,
    )


def plan_inbound_cluster(target: int, instances: Iterable[ServiceInstance], rule: DestinationPolicy | None) -> ClusterPlan:
    """The cluster of a port of the workload: what arrived goes on to the address it was sent to."""
    instances = tuple(instances)
    first = instances[0]
    policy = policy_for(rule, "", first.port.number)
    pool = PortPolicy(connection_pool=policy.connection_pool)
    counts = rule is not None and rule.policy is not None
    services = dict.fromkeys((one.service.hostname.partition(".")[0], one.service.hostname, one.service.namespace) for one in instances)
    return ClusterPlan(
        name=inbound_cluster(target),
        kind="ORIGINAL_DST",
        services=tuple(services),
        config=rule.config if rule is not None and counts else None,
        inbound=True,
        protocol="http2" if first.port.protocol.is_http2 else "client" if first.port.protocol == Protocol.AUTO else "default",
        load_balancer=LoadBalancerPlan(policy="CLUSTER_PROVIDED"),
        breaker=plan_breaker(pool),
        pool=plan_pool(policy.connection_pool),
        owners=rule.owners if rule is not None and counts else (),
    )
