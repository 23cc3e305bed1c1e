"""Clients of xDS that refuse, stall, flood or grow without end, at a control plane of its own: the others are served as ever."""

import queue
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from envoy.config.core.v3 import base_pb2
from envoy.config.route.v3 import route_pb2
from envoy.service.discovery.v3 import discovery_pb2 as pb

from lateen.ads.messages import CDS, RDS
from lateen.testing.mesh import free_port
from lateen.testing.standalone import Discovery
from lateen.testing.waiting import wait_until

ATTACKS = Path(__file__).with_name("stream_attacks.py")
METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
SERVICE = """\
apiVersion: v1
kind: Service
metadata: {{name: s{n}, namespace: default}}
spec: {{clusterIP: 10.96.{high}.{low}, ports: [{{name: http, port: 80}}]}}
---
"""
ROUTE = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: s1, namespace: default}}
spec: {{hosts: [s1], http: [{{timeout: {seconds}s, route: [{{destination: {{host: s1}}}}]}}]}}
"""


class Good:
    """A client that acknowledges what it gets."""

    def __init__(self, address: str) -> None:
        self._requests: queue.Queue[pb.DeltaDiscoveryRequest | None] = queue.Queue()
        self._channel = grpc.insecure_channel(address)
        serialize, parse = pb.DeltaDiscoveryRequest.SerializeToString, pb.DeltaDiscoveryResponse.FromString
        call = self._channel.stream_stream(METHOD, request_serializer=serialize, response_deserializer=parse)
        self._responses: Any = call(iter(self._requests.get, None), timeout=60)
        node = base_pb2.Node(id="sidecar~10.0.0.9~good.default~default.svc.cluster.local")
        self._requests.put(pb.DeltaDiscoveryRequest(node=node, type_url=CDS))
        self._next(CDS)
        self._requests.put(pb.DeltaDiscoveryRequest(type_url=RDS, resource_names_subscribe=["80"]))

    def _next(self, type_url: str) -> pb.DeltaDiscoveryResponse:
        for response in self._responses:
            self._requests.put(pb.DeltaDiscoveryRequest(type_url=response.type_url, response_nonce=response.nonce))
            if response.type_url == type_url:
                return response
        raise AssertionError("the stream ended")

    def timeout(self) -> int:
        """Of s1's route, as it was sent next."""
        (resource,) = self._next(RDS).resources
        table = route_pb2.RouteConfiguration.FromString(resource.resource.value)
        (host,) = [host for host in table.virtual_hosts if host.name == "s1.default.svc.cluster.local:80"]
        return int(host.routes[0].route.timeout.seconds)

    def close(self) -> None:
        self._requests.put(None)
        self._channel.close()


class Plane(NamedTuple):
    """A running control plane, its plaintext door, and its folder."""

    process: Discovery
    address: str
    folder: Path

    def route(self, seconds: int) -> None:
        (self.folder / "route.yaml").write_text(ROUTE.format(seconds=seconds))


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    folder, address = tmp_path_factory.mktemp("objects"), f"127.0.0.1:{free_port()}"
    (folder / "services.yaml").write_text("".join(SERVICE.format(n=n, high=n // 250, low=n % 250 + 1) for n in range(300)))
    made = Plane(Discovery(tmp_path_factory.mktemp("data"), ["--config-dir", str(folder), "--grpcAddr", address]), address, folder)
    made.route(1)
    made.process.start()
    yield made
    made.process.kill()


@pytest.mark.parametrize(
    ("kind", "streams", "told"),
    [
        ("refuse", 5, ""),
        ("stall", 50, ""),
        ("flood", 5, ""),
        ("types", 5, ""),
        ("names", 5, "KiB of names that this proxy does not have"),
        ("metadata", 5, "the node message has 3145"),
    ],
)
def test_who_means_harm_does_none_to_the_others(plane: Plane, kind: str, streams: int, told: str) -> None:
    """A proxy connects and gets five changes meanwhile; memory stays where it was. Whoever grows is left, and the log says why."""
    before = plane.process.megabytes()
    attack = subprocess.Popen([sys.executable, str(ATTACKS), kind, plane.address, str(streams)], stdout=subprocess.PIPE, text=True)
    try:
        assert attack.stdout is not None
        assert attack.stdout.readline() == "under way\n"
        good = Good(plane.address)
        good.timeout()
        for seconds in range(11, 16):
            plane.route(seconds)
            assert good.timeout() == seconds
        good.close()
        assert plane.process.megabytes() < before + 64
        wait_until(lambda: told in plane.process.log, seconds=10, what="the log says why")
    finally:
        attack.kill()
        attack.communicate()
