"""The control plane goes away and comes back, as a process of its own: nobody who is served by its proxies sees it."""

import asyncio
import http.server
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from lateen.api.kinds import by_kind
from lateen.local.tokens import Tokens
from lateen.runtime.clock import SystemClock
from lateen.testing.kubeapi import RunningApi, kube_api
from lateen.testing.mesh import free_port
from lateen.testing.standalone import Discovery, GatewayFolder, Load, Vouching, gateway_process, said
from lateen.testing.waiting import wait_until

pytestmark = pytest.mark.envoy

KINDS: Any = {kind: by_kind(kind) for kind in ("Namespace", "VirtualService", "ServiceEntry")}
UNMOVED = ("listener_manager.listener_(added|modified|removed)", "cluster_manager.cluster_(added|modified|removed)")


FOLDER = """\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: shop}
spec:
  selector: {istio: edge}
  servers: [{port: {number: PORT, name: http, protocol: HTTP}, hosts: ["*"], bind: 127.0.0.1}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: edge, namespace: shop}
spec: {hosts: ["*"], gateways: [edge], http: [{directResponse: {status: 200, body: {string: folder}}}]}
"""


class Edge(NamedTuple):
    """A gateway that serves, what stands behind it, and whoever configures it."""

    api: RunningApi
    discovery: Discovery
    folder: GatewayFolder
    load: Load

    async def says(self, word: str) -> None:
        """Route to that answer, in the API."""
        rule = {"hosts": ["*"], "gateways": ["edge"], "http": [{"directResponse": {"status": 200, "body": {"string": word}}}]}
        if word == "backend":
            rule["http"] = [{"route": [{"destination": {"host": "backend.example.com"}}]}]
        await self.put("VirtualService", "edge", rule)

    async def put(self, kind: str, name: str, spec: dict[str, Any]) -> None:
        """Make the object in the API, or change it."""
        version = "networking.istio.io/v1"
        whole = {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": "shop"}, "spec": spec}
        await self.api.client.patch(KINDS[kind], name, whole, "shop", kind="apply", force=True)

    async def answered(self, word: str, times: int = 5) -> None:
        """Until that many more answers say so."""
        seen = len(self.load.answers)
        enough = f"{times} answers say {word}"
        await asyncio.to_thread(wait_until, lambda: self.load.answers[seen:].count(word) >= times, seconds=20, what=enough)

    async def connected(self) -> None:
        """Until the proxy is at the control plane again."""
        name = "cluster.xds-grpc;.upstream_rq_active"
        await asyncio.to_thread(wait_until, lambda: self.folder.counts(name) == {name: 1}, seconds=20, what="Envoy connects")


class Backend(http.server.BaseHTTPRequestHandler):
    """Answers with one word."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "7")
        self.end_headers()
        self.wfile.write(b"backend")

    def log_message(self, *words: object) -> None:
        """Nothing."""


@pytest.fixture
def backend() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Backend) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@asynccontextmanager
async def edge(folder: Path, private: Path, backend: int) -> AsyncIterator[Edge]:
    """All of it, with requests under way; none of them may fail, whatever happens inside."""
    tokens = Tokens(private / "key.pem", SystemClock())
    node: Any = Vouching(tokens)
    port, made = free_port(), GatewayFolder(folder, tokens)
    objects = private / "objects"
    objects.mkdir()
    (objects / "gateway.yaml").write_text(FOLDER.replace("PORT", str(port)))
    async with asyncio.timeout(90), kube_api(private, node=node, tls=True) as api:
        discovery = Discovery(private / "data", ["--kubeconfig", str(api.kubeconfig), "--config-dir", str(objects), "--grpcAddr", ""])
        made.trust(discovery.roots_pem)
        await made.give("istio-ca")
        entry = {
            "hosts": ["backend.example.com"],
            "ports": [{"number": 80, "name": "http", "protocol": "HTTP", "targetPort": backend}],
            "resolution": "STATIC",
            "endpoints": [{"address": "127.0.0.1"}],
        }
        await api.client.create(KINDS["Namespace"], {"metadata": {"name": "shop"}})
        running = Edge(api, discovery, made, Load(port))
        await running.put("ServiceEntry", "backend", entry)
        await running.says("backend")
        await asyncio.to_thread(discovery.start)
        async with gateway_process(made, discovery.address) as log:
            await said(log, "] ready")
            loads = asyncio.create_task(asyncio.to_thread(running.load.run))
            try:
                await running.answered("backend")
                yield running
            finally:
                running.load.stop()
                await loads
                discovery.kill()
        assert running.load.failures == []


def tried(folder: Path, private: Path, backend: int, use: Callable[[Edge], Awaitable[None]]) -> None:
    async def run() -> None:
        async with edge(folder, private, backend) as made:
            await use(made)

    asyncio.run(run())


def test_a_control_plane_that_is_killed_is_missed_by_nobody(open_folder: Path, tmp_path: Path, backend: int) -> None:
    """Its proxies serve on; back again it sends nothing anew that they hold, and what was changed meanwhile comes into force."""

    async def use(made: Edge) -> None:
        before = await asyncio.to_thread(made.folder.counts, *UNMOVED)
        assert before["cluster_manager.cluster_added"] > 0
        assert before["listener_manager.listener_added"] > 0
        made.discovery.kill()
        await made.answered("backend", 200)
        await asyncio.to_thread(made.discovery.start)
        await made.connected()
        await made.answered("backend", 200)
        assert 0 < await asyncio.to_thread(made.discovery.sent) < 1000
        assert await asyncio.to_thread(made.folder.counts, *UNMOVED) == before
        made.discovery.kill()
        await made.says("changed")
        await made.answered("backend", 20)
        await asyncio.to_thread(made.discovery.start)
        await made.answered("changed")
        assert await asyncio.to_thread(made.folder.counts, *UNMOVED) == before

    tried(open_folder, tmp_path, backend, use)


def test_a_control_plane_that_hangs_is_missed_by_nobody(open_folder: Path, tmp_path: Path, backend: int) -> None:
    """Its connections stay open and nothing comes; going on, it tells what was changed."""

    async def use(made: Edge) -> None:
        made.discovery.process.send_signal(signal.SIGSTOP)
        await made.says("changed")
        await made.answered("backend", 200)
        made.discovery.process.send_signal(signal.SIGCONT)
        await made.answered("changed")

    tried(open_folder, tmp_path, backend, use)


def test_the_api_wins_over_a_folder_while_it_has_the_object(open_folder: Path, tmp_path: Path, backend: int) -> None:
    """Both have the rule: the log says so; the folder's counts once the API's is gone, and no longer when it is back."""

    async def use(made: Edge) -> None:
        assert "VirtualService shop/edge is in the API and in the folder" in made.discovery.log
        file = tmp_path / "objects" / "gateway.yaml"
        file.write_text(file.read_text().replace("string: folder", "string: newer"))
        await made.answered("backend", 300)
        assert set(made.load.answers) == {"backend"}
        await made.api.client.delete(KINDS["VirtualService"], "edge", "shop")
        await made.answered("newer")
        await made.says("changed")
        await made.answered("changed")

    tried(open_folder, tmp_path, backend, use)
