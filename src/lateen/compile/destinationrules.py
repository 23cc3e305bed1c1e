"""DestinationRules: which count for a client and a host, how several are merged, what they say of a port.

Looked for in the client's namespace (not when that is the root namespace), then the service's, then the root namespace; the first with
a rule for the host decides alone. Inside it the most specific host counts; rules for the same host are merged, the oldest first.
"""

from collections.abc import Iterable, Sequence

from lateen.api.destinationrule import ClientTLSSettings, DestinationRule, LoadBalancerSettings, PortTrafficPolicy, Subset, TrafficPolicy
from lateen.api.meta import Key
from lateen.compile.locality import labels_asked
from lateen.compile.secretnames import CA_SUFFIX, resource_of
from lateen.compile.virtualservices import exported_to
from lateen.model.destination import DestinationPolicy, PortPolicy, RuleHead
from lateen.model.scope import Selector
from lateen.model.service import ServiceKey
from lateen.util.hosts import matches, more_specific_first, resolve
from lateen.util.selectors import canonical

__all__ = ["credentials_of", "head_of_rule", "load_balancers", "merge_rules", "policy_for", "rules_for"]


def head_of_rule(rule: DestinationRule, *, domain: str, default_export: tuple[str, ...]) -> RuleHead:
    """The head of `rule`; a short host is of the rule's own namespace."""
    meta, spec = rule.metadata, rule.spec
    selector = canonical(spec.workload_selector.match_labels) if spec.workload_selector is not None else ()
    return RuleHead(
        key=Key("DestinationRule", meta.namespace, meta.name),
        age=(meta.creation_timestamp, meta.name, meta.namespace),
        host=resolve(spec.host, meta.namespace, domain),
        export_to=exported_to(spec.export_to or default_export, meta.namespace),
        selector=selector,
        near=tuple(sorted({name for settings in _balancers(rule) for name in _labels_asked(settings)})),
        credentials=not selector and any(settings.credential_name for settings in _tls_settings(rule)),
    )


def _policies(rule: DestinationRule) -> Iterable[TrafficPolicy | PortTrafficPolicy]:
    """All policies of a rule, whatever they are for."""
    policies = [rule.spec.traffic_policy, *(subset.traffic_policy for subset in rule.spec.subsets)]
    for policy in (one for one in policies if one is not None):
        yield policy
        yield from policy.port_level_settings


def _tls_settings(rule: DestinationRule) -> Iterable[ClientTLSSettings]:
    return (policy.tls for policy in _policies(rule) if policy.tls is not None)


def _balancers(rule: DestinationRule) -> Iterable[LoadBalancerSettings]:
    return (policy.load_balancer for policy in _policies(rule) if policy.load_balancer is not None)


def rules_for(
    heads: Iterable[RuleHead], service: ServiceKey, namespace: str, selectors: tuple[Selector, ...], root: str
) -> tuple[Key, ...]:
    """The rules that count for clients of `namespace`, oldest first; `heads` are all whose host covers the service's."""
    fitting = [head for head in heads if matches(head.host, service.hostname)]
    places = (namespace if namespace != root else "", service.namespace, root)
    for number, place in enumerate(places):
        found = [head for head in fitting if place and head.key.namespace == place and _seen(head, namespace, own=number == 0)]
        specific = _most_specific(found)
        first = next((head for head in specific if head.selector in selectors), None)
        first = first or next((head for head in specific if not head.selector), None)
        if first is not None:
            return tuple(head.key for head in specific if _joins(head, first))
    return ()


def _joins(head: RuleHead, first: RuleHead) -> bool:
    """Whether a rule adds to the oldest that counts: it is for the same workloads, and all who see the oldest see it too."""
    return head.selector == first.selector and set(first.export_to) <= set(head.export_to)


def _seen(head: RuleHead, namespace: str, *, own: bool) -> bool:
    return own or "*" in head.export_to or namespace in head.export_to


def _most_specific(heads: Sequence[RuleHead]) -> Sequence[RuleHead]:
    if not heads:
        return ()
    host = min((head.host for head in heads), key=more_specific_first)
    return sorted((head for head in heads if head.host == host), key=lambda head: head.age)


def merge_rules(rules: Sequence[DestinationRule]) -> DestinationPolicy | None:
    """Rules of one host, oldest first, as one."""
    if not rules:
        return None
    subsets: dict[str, Subset] = {}
    for rule in rules:
        for subset in rule.spec.subsets:
            subsets.setdefault(subset.name, subset)
    first = rules[0].metadata
    return DestinationPolicy(
        config=Key("DestinationRule", first.namespace, first.name),
        host=rules[0].spec.host,
        policy=next((rule.spec.traffic_policy for rule in rules if rule.spec.traffic_policy is not None), None),
        subsets=tuple(subsets.values()),
        selective=rules[0].spec.workload_selector is not None,
        owners=tuple((Key("DestinationRule", r.metadata.namespace, r.metadata.name), r.metadata.generation) for r in rules),
    )


def policy_for(rule: DestinationPolicy | None, subset: str, port: int) -> PortPolicy:
    """What counts for a port: the rule's policy, the subset's over it field by field, and last what is said of that port.

    Settings of a port replace load balancer, pool, ejection and TLS as a whole: what they leave out is Envoy's default.
    """
    if rule is None:
        return PortPolicy()
    base = _of_port(rule.policy, port)
    own = rule.subset(subset) if subset else None
    if own is None or own.traffic_policy is None:
        return base
    over = own.traffic_policy
    merged = PortPolicy(
        load_balancer=over.load_balancer or base.load_balancer,
        connection_pool=over.connection_pool or base.connection_pool,
        outlier_detection=over.outlier_detection or base.outlier_detection,
        tls=over.tls or base.tls,
        tunnel=over.tunnel or base.tunnel,
        proxy_protocol=over.proxy_protocol or base.proxy_protocol,
        retry_budget=over.retry_budget or base.retry_budget,
    )
    return _with_port(merged, over, port)


def _labels_asked(settings: LoadBalancerSettings) -> tuple[str, ...]:
    return (*labels_asked(settings.locality_lb_setting), *labels_asked(settings.zone_aware_lb_setting))


def load_balancers(rule: DestinationPolicy | None, subset: str, port: int) -> Iterable[LoadBalancerSettings | None]:
    """What the rule says of load balancing, the most specific first; for what is looked at part by part, as consistent hashing."""
    own = rule.subset(subset) if rule is not None and subset else None
    for policy in (own.traffic_policy if own is not None else None, rule.policy if rule is not None else None):
        if policy is not None:
            yield next((one.load_balancer for one in policy.port_level_settings if port and _number(one) == port), None)
            yield policy.load_balancer


def _of_port(policy: TrafficPolicy | None, port: int) -> PortPolicy:
    if policy is None:
        return PortPolicy()
    whole = PortPolicy(
        load_balancer=policy.load_balancer,
        connection_pool=policy.connection_pool,
        outlier_detection=policy.outlier_detection,
        tls=policy.tls,
        tunnel=policy.tunnel,
        proxy_protocol=policy.proxy_protocol,
        retry_budget=policy.retry_budget,
    )
    return _with_port(whole, policy, port)


def _with_port(policy: PortPolicy, source: TrafficPolicy, port: int) -> PortPolicy:
    own = next((one for one in source.port_level_settings if _number(one) == port), None)
    if own is None:
        return policy
    return PortPolicy(
        load_balancer=own.load_balancer,
        connection_pool=own.connection_pool,
        outlier_detection=own.outlier_detection,
        tls=own.tls,
        tunnel=policy.tunnel,
        proxy_protocol=policy.proxy_protocol,
        retry_budget=policy.retry_budget,
    )


def credentials_of(rule: DestinationRule) -> frozenset[str]:
    """The Secrets, by SDS resource, that clusters of the rule take certificates from."""
    names = set()
    for settings in _tls_settings(rule):
        if settings.credential_name and settings.mode in ("SIMPLE", "MUTUAL"):
            resource = resource_of(settings.credential_name)
            names.add(f"{resource}{CA_SUFFIX}")
            names |= {resource} if settings.mode == "MUTUAL" else set()
    return frozenset(names)


def _number(settings: PortTrafficPolicy) -> int:
    return settings.port.number if settings.port is not None else 0
