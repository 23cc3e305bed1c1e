"""What rules of VirtualServices leave unsaid, and where several settings meet."""

import json
from collections.abc import Mapping
from typing import TypeVar

from msgspec import Struct

from lateen.api.decode import decode_message
from lateen.api.destinationrule import DestinationRule
from lateen.api.virtualservice import CorsPolicy, HTTPFaultInjection, HTTPRetry, HTTPRoute, VirtualService
from lateen.compile.destinationrules import load_balancers, merge_rules
from lateen.compile.matches import Place
from lateen.compile.plan_policies import plan_hashes
from lateen.compile.policies import plan_cors, plan_fault, plan_mirrors, plan_retry
from lateen.compile.rules import Lookup, default_route, plan_rules
from lateen.compile.virtualservices import compile_virtual_service
from lateen.model.routeplan import HashPlan, RoutePlan
from lateen.xds.routematch import build_match

T = TypeVar("T", bound=Struct)

HASH = (HashPlan(kind="header", name="x"),)


def typed(type_: type[T], raw: object) -> T:
    """The message of proto JSON."""
    message, problems = decode_message(json.dumps(raw).encode(), type_, "test")
    assert message is not None and not problems
    return message


def routes_of(*http: Mapping[str, object], hashes: tuple[HashPlan, ...] = (), retries: HTTPRetry | None = None) -> tuple[RoutePlan, ...]:
    """The routes of a VirtualService with these rules, on port 80."""
    raw = {"metadata": {"name": "v", "namespace": "default"}, "spec": {"hosts": ["a"], "http": list(http)}}
    routes, problems = compile_virtual_service(
        typed(VirtualService, raw), domain="cluster.local", default_export=(), find=lambda _key: None
    )
    assert routes is not None and not problems
    lookup = Lookup(service=lambda _host: None, hashes=lambda _host, _subset, _port: hashes, retries=retries)
    return plan_rules(routes, Place(port=80), lookup)


def to(host: str, **more: object) -> Mapping[str, object]:
    """A destination."""
    return {"destination": {"host": host}, **more}


def test_one_weight_above_zero_of_several_stays_a_weighted_target() -> None:
    """As istiod writes it; a lone destination is no weighted one, whatever its weight."""
    (several,) = routes_of({"route": [to("a", weight=100), to("b", weight=0)]})
    assert [(target.cluster.split("|")[3], target.weight) for target in several.targets] == [("a.default.svc.cluster.local", 100)]
    assert several.operation == "v:80/*"
    (alone,) = routes_of({"route": [to("a", weight=100)]})
    assert [target.weight for target in alone.targets] == [0]


def test_rules_without_any_weight_lead_nowhere() -> None:
    """Envoy would refuse the whole configuration for a sum of zero."""
    (route,) = routes_of({"route": [to("a"), to("b")]})
    assert [target.cluster for target in route.targets] == ["UnknownService"]


def test_whatever_follows_a_route_for_all_paths_is_left_out() -> None:
    """By prefix or by regular expression."""
    rule = {"route": [to("a")]}
    assert len(routes_of({"match": [{"uri": {"regex": ".*"}}], **rule}, rule)) == 1
    assert len(routes_of({"match": [{"uri": {"regex": ".+"}}], **rule}, rule)) == 2


def test_header_matches_are_sorted_together_with_those_that_must_not_be() -> None:
    """One order by name, then method, authority and scheme."""
    match = {"headers": {"b": {"exact": "1"}}, "withoutHeaders": {"a": {"exact": "1"}}, "method": {"exact": "GET"}}
    (route,) = routes_of({"match": [match], "route": [to("a")]})
    assert [(header.name, header.invert) for header in route.match.headers] == [("a", True), ("b", False), (":method", False)]


def test_the_mesh_says_how_often_to_retry_where_a_rule_does_not() -> None:
    """Also never; a rule's own word wins."""
    rule = {"route": [to("a")]}
    (never,) = routes_of(rule, retries=HTTPRetry(attempts=0))
    assert never.retry is None
    (own,) = routes_of({**rule, "retries": {"attempts": 7}}, retries=HTTPRetry(attempts=0))
    assert own.retry is not None and own.retry.attempts == 7
    assert default_route("c", "a", 80, (), HTTPRetry(attempts=3)).retry == plan_retry(HTTPRetry(attempts=3), hashed=False)


def test_consistent_hashing_lets_a_retry_go_to_the_same_host_unless_told() -> None:
    """For one destination of a rule; neither for several nor without a rule."""
    (one,) = routes_of({"route": [to("a")]}, hashes=HASH)
    (told,) = routes_of({"route": [to("a")], "retries": {"attempts": 1, "retryIgnorePreviousHosts": True}}, hashes=HASH)
    (several,) = routes_of({"route": [to("a", weight=1), to("b", weight=1)]}, hashes=HASH)
    found = [route.retry.other_hosts for route in (one, told, several, default_route("c", "a", 80, HASH)) if route.retry is not None]
    assert found == [False, True, True, True]
    assert several.hashes == HASH * 2


def test_numbers_that_are_no_status_stay_words_of_retry_on() -> None:
    """Envoy is told what it can be told."""
    plan = plan_retry(HTTPRetry(attempts=1, retry_on="5xx,503,999"), hashed=False)
    assert plan is not None
    assert (plan.retry_on, plan.status_codes) == ("5xx,999,retriable-status-codes", (503,))


def test_faults_without_a_percentage_strike_nobody() -> None:
    """As Istio's reference says; shares are cut, not rounded."""
    none = plan_fault(typed(HTTPFaultInjection, {"delay": {"fixedDelay": "1s"}, "abort": {"httpStatus": 500}}))
    assert none is not None and (none.delay_share, none.abort_share) == (None, None)
    some = plan_fault(typed(HTTPFaultInjection, {"abort": {"httpStatus": 500, "percentage": {"value": 0.00019}}}))
    assert some is not None and some.abort_share == 1


def test_cors_forwards_unmatched_preflights_unless_told_to_ignore_them() -> None:
    """And the new list of origins replaces the old one."""
    policy = plan_cors(typed(CorsPolicy, {"allowOrigin": ["a"], "allowOrigins": [{"exact": "b"}]}))
    assert policy is not None
    assert (policy.forward_unmatched_preflights, [origin.value for origin in policy.origins]) == (True, ["b"])
    ignoring = plan_cors(typed(CorsPolicy, {"unmatchedPreflights": "IGNORE"}))
    assert ignoring is not None and ignoring.forward_unmatched_preflights is False


def test_mirror_and_mirrors_both_count() -> None:
    """A share of 0 is no copy; the exact percentage counts before the old one."""
    rule = typed(
        HTTPRoute,
        {
            "mirror": {"host": "a"},
            "mirrorPercentage": {"value": 5},
            "mirrorPercent": 50,
            "mirrors": [{"destination": {"host": "b"}}, {"destination": {"host": "c"}, "percentage": {"value": 0}}],
        },
    )
    assert [(mirror.cluster, mirror.share) for mirror in plan_mirrors(rule, lambda d: d.host)] == [("a", 50_000), ("b", None)]


def test_hashing_is_looked_for_from_the_subsets_port_to_the_whole_rule() -> None:
    """A load balancer without a hash does not hide a wider one that has one."""
    hashing = {"consistentHash": {"httpHeaderName": "wide"}}
    narrow = {"consistentHash": {"httpHeaderName": "narrow"}}
    subsets = [
        {"name": "plain", "trafficPolicy": {"loadBalancer": {"simple": "RANDOM"}}},
        {"name": "port", "trafficPolicy": {"portLevelSettings": [{"port": {"number": 80}, "loadBalancer": narrow}]}},
    ]
    raw = {
        "metadata": {"name": "d", "namespace": "default"},
        "spec": {"host": "a", "trafficPolicy": {"loadBalancer": hashing}, "subsets": subsets},
    }
    rule = merge_rules([typed(DestinationRule, raw)])
    found = {
        (subset, port): next((hashes[0].name for one in load_balancers(rule, subset, port) if (hashes := plan_hashes(one))), "")
        for subset, port in (("", 80), ("plain", 80), ("port", 80), ("port", 0))
    }
    assert found == {("", 80): "wide", ("plain", 80): "wide", ("port", 80): "narrow", ("port", 0): "wide"}


def test_an_exact_empty_text_is_asked_for_as_such() -> None:
    """Not as presence: a header that must not be empty is `withoutHeaders: {x: {exact: ""}}`."""
    match = {"headers": {"x": {"exact": ""}}, "withoutHeaders": {"y": {"exact": ""}, "z": {}}, "queryParams": {"q": {"exact": ""}}}
    (route,) = routes_of({"match": [match], "route": [to("a")]})
    assert [(header.name, header.match.kind, header.invert) for header in route.match.headers] == [
        ("x", "exact", False),
        ("y", "exact", True),
        ("z", "present", True),
    ]
    assert [query.match.kind for query in route.match.queries] == ["exact"]
    printed = build_match(route.match)
    assert [header.string_match.WhichOneof("match_pattern") for header in printed.headers] == ["exact", "exact", None]
