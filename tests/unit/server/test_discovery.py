"""`lateen discovery` as a process of its own: a folder in, xDS out, to a state-of-the-world client."""

import os
import queue
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from envoy.config.route.v3 import route_pb2
from envoy.service.discovery.v3 import discovery_pb2 as pb

from lateen.ads.messages import CDS, RDS
from lateen.testing.mesh import free_port
from lateen.testing.waiting import wait_until

METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"
WEB = """\
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {clusterIP: 10.96.0.9, ports: [{name: http, port: 80}]}
"""
ROUTE = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: default}
spec: {hosts: [web], http: [{timeout: 7s, route: [{destination: {host: web}}]}]}
"""


class Client:
    """A state-of-the-world client that acknowledges what it gets."""

    def __init__(self, port: int) -> None:
        self._requests: queue.Queue[pb.DiscoveryRequest | None] = queue.Queue()
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        call = self._channel.stream_stream(
            METHOD, request_serializer=pb.DiscoveryRequest.SerializeToString, response_deserializer=pb.DiscoveryResponse.FromString
        )
        self._responses: Any = call(iter(self._requests.get, None), timeout=40, wait_for_ready=True)

    def ask(self, type_url: str, *names: str) -> None:
        request = pb.DiscoveryRequest(type_url=type_url, resource_names=names)
        request.node.id = "sidecar~10.0.0.9~client-0.default~default.svc.cluster.local"
        self._requests.put(request)

    def next(self, *names: str) -> pb.DiscoveryResponse:
        response = next(self._responses)
        self._requests.put(
            pb.DiscoveryRequest(
                type_url=response.type_url, resource_names=names, version_info=response.version_info, response_nonce=response.nonce
            )
        )
        return response

    def close(self) -> None:
        self._requests.put(None)
        self._channel.close()


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "objects"
    made.mkdir()
    (made / "web.yaml").write_text(WEB)
    (made / "route.yaml").write_text(ROUTE)
    return made


@pytest.fixture
def discovery(folder: Path, port: int, tmp_path: Path) -> Iterator[Path]:
    """The running process; its log file."""
    logged = tmp_path / "log"
    mesh = tmp_path / "mesh.yaml"
    mesh.write_text("outboundTrafficPolicy: {mode: ALLOW_ANY}\n")
    words = ["discovery", "--configDir", str(folder), "--meshConfig", str(mesh), "--grpcAddr", f"127.0.0.1:{port}", "--secureGRPCAddr", ""]
    words += ["--monitoringAddr", f"127.0.0.1:{free_port()}"]
    with logged.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "lateen.cli.main", *words], stderr=log, env={**os.environ, "LATEEN_DATA_DIR": str(tmp_path / "data")}
        )
    yield logged
    process.terminate()
    assert process.wait(20) == 0, logged.read_text()


def routes_of(response: pb.DiscoveryResponse) -> dict[str, Any]:
    """The route configuration's virtual hosts by name."""
    (resource,) = response.resources
    return {host.name: host for host in route_pb2.RouteConfiguration.FromString(resource.value).virtual_hosts}


def test_a_folder_is_served_and_its_changes_follow(discovery: Path, folder: Path, port: int, tmp_path: Path) -> None:
    """A file half written changes nothing and is told in the log; MeshConfig's file is live too."""
    client = Client(port)
    client.ask(CDS)
    assert b"outbound|80||web.default.svc.cluster.local" in b"".join(one.value for one in client.next().resources)
    client.ask(RDS, "80")
    assert routes_of(client.next("80"))["web.default.svc.cluster.local:80"].routes[0].route.timeout.seconds == 7
    (folder / "route.yaml").write_text(ROUTE[:-20])
    wait_until(lambda: "file not taken" in discovery.read_text(), seconds=20, what="the half file is told")
    (folder / "route.yaml").write_text(ROUTE.replace("7s", "9s"))
    assert routes_of(client.next("80"))["web.default.svc.cluster.local:80"].routes[0].route.timeout.seconds == 9
    (tmp_path / "mesh.yaml").write_text("outboundTrafficPolicy: {mode: REGISTRY_ONLY}\n")
    assert "block_all" in routes_of(client.next("80"))
    client.close()


def test_namespaces_that_are_not_selected_do_not_count(discovery: Path, folder: Path, port: int, tmp_path: Path) -> None:
    """By their labels, live; the selectors go, and all count again. The root namespace always does."""
    client = Client(port)
    client.ask(CDS)
    assert b"web.default" in b"".join(one.value for one in client.next().resources)
    (folder / "system.yaml").write_text(WEB.replace("default", "istio-system").replace("0.9", "0.8"))
    assert b"web.istio-system" in b"".join(one.value for one in client.next().resources)
    (tmp_path / "mesh.yaml").write_text("discoverySelectors: [{matchExpressions: [{key: mesh, operator: In, values: [ours]}]}]\n")
    names = b"".join(one.value for one in client.next().resources)
    assert b"web.default" not in names
    assert b"web.istio-system" in names
    (folder / "namespace.yaml").write_text("{apiVersion: v1, kind: Namespace, metadata: {name: default, labels: {mesh: ours}}}")
    assert b"web.default" in b"".join(one.value for one in client.next().resources)
    (folder / "namespace.yaml").unlink()
    assert b"web.default" not in b"".join(one.value for one in client.next().resources)
    (tmp_path / "mesh.yaml").write_text("{}\n")
    assert b"web.default" in b"".join(one.value for one in client.next().resources)
    client.close()


def test_without_a_source_there_is_nothing_to_serve() -> None:
    """Wrong usage, and what to name is said."""
    done = subprocess.run([sys.executable, "-m", "lateen.cli.main", "discovery"], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "--config-dir DIR, --kubeconfig FILE, or both" in done.stderr
