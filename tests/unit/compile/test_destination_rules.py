"""DestinationRules: which count, how they merge, what they say of a port."""

from lateen.api.decode import decode_documents
from lateen.api.destinationrule import DestinationRule
from lateen.api.meta import Key
from lateen.compile.destinationrules import head_of_rule, merge_rules, policy_for, rules_for
from lateen.compile.plan_policies import plan_breaker, plan_load_balancer, plan_outlier
from lateen.model.service import ServiceKey

REVIEWS = ServiceKey("default", "reviews.default.svc.cluster.local")


def rule(name: str, namespace: str, spec: str, created: str = "2026-01-01T00:00:00Z") -> DestinationRule:
    """A DestinationRule of a spec."""
    text = (
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\n"
        f"metadata: {{name: {name}, namespace: {namespace}, creationTimestamp: '{created}'}}\nspec: {spec}\n"
    )
    obj = decode_documents(text.encode(), "test.yaml")[0].obj
    assert isinstance(obj, DestinationRule)
    return obj


def chosen(*rules: DestinationRule, namespace: str = "default", selectors: tuple[tuple[tuple[str, str], ...], ...] = ()) -> list[str]:
    heads = [head_of_rule(one, domain="cluster.local", default_export=("*",)) for one in rules]
    return [key.name for key in rules_for(heads, REVIEWS, namespace, selectors, "istio-system")]


def test_the_clients_namespace_comes_before_the_services_and_the_root() -> None:
    """The first place with a rule decides alone; nothing is merged across namespaces."""
    host = "reviews.default.svc.cluster.local"
    client, service, root = (rule(n, ns, f"{{host: {host}}}") for n, ns in (("c", "other"), ("s", "default"), ("r", "istio-system")))
    assert chosen(client, service, root, namespace="other") == ["c"]
    assert chosen(service, root, namespace="other") == ["s"]
    assert chosen(root, namespace="other") == ["r"]
    assert chosen(client, namespace="third") == []


def test_a_rule_that_is_not_exported_counts_only_at_home() -> None:
    """ExportTo "." of the service's namespace hides it from other clients."""
    own = rule("s", "default", "{host: reviews, exportTo: ['.']}")
    assert chosen(own) == ["s"]
    assert chosen(own, namespace="other") == []


def test_the_most_specific_host_wins_inside_a_namespace() -> None:
    """An exact host before a wildcard."""
    wild = rule("w", "default", "{host: '*.default.svc.cluster.local'}", created="2020-01-01T00:00:00Z")
    assert chosen(wild, rule("e", "default", "{host: reviews}")) == ["e"]
    assert chosen(wild) == ["w"]


def test_a_rule_with_a_selector_counts_for_matching_clients_only() -> None:
    """And for those it comes before the rules without one."""
    plain, picky = (
        rule("p", "default", "{host: reviews}"),
        rule("s", "default", "{host: reviews, workloadSelector: {matchLabels: {app: x}}}"),
    )
    assert chosen(plain, picky) == ["p"]
    assert chosen(plain, picky, selectors=((("app", "x"),),)) == ["s"]


def test_rules_for_different_workloads_are_not_merged() -> None:
    """Of two whose selectors both match the older counts, alone."""
    old = rule("old", "default", "{host: reviews, workloadSelector: {matchLabels: {app: x}}}", created="2025-01-01T00:00:00Z")
    new = rule("new", "default", "{host: reviews, workloadSelector: {matchLabels: {version: v1}}}")
    assert chosen(new, old, selectors=((("app", "x"),), (("version", "v1"),))) == ["old"]
    assert chosen(new, old, selectors=((("version", "v1"),),)) == ["new"]


def test_a_rule_joins_an_older_one_only_if_nobody_who_sees_that_would_miss_it() -> None:
    """Rules exported to fewer namespaces stay apart."""
    old = rule("old", "default", "{host: reviews, exportTo: ['.', other]}", created="2025-01-01T00:00:00Z")
    wider = rule("wider", "default", "{host: reviews, exportTo: ['.', other, third]}")
    narrower = rule("narrower", "default", "{host: reviews, exportTo: ['.']}")
    assert chosen(old, wider, narrower) == ["old", "wider"]
    assert chosen(old, wider, narrower, namespace="third") == ["wider"]


def test_rules_of_one_host_are_merged_oldest_first() -> None:
    """Subsets are united, the first policy counts whole, a subset named twice is the older's."""
    old = rule(
        "a", "default", "{host: reviews, trafficPolicy: {loadBalancer: {simple: RANDOM}}, subsets: [{name: v1, labels: {version: v1}}]}"
    )
    new = rule(
        "b",
        "default",
        "{host: reviews, trafficPolicy: {connectionPool: {tcp: {maxConnections: 5}}}, "
        "subsets: [{name: v1, labels: {version: v9}}, {name: v2, labels: {version: v2}}]}",
    )
    merged = merge_rules([old, new])
    assert merged is not None
    assert [(one.name, one.labels["version"]) for one in merged.subsets] == [("v1", "v1"), ("v2", "v2")]
    assert merged.policy is not None
    assert merged.policy.connection_pool is None
    assert [key for key, _ in merged.owners] == [Key("DestinationRule", "default", "a"), Key("DestinationRule", "default", "b")]


def test_settings_of_a_port_replace_instead_of_inheriting() -> None:
    """What a port leaves out is Envoy's default, not the rule's."""
    merged = merge_rules(
        [
            rule(
                "a",
                "default",
                "{host: reviews, trafficPolicy: {loadBalancer: {simple: RANDOM}, connectionPool: {tcp: {maxConnections: 5}}, "
                "portLevelSettings: [{port: {number: 80}, loadBalancer: {simple: ROUND_ROBIN}}]}}",
            )
        ]
    )
    assert plan_load_balancer(policy_for(merged, "", 80).load_balancer).policy == "ROUND_ROBIN"
    assert plan_breaker(policy_for(merged, "", 80)).connections == 2**32 - 1
    assert plan_breaker(policy_for(merged, "", 90)).connections == 5


def test_a_subset_overrides_field_by_field() -> None:
    """The subset's own block replaces the rule's of that name, the others stay."""
    merged = merge_rules(
        [
            rule(
                "a",
                "default",
                "{host: reviews, trafficPolicy: {loadBalancer: {simple: RANDOM}, connectionPool: {tcp: {maxConnections: 5}}}, "
                "subsets: [{name: v1, trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}}]}",
            )
        ]
    )
    policy = policy_for(merged, "v1", 80)
    assert plan_load_balancer(policy.load_balancer).policy == "ROUND_ROBIN"
    assert plan_breaker(policy).connections == 5


def test_zero_means_the_default_and_least_request_is_the_default_balancer() -> None:
    """Istio's API cannot say zero connections."""
    policy = policy_for(
        merge_rules([rule("a", "default", "{host: reviews, trafficPolicy: {connectionPool: {tcp: {maxConnections: 0}}}}")]), "", 80
    )
    assert plan_breaker(policy).connections == 2**32 - 1
    assert plan_load_balancer(None).policy == "LEAST_REQUEST"


def test_without_its_block_nothing_is_ejected() -> None:
    """Outlier detection exists only where the rule has the block."""
    assert plan_outlier(policy_for(merge_rules([rule("a", "default", "{host: reviews}")]), "", 80).outlier_detection) is None
