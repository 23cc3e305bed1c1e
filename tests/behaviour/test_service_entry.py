"""Hosts outside the mesh, made known by ServiceEntry."""

import pytest

from lateen.testing.mesh import Mesh, Object
from lateen.testing.waiting import wait_until

pytestmark = [pytest.mark.envoy, pytest.mark.netns, pytest.mark.slow]


def entry(address: str) -> str:
    """A server without a sidecar under a name of its own, with a route that can be told apart."""
    return f"""
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: outside}}
spec:
  hosts: [outside.example.com]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP, targetPort: 8080}}]
  endpoints: [{{address: {address}}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: outside}}
spec:
  hosts: [outside.example.com]
  http:
    - match: [{{uri: {{exact: /teapot}}}}]
      rewrite: {{uri: /status/418}}
      route: [{{destination: {{host: outside.example.com}}}}]
    - route: [{{destination: {{host: outside.example.com}}}}]
"""


def addresses(mesh: Mesh) -> list[Object]:
    """What the entry's status says that its host was given."""
    status: Object = next((one.get("status", {}) for one in mesh.objects("serviceentries") if one["metadata"]["name"] == "outside"), {})
    found: list[Object] = status.get("addresses", [])
    return found


def test_a_static_service_entry_is_called_by_its_name(mesh: Mesh) -> None:
    """The name resolves in pods with a sidecar, requests reach the address given, in plain text, and rules of the mesh hold for them."""
    curl, server = mesh.pod("curl"), mesh.pod_address("server", "plain")
    assert mesh.call_from(curl, "http://outside.example.com/headers")[0].status != 200
    with mesh.applied(entry(server)):
        answer = wait_until(
            lambda: (found := mesh.call_from(curl, "http://outside.example.com/headers")[0]).status == 200 and found,
            seconds=5,
            what="the outside server answers under its name",
        )
        assert "X-Forwarded-Client-Cert" not in answer.body
        told = wait_until(lambda: addresses(mesh), seconds=5, what="the status has the address")
        assert [(one["host"], one["value"].rsplit(".", 2)[0]) for one in told] == [("outside.example.com", "240.240")]
        assert mesh.call_from(curl, "http://outside.example.com/teapot")[0].status == 418
