"""Clusters of services and of a workload's own ports.

A cluster takes its settings from the port's protocol, the service's resolution and the DestinationRule's policy for the port; how it
speaks TLS follows Istio's automatic mutual TLS unless the rule decides. Endpoints change without touching a cluster.
"""

from msgspec import Struct
from msgspec.structs import replace

from lateen.api.destinationrule import ClientTLSSettings, ConnectionPoolHTTP, ZoneAwareLoadBalancerSetting
from lateen.compile.destinationrules import policy_for
from lateen.compile.locality import preference_of, zones_of
from lateen.compile.plan_policies import plan_breaker, plan_load_balancer, plan_outlier, plan_pool
from lateen.compile.secretnames import CA_SUFFIX, resource_of
from lateen.model.authn import MtlsMode
from lateen.model.clusterplan import ClusterPlan, ClusterTls, EndpointsPlan, LoadBalancerPlan, PassthroughPlan, ZonesPlan
from lateen.model.destination import DestinationPolicy, PortPolicy
from lateen.model.mesh import ClusterDefaults
from lateen.model.names import BLACK_HOLE, DYNAMIC_DNS, INBOUND_PASSTHROUGH, PASSTHROUGH, outbound_cluster, sni
from lateen.model.service import Port, Protocol, Resolution, Service

__all__ = ["BY_NAME", "Reach", "differs_for_gateways", "kind_of", "plan_outbound_clusters", "plan_passthroughs", "with_defaults"]

_MESH_ALPN = ("istio-peer-exchange", "istio")
_LOOPBACK = "127.0.0.6"  # what the sidecar connects to its application from, so that it is not intercepted again
_KINDS = {
    Resolution.STATIC: "EDS",
    Resolution.DNS: "STRICT_DNS",
    Resolution.DNS_ROUND_ROBIN: "LOGICAL_DNS",
    Resolution.NONE: "ORIGINAL_DST",
    Resolution.DYNAMIC_DNS: "DYNAMIC_DNS",
}
BY_NAME = (Resolution.DNS, Resolution.DNS_ROUND_ROBIN)


_BY_NAME = ("STRICT_DNS", "LOGICAL_DNS")
_PROVIDED = ("ORIGINAL_DST", "DYNAMIC_DNS")


def kind_of(service: Service, *, gateway: bool) -> str:
    """Envoy's kind of cluster. A gateway is not sent connections for a service's own addresses, so it needs them all."""
    return "EDS" if gateway and service.resolution == Resolution.NONE else _KINDS[service.resolution]


def differs_for_gateways(service: Service) -> bool:
    """Whether a gateway needs other clusters than a sidecar: nothing detects protocols for it, see also `kind_of`."""
    return service.resolution == Resolution.NONE or any(port.protocol == Protocol.AUTO for port in service.ports)


def plan_passthroughs(mesh: ClusterDefaults, *, gateway: bool) -> tuple[PassthroughPlan, ...]:
    """The clusters that exist in every proxy. A gateway passes nothing on, as nothing is redirected to it."""
    pool, breaker = plan_pool(mesh.connection_pool, mesh), plan_breaker(PortPolicy(connection_pool=mesh.connection_pool))
    black_hole = PassthroughPlan(BLACK_HOLE, BLACK_HOLE, original_destination=False, pool=pool)
    if gateway:
        return (black_hole,)
    outbound = PassthroughPlan(PASSTHROUGH, PASSTHROUGH, original_destination=True, pool=pool, breaker=breaker)
    inbound = replace(outbound, name=INBOUND_PASSTHROUGH, sources=(_LOOPBACK,))
    looked_up = replace(outbound, name=DYNAMIC_DNS, stat_name=DYNAMIC_DNS, original_destination=False, dynamic=True)
    return (black_hole, outbound, inbound, *((looked_up,) if mesh.dynamic_dns else ()))


class Reach(Struct, frozen=True, kw_only=True):
    """What is known of how a service's workloads take connections."""

    identities: tuple[str, ...] = ()  # SPIFFE URIs of its endpoints
    all_mesh: bool = False  # every endpoint has a sidecar
    auto_mtls: bool = True
    mode: MtlsMode = MtlsMode.PERMISSIVE  # of its namespace


def plan_outbound_clusters(
    service: Service,
    rule: DestinationPolicy | None,
    reach: Reach,
    static: dict[tuple[int, str], EndpointsPlan],
    mesh: ClusterDefaults,
    *,
    gateway: bool = False,
) -> dict[str, ClusterPlan]:
    """The clusters of every port and subset by name; `static` holds endpoints of DNS clusters by port and subset.

    A name that stands for no address has no cluster.
    """
    plans: dict[str, ClusterPlan] = {}
    for port in service.ports if service.resolution in _KINDS else ():
        if port.protocol == Protocol.UDP:
            continue
        for subset in ("", *(one.name for one in rule.subsets)) if rule is not None else ("",):
            plan = _outbound(service, port, subset, rule, reach, static.get((port.number, subset)), mesh, gateway=gateway)
            if plan.kind not in _BY_NAME or (plan.endpoints is not None and plan.endpoints.localities):
                plans[plan.name] = plan
    return plans


def _zones(setting: ZoneAwareLoadBalancerSetting | None) -> ZonesPlan | None:
    if setting is None:
        return None
    return ZonesPlan(enabled=setting.enabled is not False, min_endpoints=setting.min_cluster_size)


def _outbound(
    service: Service,
    port: Port,
    subset: str,
    rule: DestinationPolicy | None,
    reach: Reach,
    endpoints: EndpointsPlan | None,
    mesh: ClusterDefaults,
    *,
    gateway: bool,
) -> ClusterPlan:
    policy = with_defaults(policy_for(rule, subset, port.number), mesh)
    kind = kind_of(service, gateway=gateway)
    simple = policy.load_balancer.simple if policy.load_balancer is not None else None
    if simple == "PASSTHROUGH":
        kind = "ORIGINAL_DST"
    original = kind == "ORIGINAL_DST"
    protocol = _protocol(port, policy, mesh, gateway=gateway)
    preference = preference_of(policy, service, mesh)
    return ClusterPlan(
        name=outbound_cluster(port.number, subset, service.hostname),
        kind=kind,  # type: ignore[arg-type]  # the values of _KINDS
        services=((service.name, service.hostname, service.namespace),),
        subset=subset,
        config=rule.config if rule is not None else None,
        external=service.mesh_external and not subset,
        protocol=protocol,  # type: ignore[arg-type]  # one of three
        load_balancer=LoadBalancerPlan(policy="CLUSTER_PROVIDED")
        if original or kind == "DYNAMIC_DNS"
        else plan_load_balancer(policy.load_balancer),
        weighted=preference is not None and preference.weighted and not original,
        zones=None if original else _zones(zones_of(policy, service, mesh)),
        breaker=plan_breaker(policy),
        pool=plan_pool(policy.connection_pool, mesh),
        outlier=plan_outlier(policy.outlier_detection),
        tls=_tls(service, port, subset, _allowed(policy.tls, rule, gateway=gateway), reach, protocol, mesh, original=original),
        proxy_protocol=policy.proxy_protocol.version if policy.proxy_protocol is not None else "",
        dns_refresh=mesh.dns_refresh,
        endpoints=endpoints if kind in _BY_NAME else None,
        owners=((service.origin, service.generation), *(rule.owners if rule is not None else ())),
    )


def with_defaults(policy: PortPolicy, mesh: ClusterDefaults) -> PortPolicy:
    """What the mesh says where the rule does not."""
    return replace(
        policy,
        connection_pool=policy.connection_pool or mesh.connection_pool,
        outlier_detection=policy.outlier_detection or mesh.outlier_detection,
    )


def _allowed(tls: ClientTLSSettings | None, rule: DestinationPolicy | None, *, gateway: bool) -> ClientTLSSettings | None:
    """A Secret's certificate is for gateways, and for the workloads that a rule selects; others connect in the clear."""
    selective = rule is not None and rule.selective
    if tls is None or gateway or selective or not tls.credential_name or tls.mode not in ("SIMPLE", "MUTUAL"):
        return tls
    return ClientTLSSettings(mode="DISABLE")


def _protocol(port: Port, policy: PortPolicy, mesh: ClusterDefaults, *, gateway: bool) -> str:
    """What the cluster speaks; a rule that asks for HTTP/2 is believed for any port, the mesh's wish only for HTTP ports."""
    http = (policy.connection_pool.http if policy.connection_pool is not None else None) or ConnectionPoolHTTP()
    if http.use_client_protocol:
        return "client"
    wish = {"UPGRADE": True, "DO_NOT_UPGRADE": False}.get(http.h2_upgrade_policy, mesh.h2_upgrade and port.protocol.is_http)
    if port.protocol.is_http2 or wish:
        return "http2"
    return "client" if port.protocol == Protocol.AUTO and not gateway else "default"


def _tls(
    service: Service,
    port: Port,
    subset: str,
    tls: ClientTLSSettings | None,
    reach: Reach,
    protocol: str,
    mesh: ClusterDefaults,
    *,
    original: bool,
) -> ClusterTls | None:
    names = tuple(sorted({*service.subject_alt_names, *reach.identities}))
    h2 = ("h2",) if protocol == "http2" else ()
    server = sni(port.number, subset, service.hostname)
    if tls is None:
        return _automatic(service, names, server, h2, reach, original=original)
    if tls.mode == "DISABLE":
        return None
    if tls.mode == "ISTIO_MUTUAL":
        return _mutual("ISTIO_MUTUAL", tls.subject_alt_names or names, tls.sni or server, h2)
    return _foreign(tls, names if service.registry != "Kubernetes" else (), h2, mesh)


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


def _foreign(tls: ClientTLSSettings, known: tuple[str, ...], h2: tuple[str, ...], mesh: ClusterDefaults) -> ClusterTls:
    """TLS to a server outside the mesh; `known` are its names where the rule gives none."""
    if tls.credential_name:
        credential = resource_of(tls.credential_name)
        certificate, root = credential if tls.mode == "MUTUAL" else "", f"{credential}{CA_SUFFIX}"
    else:
        certificate = f"file-cert:{tls.client_certificate}~{tls.private_key}" if tls.mode == "MUTUAL" else ""
        root = f"file-root:{tls.ca_certificates or 'system'}"
    return ClusterTls(
        mode="MUTUAL" if tls.mode == "MUTUAL" else "SIMPLE",
        names=tls.subject_alt_names or known,
        sni=tls.sni,
        alpn=h2,
        certificate=certificate,
        root="" if tls.insecure_skip_verify else root,
        auto_sni=not tls.sni,
        auto_names=not tls.sni and not tls.subject_alt_names and not known and not tls.insecure_skip_verify,
        curves=mesh.ecdh_curves,
        ciphers=mesh.cipher_suites,
        crl=tls.ca_crl,
    )
