"""A real Envoy tries what users write for Envoy: it says what is wrong, and what would end or stop an Envoy ends or stops only this one."""

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from lateen.ads.messages import CDS, Nack
from lateen.agent.plan import ENVOY
from lateen.model.scope import Proxy
from lateen.server.canary import Canary
from lateen.testing.world import MemoryWorld
from lateen.util.selectors import canonical
from lateen.xds.bootstrap import BootstrapPlan, build_bootstrap
from lateen.xds.bootstrapclusters import Pipe

pytestmark = [pytest.mark.envoy, pytest.mark.netns]

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec:
  clusterIP: 10.96.0.10
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: 8080}, {name: http-two, port: 81, targetPort: 8080}]
"""
PROXY = Proxy(
    id="p",
    kind="sidecar",
    namespace="default",
    name="web-1",
    addresses=("10.0.0.9",),
    labels=canonical({"app": "web"}),
    metadata=canonical({"ISTIO_VERSION": "1.31.0"}),
)
PATIENCE = 2.0  # seconds: of the one test in which Envoy never answers
HCM = "envoy.filters.network.http_connection_manager"


def envoy_filter(name: str, patch: str, **match: str) -> str:
    """An EnvoyFilter with one change."""
    return f"""
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {{name: {name}, namespace: default}}
spec:
  configPatches:
    - applyTo: {match.get("apply_to", "HTTP_FILTER")}
      match: {match.get("match", "{context: SIDECAR_OUTBOUND}")}
      patch: {patch}
"""


def lua(name: str, code: str) -> str:
    """One that puts a script before the router."""
    return envoy_filter(
        name,
        '{operation: INSERT_BEFORE, value: {name: lua, typed_config: {"@type": '
        "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua, "
        f"default_source_code: {code}}}}}}}",
        match=f"{{context: SIDECAR_OUTBOUND, listener: {{filterChain: {{filter: {{name: {HCM}}}}}}}}}",
    )


def inline(code: str) -> str:
    return f'{{inline_string: "{code}"}}'


GOOD = inline("function envoy_on_request(handle) end")
TRACED = envoy_filter(
    "traced",
    '{operation: MERGE, value: {typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.'
    "HttpConnectionManager, tracing: {provider: {name: zipkin, typed_config: "
    '{"@type": type.googleapis.com/envoy.config.trace.v3.ZipkinConfig, collector_endpoint: /api/v2/spans, '
    "collector_endpoint_version: HTTP_JSON, collector_cluster: outbound|80||web.default.svc.cluster.local}}}}}}",
    apply_to="NETWORK_FILTER",
    match=f"{{context: SIDECAR_OUTBOUND, listener: {{filterChain: {{filter: {{name: {HCM}}}}}}}}}",
)
LISTENER = envoy_filter(
    "listener",
    "{operation: ADD, value: {name: own, address: {socket_address: {address: 0.0.0.0, port_value: 22}}, filter_chains: [{filters: "
    '[{name: tcp, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, '
    "stat_prefix: own, cluster: nobody}}]}]}}",
    apply_to="LISTENER",
)
EXTENSION = """
apiVersion: extensions.istio.io/v1alpha1
kind: TrafficExtension
metadata: {name: script, namespace: default}
spec: {lua: {inlineCode: "%s"}}
"""


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder for sockets."""
    with TemporaryDirectory(prefix="lateen-") as folder:
        yield Path(folder)


class Bench:
    """A cage without walls but for the network, and what its canary said."""

    def __init__(self, folder: Path) -> None:
        self.socket = str(folder / "ads")
        self.program = ENVOY
        self.starts = 0
        self.said: asyncio.Queue[tuple[Nack, ...]] = asyncio.Queue()
        self.canary = Canary(self, self.said.put_nowait, PATIENCE)
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> asyncio.subprocess.Process:
        self.starts += 1
        plan = BootstrapPlan(
            node_id="sidecar~127.0.0.1~c.n~n.svc.cluster.local", node_cluster="c", metadata={}, xds=Pipe(self.socket), sds="s"
        )
        (self._folder / "b.pb").write_bytes(build_bootstrap(plan))
        users = () if os.getuid() == 0 else ("--map-root-user",)
        words = ("unshare", "--net", *users, self.program, "--config-path", str(self._folder / "b.pb"))
        self._process = await asyncio.create_subprocess_exec(*words, "--disable-hot-restart", "--concurrency", "1", "--log-level", "off")
        return self._process

    async def stop(self) -> None:
        if self._process is not None:
            if self._process.returncode is None:
                self._process.kill()
            await self._process.wait()

    async def judge(self, *objects: str) -> dict[str, str]:
        """What is refused of a sidecar's configuration: Envoy's words by the name of the object."""
        world = MemoryWorld()
        world.load("---".join((SERVICE, *objects)))
        snapshot = world.snapshot(PROXY)
        texts = world.snapshots.texts(PROXY.id)
        assert len({owner for mark in texts for owner, _ in mark[1]}) == len(objects)
        assert not self.canary.admits(texts, snapshot[CDS].keys())
        nacks = await asyncio.wait_for(self.said.get(), 30)
        refused = {owner[0].name: nack.message for nack in nacks for owner in nack.owners}
        assert refused or self.canary.admits(texts, snapshot[CDS].keys())
        return refused


def run(folder: Path, test: Callable[[Bench], Coroutine[Any, Any, None]]) -> None:
    """A canary, from its start to its end."""

    async def main() -> None:
        bench = Bench(folder)
        bench.canary.start()
        try:
            await test(bench)
        finally:
            await bench.canary.stop()

    asyncio.run(asyncio.wait_for(main(), 60))


def test_what_envoy_takes_is_admitted_and_not_tried_again(short_path: Path) -> None:
    """A script, a listener on a port that is not to be had here, a tracer that names a cluster, a script in a file of the pod's."""

    async def test(bench: Bench) -> None:
        limits = "{operation: MERGE, value: {circuit_breakers: {thresholds: [{max_connections: 77}]}}}"
        cluster, script = envoy_filter("cluster", limits, apply_to="CLUSTER"), EXTENSION % "function envoy_on_response(handle) end"
        assert await bench.judge(lua("good", GOOD), LISTENER, TRACED, cluster, script) == {}
        assert await bench.judge(lua("of-a-file", "{filename: /in/the/pod.lua}")) == {}
        assert bench.starts == 1

    run(short_path, test)


def test_what_envoy_refuses_is_told_in_its_words(short_path: Path) -> None:
    """Of several texts in one load the bad ones alone, by the names that proxies know."""

    async def test(bench: Bench) -> None:
        cluster = envoy_filter("cluster", "{operation: MERGE, value: {connect_timeout: -1s}}", apply_to="CLUSTER")
        route = envoy_filter(
            "route",
            '{operation: INSERT_FIRST, value: {match: {safe_regex: {regex: "("}}, direct_response: {status: 200}}}',
            apply_to="HTTP_ROUTE",
        )
        refused = await bench.judge(cluster, route, LISTENER, EXTENSION % "this is no Lua")
        assert refused.keys() == {"cluster", "route", "script"}
        assert "Expected positive duration" in refused["cluster"]
        assert "no argument for repetition" in refused["route"] or "missing )" in refused["route"]
        assert "script load error" in refused["script"]
        assert (await bench.judge(lua("good", GOOD)), bench.starts) == ({}, 1)

    run(short_path, test)


def test_what_ends_or_stops_envoy_harms_this_one_alone(short_path: Path) -> None:
    """A script runs when it is loaded: one that ends the program, one that never returns; others beside it are judged by themselves."""

    async def test(bench: Bench) -> None:
        assert await bench.judge(LISTENER, EXTENSION % "os.exit(3)") == {
            "script": "extensions.istio.io/trafficextension/default.script: Envoy ended while it loaded this"
        }
        said = await bench.judge(EXTENSION % "while true do end")
        assert said == {
            "script": "extensions.istio.io/trafficextension/default.script: Envoy did not answer for 2 s after it was given this"
        }
        assert await bench.judge(lua("good", GOOD)) == {}

    run(short_path, test)


def test_without_an_envoy_texts_are_admitted(short_path: Path) -> None:
    """A program that ends at once, which one is told in the log."""

    async def test(bench: Bench) -> None:
        bench.program = "/bin/true"
        assert await bench.judge(EXTENSION % "this is no Lua") == {}

    run(short_path, test)
