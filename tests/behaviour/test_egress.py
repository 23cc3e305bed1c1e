"""Traffic that leaves the mesh: known hosts, unknown ones, and all of it through an egress gateway."""

from collections.abc import Iterator

import pytest

from lateen.samples.demo import MANIFESTS
from lateen.testing.mesh import Mesh
from lateen.testing.waiting import wait_until

pytestmark = [pytest.mark.envoy, pytest.mark.netns, pytest.mark.slow]

HOST = "external.example.com"
EGRESS = "istio-egressgateway.istio-system.svc.cluster.local"


def entry(address: str) -> str:
    """The server outside as a host of the mesh."""
    return f"""
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: external}}
spec:
  hosts: [{HOST}]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP, targetPort: 8080}}]
  endpoints: [{{address: {address}}}]
---
"""


THROUGH_THE_GATEWAY = f"""
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: egress}}
spec:
  selector: {{istio: egressgateway}}
  servers:
    - port: {{number: 80, name: http, protocol: HTTP}}
      hosts: [{HOST}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: through-egress}}
spec:
  hosts: [{HOST}]
  gateways: [egress, mesh]
  http:
    - match: [{{gateways: [mesh], port: 80}}]
      route: [{{destination: {{host: {EGRESS}, port: {{number: 80}}}}}}]
    - match: [{{gateways: [egress], port: 80}}]
      headers: {{request: {{set: {{x-came-by: egress}}}}}}
      route: [{{destination: {{host: {HOST}, port: {{number: 80}}}}}}]
---
"""
REGISTRY_ONLY = """
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: default}
spec:
  egress: [{hosts: ["*/*"]}]
  outboundTrafficPolicy: {mode: REGISTRY_ONLY}
"""


@pytest.fixture(scope="module")
def egress_gateway(mesh: Mesh) -> Iterator[None]:
    """The egress gateway, as the package ships it."""
    with mesh.applied(MANIFESTS / "istio-egressgateway.yaml"):
        wait_until(lambda: mesh.ready("istio-egressgateway", "istio-system"), seconds=30, what="the egress gateway is ready")
        yield


def test_requests_leave_through_the_egress_gateway(mesh: Mesh, egress_gateway: None) -> None:
    """The sidecar sends to the gateway, the gateway to the server outside, which sees what the gateway set; afterwards straight again."""
    curl = mesh.pod("curl")

    def came_by() -> str:
        answer = mesh.call_from(curl, f"http://{HOST}/headers")[0]
        return ",".join(answer.json()["headers"].get("X-Came-By", ["straight"])) if answer.status == 200 else f"status {answer.status}"

    with mesh.applied(entry(mesh.pod_address("server", "plain"))):
        wait_until(lambda: came_by() == "straight", seconds=5, what="the server outside answers")
        with mesh.applied(THROUGH_THE_GATEWAY):
            wait_until(lambda: came_by() == "egress", seconds=10, what="requests come by the egress gateway")
        wait_until(lambda: came_by() == "straight", seconds=5, what="requests go straight again")


def test_unknown_hosts_are_blocked_where_only_the_registry_counts(mesh: Mesh) -> None:
    """ALLOW_ANY lets calls to an address that nobody declared pass; REGISTRY_ONLY ends the connection, and known hosts go on."""
    curl, server = mesh.pod("curl"), mesh.pod_address("server", "plain")
    assert mesh.call_from(curl, f"http://{server}:8080/status/418")[0].status == 418
    with mesh.applied(REGISTRY_ONLY, entry(server)):
        wait_until(
            lambda: mesh.call_from(curl, f"http://{server}:8080/status/418")[0].status == 0,
            seconds=5,
            what="an unknown host is blocked",
        )
        assert mesh.call_from(curl, f"http://{HOST}/status/418")[0].status == 418
        assert mesh.call_from(curl, "http://httpbin:8000/status/418")[0].status == 418
    wait_until(
        lambda: mesh.call_from(curl, f"http://{server}:8080/status/418")[0].status == 418, seconds=5, what="unknown hosts pass again"
    )
