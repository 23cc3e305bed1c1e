"""Clusters of a workload's own ports: what its sidecar took in goes on to the application."""

from collections.abc import Callable, Iterable

from lateen.compile.destinationrules import policy_for
from lateen.compile.inboundports import InboundPort
from lateen.compile.plan_policies import plan_breaker, plan_pool
from lateen.model.clusterplan import ClusterPlan, EndpointsPlan, LoadBalancerPlan, LocalityPlan
from lateen.model.destination import DestinationPolicy, PortPolicy
from lateen.model.endpoint import Endpoint, Health, Locality
from lateen.model.mesh import ClusterDefaults
from lateen.model.names import LOOPBACK, inbound_cluster
from lateen.model.service import Protocol, ServiceKey

__all__ = ["plan_inbound_clusters"]

RuleOf = Callable[[ServiceKey], DestinationPolicy | None]


def plan_inbound_clusters(ports: Iterable[InboundPort], rule_of: RuleOf, mesh: ClusterDefaults) -> tuple[ClusterPlan, ...]:
    """One cluster per port. Of a service's DestinationRule only the connection pool counts here, and a Sidecar's goes before it."""
    return tuple(_cluster(port, rule_of, mesh) for port in ports)


def _cluster(port: InboundPort, rule_of: RuleOf, mesh: ClusterDefaults) -> ClusterPlan:
    first = port.instances[0]
    rule = rule_of(first.service) if port.known else None
    counts = rule is not None and rule.policy is not None
    pool = port.connection_pool or policy_for(rule, "", first.port.number).connection_pool
    endpoint = port.endpoint or ((LOOPBACK, port.number) if mesh.inbound_localhost else None)
    return ClusterPlan(
        name=inbound_cluster(port.number),
        kind="ORIGINAL_DST" if endpoint is None else "STATIC",
        services=_services(port),
        config=rule.config if rule is not None and counts else None,
        inbound=True,
        protocol="http2" if first.port.protocol.is_http2 else "client" if first.port.protocol == Protocol.AUTO else "default",
        load_balancer=LoadBalancerPlan(policy="CLUSTER_PROVIDED" if endpoint is None else "ROUND_ROBIN"),
        breaker=plan_breaker(PortPolicy(connection_pool=pool)),
        pool=plan_pool(pool, mesh),
        endpoints=_assignment(inbound_cluster(port.number), endpoint) if endpoint is not None else None,
        owners=rule.owners if rule is not None and counts else (),
    )


def _services(port: InboundPort) -> tuple[tuple[str, str, str], ...]:
    """The services behind the port, as far as they have it under the same number."""
    if not port.known:
        return ()
    keys = [one.service for one in port.instances if one.port.number == port.instances[0].port.number]
    return tuple(dict.fromkeys((key.hostname.partition(".")[0], key.hostname, key.namespace) for key in keys))


def _assignment(cluster: str, endpoint: tuple[str, int]) -> EndpointsPlan:
    address, number = endpoint
    one = Endpoint(address=address, port=number, service_port=number, health=Health.UNKNOWN)
    return EndpointsPlan(cluster=cluster, localities=(LocalityPlan(locality=Locality(), endpoints=(one,), weight=1),))
