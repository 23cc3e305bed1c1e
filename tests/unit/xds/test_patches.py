"""What EnvoyFilters make of a proxy's configuration, and what is said of those that cannot be made."""

from collections.abc import Mapping
from typing import Any

import pytest
from envoy.config.bootstrap.v3 import bootstrap_pb2
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2

from lateen.model.scope import Proxy
from lateen.testing.messages import plain, snapshot_messages
from lateen.testing.world import MemoryWorld
from lateen.util.selectors import canonical
from lateen.xds.bootstrap import BootstrapPlan, build_bootstrap
from lateen.xds.bootstrapclusters import Pipe
from lateen.xds.patches.merge import merge
from lateen.xds.resources import CLUSTER, EXTENSION

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec:
  clusterIP: 10.96.0.10
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: 8080}, {name: tcp, port: 90, targetPort: 9090}]
"""
HCM = "envoy.filters.network.http_connection_manager"
WEB = "outbound|80||web.default.svc.cluster.local"


class Sidecar:
    """The sidecar of a pod of `web`, under these EnvoyFilters."""

    def __init__(self, *filters: str, kind: str = "sidecar", metadata: Mapping[str, str] | None = None) -> None:
        self.world = MemoryWorld()
        self.world.load("---".join((SERVICE, *filters)))
        assert self.world.problems == []
        told = {"ISTIO_VERSION": "1.31.0", **(metadata or {})}
        labels = canonical({"app": "web"})
        proxy = Proxy(
            id="p", kind=kind, namespace="default", name="web-1", addresses=("10.0.0.9",), labels=labels, metadata=canonical(told)
        )  # fmt: skip
        self.snapshot = self.world.snapshot(proxy)
        self.messages = snapshot_messages(self.snapshot)

    def filters(self, listener: str = "0.0.0.0_80") -> list[str]:
        """The HTTP filters of a listener's first chain."""
        found = self.messages["listeners"][listener]
        assert isinstance(found, listener_pb2.Listener)
        chain = found.filter_chains[0] if found.filter_chains else found.default_filter_chain
        manager = hcm_pb2.HttpConnectionManager.FromString(chain.filters[0].typed_config.value)
        return [one.name for one in manager.http_filters]

    def cluster(self, name: str = WEB) -> cluster_pb2.Cluster:
        found = self.messages["clusters"][name]
        assert isinstance(found, cluster_pb2.Cluster)
        return found

    def hosts(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = plain(self.messages["routes"]["80"])["virtual_hosts"]
        return found

    def problems(self) -> list[str]:
        return [f"{problem.path}: {problem.message}" for found in self.world.graph.problems().values() for problem in found]


def envoy_filter(*patches: str, name: str = "one", namespace: str = "default", more: str = "") -> str:
    """An EnvoyFilter with these `configPatches`, each in flow style."""
    listed = "\n".join(f"  - {patch}" for patch in patches)
    head = f"apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: {{name: {name}, namespace: {namespace}, generation: 1}}"
    return f"\n{head}\nspec:\n{more}  configPatches:\n{listed}\n"


def http_filter(operation: str, beside: str | None, name: str = "mine", context: str = "SIDECAR_OUTBOUND") -> str:
    """A change of HTTP filters, beside the one of that name."""
    sub = f", subFilter: {{name: {beside}}}" if beside else ""
    match = f"{{context: {context}, listener: {{filterChain: {{filter: {{name: {HCM}{sub}}}}}}}}}"
    return f"{{applyTo: HTTP_FILTER, match: {match}, patch: {{operation: {operation}, value: {{name: {name}}}}}}}"


STANDING = Sidecar().filters()


@pytest.mark.parametrize(
    ("operation", "beside", "expected"),
    [
        ("ADD", None, [*STANDING, "mine"]),
        ("INSERT_FIRST", "envoy.filters.http.router", ["mine", *STANDING]),
        ("INSERT_BEFORE", "envoy.filters.http.router", [*STANDING[:-1], "mine", STANDING[-1]]),
        ("INSERT_BEFORE", None, ["mine", *STANDING]),
        ("INSERT_AFTER", STANDING[0], [STANDING[0], "mine", *STANDING[1:]]),
        ("INSERT_AFTER", None, [*STANDING, "mine"]),
        ("INSERT_BEFORE", "nobody", STANDING),
        ("INSERT_BEFORE", "istio.stats", [*STANDING[:-1], "mine", STANDING[-1]]),
        ("INSERT_AFTER", "istio.metadata_exchange", ["mine", *STANDING]),
        ("INSERT_BEFORE", "istio.alpn", [*STANDING[:-2], "mine", *STANDING[-2:]]),
        ("REPLACE", "envoy.filters.http.fault", ["mine" if name == "envoy.filters.http.fault" else name for name in STANDING]),
        ("REMOVE", "envoy.filters.http.fault", [name for name in STANDING if name != "envoy.filters.http.fault"]),
    ],
)
def test_filters_are_put_where_the_operation_says(operation: str, beside: str | None, expected: list[str]) -> None:
    """Also beside filters that only Istio's Envoy has: where they would stand."""
    assert Sidecar(envoy_filter(http_filter(operation, beside))).filters() == expected


def test_root_namespace_first_then_priority_and_age() -> None:
    """The order of EnvoyFilters decides what stands before what."""
    first = http_filter("INSERT_FIRST", None, "root")
    own, late = http_filter("INSERT_FIRST", None, "own"), http_filter("INSERT_FIRST", None, "late")
    filters = (
        envoy_filter(late, name="a", more="  priority: 5\n"),
        envoy_filter(own, name="b"),
        envoy_filter(first, name="c", namespace="istio-system"),
    )
    assert Sidecar(*filters).filters()[:3] == ["late", "own", "root"]


def test_only_those_it_selects_are_changed() -> None:
    """By labels, side, the proxy's version and its metadata."""
    change = http_filter("INSERT_FIRST", None)
    assert "mine" not in Sidecar(envoy_filter(change, more="  workloadSelector: {labels: {app: other}}\n")).filters()
    assert "mine" not in Sidecar(envoy_filter(change, namespace="elsewhere")).filters()
    assert "mine" not in Sidecar(envoy_filter(http_filter("INSERT_FIRST", None, context="SIDECAR_INBOUND"))).filters()
    for asked, there in (
        ("proxyVersion: '^1\\.31.*'", True),
        ("proxyVersion: '^1\\.4.*'", False),
        ("metadata: {TEAM: a}", True),
        ("metadata: {TEAM: b}", False),
    ):
        versioned = change.replace("match: {", f"match: {{proxy: {{{asked}}}, ")
        assert ("mine" in Sidecar(envoy_filter(versioned), metadata={"TEAM": "a"}).filters()) is there, asked


def test_clusters_are_merged_removed_and_added() -> None:
    """By service, port or name; a span of time is replaced; the frame names the EnvoyFilter; the other clusters stay the same."""
    match = "{context: SIDECAR_OUTBOUND, cluster: {service: web.default.svc.cluster.local, portNumber: 80}}"
    merged = f"{{applyTo: CLUSTER, match: {match}, patch: {{operation: MERGE, value: {{connect_timeout: 1.5s}}}}}}"
    removed = "{applyTo: CLUSTER, match: {cluster: {name: outbound|90||web.default.svc.cluster.local}}, patch: {operation: REMOVE}}"
    added = "{applyTo: CLUSTER, patch: {operation: ADD, value: {name: extra, type: STATIC}}}"
    sidecar = Sidecar(envoy_filter(merged, removed, added))
    assert (sidecar.cluster().connect_timeout.seconds, sidecar.cluster().connect_timeout.nanos) == (1, 500_000_000)
    assert "outbound|90||web.default.svc.cluster.local" not in sidecar.messages["clusters"]
    assert sidecar.cluster("extra").type == cluster_pb2.Cluster.STATIC
    owners = {key.kind for key, _ in sidecar.snapshot[CLUSTER][WEB].owners}
    assert "EnvoyFilter" in owners
    assert not any(key.kind == "EnvoyFilter" for key, _ in sidecar.snapshot[CLUSTER]["PassthroughCluster"].owners)
    assert sidecar.problems() == []


def test_inbound_clusters_are_found_by_their_service() -> None:
    """Their names have no host."""
    match = "{context: SIDECAR_INBOUND, cluster: {service: web.default.svc.cluster.local}}"
    change = f"{{applyTo: CLUSTER, match: {match}, patch: {{operation: MERGE, value: {{connect_timeout: 1s}}}}}}"
    assert Sidecar(envoy_filter(change)).cluster("inbound|8080||").connect_timeout.seconds == 1


def test_routes_are_changed_by_host_name_and_action() -> None:
    """Merged, inserted, removed; a route that is not asked for stays."""
    match = '{context: SIDECAR_OUTBOUND, routeConfiguration: {portNumber: 80, vhost: {name: "web.default.svc.cluster.local:80"%s}}}'
    changes = (
        "{applyTo: HTTP_ROUTE, match: %s, patch: {operation: MERGE, value: {route: {timeout: 7s}}}}" % (match % ", route: {action: ROUTE}"),
        "{applyTo: HTTP_ROUTE, match: %s, patch: {operation: MERGE, value: {name: never}}}" % (match % ", route: {action: REDIRECT}"),
        "{applyTo: HTTP_ROUTE, match: %s, patch: {operation: INSERT_FIRST, value: {name: pot, match: {path: /pot}}}}" % (match % ""),
        "{applyTo: VIRTUAL_HOST, match: {routeConfiguration: {name: '80', vhost: {domainName: '*'}}}, patch: {operation: REMOVE}}",
        "{applyTo: VIRTUAL_HOST, match: {routeConfiguration: {name: '80'}}, patch: {operation: ADD, value: {name: more, domains: [more]}}}",
    )
    sidecar = Sidecar(envoy_filter(*changes))
    hosts = sidecar.hosts()
    web = next(host for host in hosts if host["name"] == "web.default.svc.cluster.local:80")
    assert [route["name"] for route in web["routes"]] == ["pot", "default"]
    assert web["routes"][1]["route"]["timeout"] == "7s"
    assert [host["name"] for host in hosts if host["domains"] in (["*"], ["more"])] == ["more"]
    assert [text for text in sidecar.problems() if "configPatches[1]" not in text] == []


def test_what_changes_nothing_is_told() -> None:
    """Also where the operation is not one for its place."""
    sidecar = Sidecar(envoy_filter(http_filter("INSERT_BEFORE", "nobody"), http_filter("INSERT_FIRST", None)))
    assert [text.partition(":")[0] for text in sidecar.problems()] == ["spec.configPatches[0].match"]
    assert "changes nothing" in sidecar.problems()[0]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("{connect_timeout: soon}", "connect_timeout"),
        ("{typed_extension_protocol_options: {a: {'@type': type.googleapis.com/envoy.no.Such}}}", "envoy.no.Such"),
        ("[1, 2]", ""),
    ],
)
def test_a_value_that_cannot_be_read_is_told_and_left_out(value: str, words: str) -> None:
    """The other changes of the same EnvoyFilter are made."""
    bad = f"{{applyTo: CLUSTER, patch: {{operation: MERGE, value: {value}}}}}"
    good = "{applyTo: CLUSTER, patch: {operation: MERGE, value: {connect_timeout: 2s}}}"
    if value.startswith("["):
        world = MemoryWorld()
        world.load(envoy_filter(bad, good))
        assert "spec.configPatches[0].patch.value" in world.problems[0].message
        return
    sidecar = Sidecar(envoy_filter(bad, good))
    assert sidecar.cluster().connect_timeout.seconds == 2
    assert [text.partition(":")[0] for text in sidecar.problems()] == ["spec.configPatches[0].patch"]
    assert words in sidecar.problems()[0]


def test_configurations_of_extensions_are_added() -> None:
    """They are resources of their own."""
    value = "{name: late, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors}}"
    sidecar = Sidecar(envoy_filter(f"{{applyTo: EXTENSION_CONFIG, patch: {{operation: ADD, value: {value}}}}}"))
    assert "late" in sidecar.snapshot[EXTENSION]


def test_lists_are_appended_to_or_replaced() -> None:
    """MERGE appends, MERGE_AND_REPLACE_LIST replaces."""
    for replaces, expected in ((False, ["a", "b"]), (True, ["b"])):
        into = listener_components_pb2.FilterChainMatch(server_names=["a"])
        merge(into, listener_components_pb2.FilterChainMatch(server_names=["b"]), replace_lists=replaces)
        assert list(into.server_names) == expected


def test_a_change_elsewhere_keeps_what_was_made() -> None:
    """A new service does not make the changed frames of others anew."""
    sidecar = Sidecar(envoy_filter("{applyTo: CLUSTER, patch: {operation: MERGE, value: {connect_timeout: 2s}}}"))
    before = sidecar.snapshot[CLUSTER][WEB]
    sidecar.world.load(SERVICE.replace("name: web", "name: other").replace("app: web", "app: other").replace("10.96.0.10", "10.96.0.11"))
    sidecar.world.graph.commit()
    assert sidecar.world.snapshots.snapshot("p")[CLUSTER][WEB] is before


def test_filters_of_authorization_are_found_under_istios_names() -> None:
    """As in a listener that holds them: before the rules that are there, and nowhere where there are none."""
    lua = "{name: mine, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua}}"
    rules = f"{{name: {HCM}, subFilter: {{name: envoy.filters.http.rbac}}}}"
    match = f"{{context: SIDECAR_INBOUND, listener: {{filterChain: {{filter: {rules}}}}}}}"
    before = envoy_filter(f"{{applyTo: HTTP_FILTER, match: {match}, patch: {{operation: INSERT_BEFORE, value: {lua}}}}}")
    policy = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: closed, namespace: default}
spec: {action: DENY, rules: [{}]}
"""
    assert "mine" not in inbound_filters(Sidecar(before))
    found = inbound_filters(Sidecar(before, policy))
    assert found[: found.index("envoy.filters.http.grpc_stats")] == ["mine", "envoy.filters.http.rbac"]


def inbound_filters(sidecar: Sidecar) -> list[str]:
    """The HTTP filters of the port of `web`, as they act."""
    listener = sidecar.messages["listeners"]["virtualInbound"]
    assert isinstance(listener, listener_pb2.Listener)
    chain = next(one for one in listener.filter_chains if one.filter_chain_match.destination_port.value == 8080)
    return [one.name for one in hcm_pb2.HttpConnectionManager.FromString(chain.filters[-1].typed_config.value).http_filters]


def started_with(*filters: str, metadata: str = "") -> tuple[bootstrap_pb2.Bootstrap, list[str]]:
    """What a pod of `web` starts with, and what is told of EnvoyFilters while a proxy with this mark of changes runs."""
    sidecar = Sidecar(*filters, metadata={"LATEEN_BOOTSTRAP": metadata})
    startup = sidecar.world.world.startups.startup(sidecar.world.world.proxies["p"])
    plan = BootstrapPlan(node_id="p", node_cluster="web", metadata={}, xds=Pipe("/xds"), sds="/sds", changes=startup.changes)
    return bootstrap_pb2.Bootstrap.FromString(build_bootstrap(plan)), sidecar.problems()


def test_bootstraps_are_merged_into_and_proxies_sent_nothing() -> None:
    """In order of priority; another operation is told; so is a proxy that was started before."""
    first = envoy_filter("{applyTo: BOOTSTRAP, patch: {operation: MERGE, value: {flags_path: /a, stats_flush_interval: 7s}}}", name="first")
    later = envoy_filter(
        "{applyTo: BOOTSTRAP, patch: {operation: MERGE, value: {flags_path: /b}}}",
        "{applyTo: BOOTSTRAP, patch: {operation: ADD, value: {}}}",
        name="later",
        more="  priority: 1\n",
    )
    other = envoy_filter(
        "{applyTo: BOOTSTRAP, match: {context: GATEWAY}, patch: {operation: MERGE, value: {flags_path: /c}}}", name="other"
    )
    made, problems = started_with(first, later, other, metadata="default/first@1")
    assert (made.flags_path, made.stats_flush_interval.seconds) == ("/b", 7)
    assert len(problems) == 2
    assert any("ADD changes nothing" in one for one in problems)
    assert any("web-1.default" in one and "restart" in one for one in problems)
