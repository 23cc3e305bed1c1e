"""DestinationRules field by field on a real Envoy, with servers that say where they are."""

import re
from collections import Counter

import pytest

from lateen.testing.liveenvoy import LiveEnvoy
from lateen.testing.manifests import rule, service
from lateen.testing.yard import Dial, Heard, Server

pytestmark = [pytest.mark.envoy, pytest.mark.netns, pytest.mark.slow]

WEB = service("web", 1, endpoints=("10.0.1.1", "10.0.1.2", "10.0.1.3"))
WEB_CALL = Dial(address="10.96.0.1", port=80, redirect=15001, host="web")
DB_CALL = Dial(address="10.96.0.3", port=3306, redirect=15001, protocol="tcp")
DB = service("db", 3, port=3306, target=9000, kind="tcp")


def servers(heard: list[Heard]) -> Counter[str]:
    """How many calls each server answered."""
    return Counter(one.json()["server"].partition(":")[0] for one in heard)


def test_load_balancers_share_requests_out(sidecar: LiveEnvoy) -> None:
    """ROUND_ROBIN exactly, RANDOM and LEAST_REQUEST to all, PASSTHROUGH to the address that was dialled."""
    counts = {}
    for simple in ("ROUND_ROBIN", "RANDOM", "LEAST_REQUEST"):
        sidecar.obey(WEB, rule(f"{{loadBalancer: {{simple: {simple}}}}}"))
        counts[simple] = servers(sidecar.ask(*[WEB_CALL] * 30))
    assert counts["ROUND_ROBIN"] == {"10.0.1.1": 10, "10.0.1.2": 10, "10.0.1.3": 10}
    assert [len(counts[simple]) for simple in ("RANDOM", "LEAST_REQUEST")] == [3, 3]
    sidecar.obey(DB, rule("{loadBalancer: {simple: PASSTHROUGH}}", host="db"))
    sidecar.serve(Server(address="10.96.0.3", port=3306, kind="tcp"))
    assert sidecar.ask(DB_CALL)[0].body.startswith("10.96.0.3:3306")


@pytest.mark.parametrize("table", ["", ", ringHash: {minimumRingSize: 2048}", ", maglev: {tableSize: 1021}"])
def test_equal_requests_go_to_one_server(sidecar: LiveEnvoy, table: str) -> None:
    """By query, by source, and by a cookie that Envoy makes up; different values are spread."""

    def spread(policy: str, *calls: Dial) -> list[set[str]]:
        sidecar.obey(WEB, rule(f"{{loadBalancer: {{consistentHash: {{{policy}{table}}}}}}}"))
        return [set(servers(sidecar.ask(*[call] * 3))) for call in calls]

    queries = [Dial(address="10.96.0.1", port=80, redirect=15001, host="web", target=f"/?user={number}") for number in range(10)]
    found = spread("httpQueryParameterName: user", *queries)
    assert [len(one) for one in found] == [1] * 10
    assert len(set.union(*found)) == 3
    assert [len(one) for one in spread("useSourceIp: true", WEB_CALL)] == [1]
    sidecar.obey(WEB, rule(f"{{loadBalancer: {{consistentHash: {{httpCookie: {{name: me, ttl: 60s}}{table}}}}}}}"))
    first = sidecar.ask(WEB_CALL)[0]
    cookie = first.headers["set-cookie"].partition(";")[0]
    assert re.match('me="?.+', cookie)
    again = Dial(address="10.96.0.1", port=80, redirect=15001, host="web", headers=(("cookie", cookie),))
    assert servers([first, *sidecar.ask(*[again] * 6)]).most_common(1)[0][1] == 7


def test_settings_of_a_port_replace_the_others(sidecar: LiveEnvoy) -> None:
    """The pool of port 80 counts there alone, and there nothing of the general one."""
    other = service("web2", 2)
    limit = "{tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 1}}"
    both = f"{{connectionPool: {limit}, portLevelSettings: [{{port: {{number: 80}}, loadBalancer: {{simple: RANDOM}}}}]}}"
    slow = [Dial(address="10.96.0.2", port=80, redirect=15001, host="web2", target="/after/0.3")] * 3
    sidecar.obey(other, rule(f"{{connectionPool: {limit}}}", host="web2"))
    assert {heard.status for heard in sidecar.ask(*slow, together=True)} == {200, 503}
    sidecar.obey(other, rule(both, host="web2"))
    assert [heard.status for heard in sidecar.ask(*slow, together=True)] == [200, 200, 200]


def test_a_subset_overrides_field_by_field(sidecar: LiveEnvoy) -> None:
    """A subset's own balancer counts in it, its rule's pool too."""
    subset = ", subsets: [{name: all, labels: {}, trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}}]"
    limit = "{tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 1}}"
    to_subset = """---
kind: VirtualService
apiVersion: networking.istio.io/v1
metadata: {name: web, namespace: default}
spec: {hosts: [web], http: [{retries: {attempts: 0}, route: [{destination: {host: web, subset: all}}]}]}
"""
    sidecar.obey(WEB, to_subset, rule(f"{{loadBalancer: {{simple: RANDOM}}, connectionPool: {limit}}}", more=subset))
    assert servers(sidecar.ask(*[WEB_CALL] * 30)) == {"10.0.1.1": 10, "10.0.1.2": 10, "10.0.1.3": 10}
    slow = [Dial(address="10.96.0.1", port=80, redirect=15001, host="web", target="/after/0.3")] * 8
    assert 503 in [heard.status for heard in sidecar.ask(*slow, together=True)]


def test_a_rule_counts_for_whom_it_is_meant(sidecar: LiveEnvoy) -> None:
    """By `workloadSelector`, by `exportTo`, and by the order of namespaces: the client's, the service's, the root."""
    one = "{loadBalancer: {consistentHash: {useSourceIp: true}}}"  # all calls of this client reach one server
    for selector, sticky in (("client", True), ("other", False)):
        sidecar.obey(WEB, rule(one, more=f", workloadSelector: {{matchLabels: {{app: {selector}}}}}"))
        assert (len(servers(sidecar.ask(*[WEB_CALL] * 8))) == 1) == sticky
    shop = service("shop", 2, namespace="shops", endpoints=("10.0.2.1", "10.0.2.2", "10.0.2.3"))
    call = Dial(address="10.96.0.2", port=80, redirect=15001, host="shop.shops")
    host, even = "shop.shops.svc.cluster.local", "{loadBalancer: {simple: ROUND_ROBIN}}"
    of_service = rule(one, host=host, namespace="shops")
    for documents, sticky in (
        ((of_service,), True),
        ((rule(one, host=host, namespace="shops", more=", exportTo: [shops]"),), False),
        ((of_service, rule(even, host=host)), False),
        ((rule(even, host=host, namespace="istio-system"), of_service), True),
        ((rule(one, host=host, namespace="istio-system"),), True),
        ((rule(one, host=host, namespace="elsewhere"),), False),
        ((rule(even, host="*.svc.cluster.local"), rule(one, host=host, name="exact")), True),
    ):
        sidecar.obey(shop, *documents)
        assert (len(servers(sidecar.ask(*[call] * 8))) == 1) == sticky, documents


def test_what_the_mesh_sets_counts_where_no_rule_does(sidecar: LiveEnvoy) -> None:
    """`defaultTrafficPolicy` block by block."""
    mesh = "defaultTrafficPolicy: {connectionPool: {tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 1}}}"
    slow = [Dial(address="10.96.0.2", port=80, redirect=15001, host="web2", target="/after/0.3")] * 3
    other = service("web2", 2)
    sidecar.obey(other, rule("{loadBalancer: {simple: RANDOM}}", host="web2"), mesh=mesh)
    assert {heard.status for heard in sidecar.ask(*slow, together=True)} == {200, 503}
    sidecar.obey(other, rule("{connectionPool: {tcp: {maxConnections: 100}}}", host="web2"), mesh=mesh)
    assert [heard.status for heard in sidecar.ask(*slow, together=True)] == [200, 200, 200]


def test_the_proxy_protocol_goes_before_the_bytes(sidecar: LiveEnvoy) -> None:
    """The server reads the client's address first, in version 1 as text."""
    sidecar.obey(DB, rule("{proxyProtocol: {version: V1}}", host="db"))
    heard, log = (seen := sidecar.call(DB_CALL)[0]).heard, seen.log
    assert log is not None
    source = log.source.partition(":")[0]
    assert f"heard PROXY TCP4 {source} 10.96.0.3 " in heard.body


def test_a_tunnel_asks_a_proxy_for_the_connection(sidecar: LiveEnvoy) -> None:
    """CONNECT names the target; then the bytes follow."""
    proxy = service("proxy", 4, port=3128, target=3128, kind="tcp")
    through = """---
kind: VirtualService
apiVersion: networking.istio.io/v1
metadata: {name: db, namespace: default}
spec: {hosts: [db], tcp: [{route: [{destination: {host: proxy, port: {number: 3128}}}]}]}
"""
    sidecar.serve(Server(address="10.0.4.1", port=3128, kind="connect"))
    sidecar.obey(DB, proxy, through, rule("{tunnel: {targetHost: far.example.com, targetPort: 5432}}", host="proxy"))
    assert sidecar.ask(DB_CALL)[0].body == "CONNECT far.example.com:5432 HTTP/1.1 then hello\n"


def test_retries_have_a_budget(sidecar: LiveEnvoy) -> None:
    """Three more tries of each request without one; with a budget of nothing but one at a time, some are not tried again."""
    sidecar.serve(Server(address="10.0.7.1", port=8081, status=503))
    retries = """---
kind: VirtualService
apiVersion: networking.istio.io/v1
metadata: {name: bad, namespace: default}
spec: {hosts: [bad], http: [{retries: {attempts: 3, retryOn: "5xx", backoff: 1ms}, route: [{destination: {host: bad}}]}]}
"""
    bad = service("bad", 7, target=8081)
    call = Dial(address="10.96.0.7", port=80, redirect=15001, host="bad")
    sidecar.obey(bad, retries)
    assert sidecar.ask(call)[0].status == 503
    assert counted(sidecar, "upstream_rq_retry") == 3
    sidecar.obey(bad, retries, rule("{retryBudget: {percent: 0, minRetryConcurrency: 1}}", host="bad"))
    slow = Dial(address="10.96.0.7", port=80, redirect=15001, host="bad", target="/after/0.05")
    sidecar.ask(*[slow] * 8, together=True)
    assert counted(sidecar, "upstream_rq_retry_overflow") > 0


def test_new_servers_warm_up(sidecar: LiveEnvoy) -> None:
    """A server that comes to one that has warmed up gets less than its share at first."""
    warm = rule("{loadBalancer: {simple: ROUND_ROBIN, warmup: {duration: 3s, minimumPercent: 1}}}")
    sidecar.obey(service("warm", 8, endpoints=("10.0.8.1",)), warm.replace("'web'", "warm"))
    call = Dial(address="10.96.0.8", port=80, redirect=15001, host="warm")
    sidecar.ask(Dial(address="10.96.0.8", port=80, redirect=15001, host="warm", target="/after/3.1"))
    sidecar.obey(service("warm", 8, endpoints=("10.0.8.1", "10.0.8.2")), warm.replace("'web'", "warm"))
    assert servers(sidecar.ask(*[call] * 40, together=True))["10.0.8.2"] < 18


def counted(envoy: LiveEnvoy, what: str) -> int:
    """One of the counters of the clusters of `bad`."""
    return sum(envoy.statistics(f"cluster.outbound.*bad.*{what}$").values())


LABELLED = """---
kind: ServiceEntry
apiVersion: networking.istio.io/v1
metadata: {name: many, namespace: default}
spec:
  hosts: [many.local]
  addresses: [10.96.0.7]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{name: http, number: 80, protocol: HTTP, targetPort: 8080}]
  endpoints: [{address: 10.0.7.1, labels: {version: v1}}, {address: 10.0.7.2, labels: {version: v2}}]
---
kind: VirtualService
apiVersion: networking.istio.io/v1
metadata: {name: many, namespace: default}
spec:
  hosts: [many.local]
  http:
  - {name: second, match: [{uri: {prefix: /2}}], route: [{destination: {host: many.local, subset: v2}}]}
  - {name: first, route: [{destination: {host: many.local, subset: v1}}]}
"""


def test_rules_of_one_host_are_one(sidecar: LiveEnvoy) -> None:
    """Subsets of several rules are all there, one that two name is the older's, and the younger's policy counts not at all."""

    def with_subsets(name: str, year: int, policy: str, *subsets: tuple[str, str]) -> str:
        listed = ", ".join(f"{{name: {subset}, labels: {{version: {version}}}}}" for subset, version in subsets)
        text = rule(policy, host="many.local", name=name, more=f", subsets: [{listed}]")
        return text.replace("namespace: default}", f"namespace: default, creationTimestamp: '{year}-01-01T00:00:00Z'}}")

    younger = with_subsets("younger", 2026, "{connectionPool: {http: {h2UpgradePolicy: UPGRADE}}}", ("v1", "v2"), ("v2", "v2"))
    older = with_subsets("older", 2025, "{loadBalancer: {simple: RANDOM}}", ("v1", "v1"))
    sidecar.obey(LABELLED, younger, older)
    calls = [Dial(address="10.96.0.7", port=80, redirect=15001, host="many.local", target=target) for target in ("/1", "/1", "/2", "/2")]
    seen = sidecar.call(*calls)
    assert servers([one.heard for one in seen]) == {"10.0.7.1": 2, "10.0.7.2": 2}
    assert [one.log.route for one in seen if one.log is not None] == ["first", "first", "second", "second"]
