"""EnvoyFilters on real Envoys: what they add acts, and one that Envoy refuses holds nothing up."""

import threading
from collections import Counter

import pytest

from lateen.testing.mesh import Ask, Mesh
from lateen.testing.waiting import wait_until

pytestmark = [pytest.mark.envoy, pytest.mark.netns, pytest.mark.slow]

HCM = "envoy.filters.network.http_connection_manager"
HEAD = """
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: %s}
spec:
  workloadSelector: {labels: {app: %s}}
  configPatches:
"""
BEFORE_ROUTER = f"""
    - applyTo: HTTP_FILTER
      match:
        context: SIDECAR_INBOUND
        listener: {{filterChain: {{filter: {{name: {HCM}, subFilter: {{name: envoy.filters.http.router}}}}}}}}
      patch:
        operation: INSERT_BEFORE
        value:
"""
LUA = """          name: envoy.filters.http.lua
          typed_config:
            "@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua
            default_source_code:
              inline_string: |
"""
SERVER = f"""{HEAD % ("httpbin", "httpbin")}{BEFORE_ROUTER}{LUA}
                function envoy_on_request(handle)
                  if handle:headers():get("x-pot") then handle:respond({{[":status"] = "418"}}, "short and stout") end
                end
                function envoy_on_response(handle) handle:headers():add("x-lua", "yes") end
{BEFORE_ROUTER}          name: envoy.filters.http.local_ratelimit
          typed_config:
            "@type": type.googleapis.com/udpa.type.v1.TypedStruct
            type_url: type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit
            value:
              stat_prefix: http_local_rate_limiter
              token_bucket: {{max_tokens: 1, tokens_per_fill: 1, fill_interval: 3600s}}
              filter_enabled: {{runtime_key: local_rate_limit_enabled, default_value: {{numerator: 100, denominator: HUNDRED}}}}
              filter_enforced: {{runtime_key: local_rate_limit_enforced, default_value: {{numerator: 100, denominator: HUNDRED}}}}
    - applyTo: LISTENER_FILTER
      match: {{context: SIDECAR_INBOUND, listener: {{listenerFilter: nobody}}}}
      patch: {{operation: REMOVE}}
"""
CLIENT = (
    HEAD % ("curl", "curl")
    + """
    - applyTo: HTTP_ROUTE
      match: {context: SIDECAR_OUTBOUND, routeConfiguration: {vhost: {name: "helloworld.default.svc.cluster.local:5000"}}}
      patch:
        operation: INSERT_FIRST
        value: {match: {path: /pot}, direct_response: {status: 418, body: {inline_string: from the client}}}
    - applyTo: CLUSTER
      match: {context: SIDECAR_OUTBOUND, cluster: {service: httpbin.default.svc.cluster.local}}
      patch: {operation: MERGE_AND_REPLACE_LIST, value: {circuit_breakers: {thresholds: [{max_connections: 77}]}}}
    - applyTo: NETWORK_FILTER
      match: {context: SIDECAR_OUTBOUND, listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager}}}}
      patch:
        operation: MERGE
        value:
          typed_config:
            "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
            server_name: patched
            server_header_transformation: OVERWRITE
"""
)
DEADLY = f"{HEAD % ('deadly', 'httpbin')}{BEFORE_ROUTER}{LUA}                os.exit(1)\n"
REFUSED = f"{HEAD % ('refused', 'httpbin')}{BEFORE_ROUTER}{LUA}                this is no Lua\n"
GOOD = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: good-%d}
spec:
  hosts: [good-%d.example.com]
  http: [{directResponse: {status: 200, body: {string: "%d"}}}]
"""


def condition(mesh: Mesh, kind: str, name: str, wanted: str) -> tuple[str, str]:
    """Status and message of a condition, once it is there."""

    def found() -> bool:
        return wanted in mesh.conditions(kind, name)

    wait_until(found, seconds=10, what=f"{wanted} of {name}")
    return mesh.conditions(kind, name)[wanted]


def restarts(mesh: Mesh, app: str) -> list[object]:
    """How often each container of the app's pods was started again."""
    pods = [pod["status"] for pod in mesh.objects("pods") if pod["metadata"]["labels"].get("app") == app]
    return [container["restartCount"] for status in pods for container in status["containerStatuses"]]


def test_changes_act_where_they_say(mesh: Mesh) -> None:
    """Lua and a rate limit at the server, routes, clusters and the connection manager at the client; what finds no place is told."""
    curl = mesh.pod("curl")
    with mesh.applied(SERVER, CLIENT):
        seen = mesh.calls_from(
            curl,
            [Ask("http://httpbin:8000/get"), *[Ask("http://httpbin:8000/get", headers=("x-pot:1",))] * 2, Ask("http://httpbin:8000/get")],
        )
        assert [reply.status for reply in seen] == [200, 418, 418, 429]
        assert (seen[0].headers["x-lua"], seen[0].headers["server"], seen[1].body) == ("yes", "patched", "short and stout")
        assert mesh.call_from(curl, "http://helloworld:5000/pot")[0].body == "from the client"
        clusters = mesh.must("exec", curl, "-c", "istio-proxy", "--", "pilot-agent", "request", "GET", "clusters")
        assert "outbound|8000||httpbin.default.svc.cluster.local::default_priority::max_connections::77" in clusters
        status, message = condition(mesh, "envoyfilter", "httpbin", "Accepted")
        assert status == "True"
        assert message.startswith("spec.configPatches[2].match: the REMOVE of LISTENER_FILTER changes nothing")
    plain = mesh.call_from(curl, "http://httpbin:8000/get")[0]
    assert (plain.status, "x-lua" in plain.headers) == (200, False)


def test_one_that_envoy_refuses_holds_nothing_up(mesh: Mesh) -> None:
    """Among fifty good changes: they act, the bad one alone is told, in Envoy's words, and no request fails meanwhile."""
    curl, ended, seen = mesh.pod("curl"), threading.Event(), Counter[int]()

    def load() -> None:
        while not ended.is_set():
            seen.update(reply.status for reply in mesh.call_from(curl, "http://httpbin:8000/get", times=50))

    def served(number: int) -> Ask:
        return Ask(f"http://{address}/", headers=(f"Host:good-{number}.example.com",))

    address = mesh.pod_address("server", "plain")
    good = "---".join(GOOD % (number, number, number) for number in range(50))
    loads = threading.Thread(target=load)
    loads.start()
    try:
        with mesh.applied(f"{good}---{REFUSED}"):
            wait_until(
                lambda: [reply.body for reply in mesh.calls_from(curl, [served(number) for number in range(50)])] == [*map(str, range(50))],
                seconds=10,
                what="the good changes act",
            )
            status, message = condition(mesh, "envoyfilter", "refused", "Rejected")
            assert status == "True"
            assert "lua" in message.lower()
            assert "said by canary.istio-system;" in message
            assert "Rejected" not in mesh.conditions("virtualservice", "good-7")
            refused = [line for line in mesh.run("status").out.splitlines() if "Envoy refused" in line]
            assert [line.partition(":")[0] for line in refused] == ["Envoy refused EnvoyFilter default/refused"]
    finally:
        ended.set()
        loads.join()
    assert set(seen) == {200}, seen
    assert seen[200] > 100


def test_one_that_would_end_envoy_ends_none(mesh: Mesh) -> None:
    """A script that ends the program loading it: proxies go on, and it is told on the object."""
    curl, before = mesh.pod("curl"), restarts(mesh, "httpbin")
    with mesh.applied(DEADLY):
        _, message = condition(mesh, "envoyfilter", "deadly", "Rejected")
        assert "Envoy ended while it loaded this" in message
        assert {reply.status for reply in mesh.call_from(curl, "http://httpbin:8000/get", times=20)} == {200}
    assert restarts(mesh, "httpbin") == before
