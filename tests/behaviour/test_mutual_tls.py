"""Who may speak to a pod in plain text, and how a pod learns who speaks to it."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pytest

from lateen.testing.mesh import Mesh, Reply
from lateen.testing.waiting import wait_until

pytestmark = [pytest.mark.envoy, pytest.mark.netns, pytest.mark.slow]

HEADER = "X-Forwarded-Client-Cert"
CURL, HTTPBIN = "spiffe://cluster.local/ns/default/sa/curl", "spiffe://cluster.local/ns/default/sa/httpbin"
GATEWAY = "spiffe://cluster.local/ns/istio-system/sa/istio-ingressgateway"
FORGED = "spiffe://cluster.local/ns/default/sa/forged"
URL = "http://httpbin.default.svc.cluster.local:8000/headers"

MESH_STRICT = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
"""
NAMESPACE_STRICT = MESH_STRICT.replace("istio-system", "default")
HTTPBIN_PERMISSIVE = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: httpbin, namespace: default}
spec:
  selector: {matchLabels: {app: httpbin}}
  mtls: {mode: PERMISSIVE}
"""
PORT_STRICT = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: httpbin, namespace: default}
spec:
  selector: {matchLabels: {app: httpbin}}
  mtls: {mode: PERMISSIVE}
  portLevelMtls: {8080: {mode: STRICT}}
"""
DISABLE = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: httpbin, namespace: default}
spec:
  selector: {matchLabels: {app: httpbin}}
  mtls: {mode: DISABLE}
"""
FROM_OUTSIDE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: httpbin-outside}
spec:
  hosts: [httpbin.example.com]
  gateways: [bookinfo-gateway]
  http:
    - route: [{destination: {host: httpbin, port: {number: 8000}}}]
"""


class Clients(NamedTuple):
    """Two clients of httpbin: `meshed` has a sidecar, `plain` has none."""

    mesh: Mesh
    meshed_pod: str
    plain_pod: str
    address: str

    def meshed(self) -> Reply:
        return self.mesh.call_from(self.meshed_pod, URL)[0]

    def plain(self) -> Reply:
        return self.mesh.call_from(self.plain_pod, f"http://{self.address}:8080/headers", namespace="plain")[0]


@pytest.fixture
def clients(mesh: Mesh) -> Iterator[Clients]:
    """The clients; before and after the test httpbin takes both, as PERMISSIVE, the default, says."""
    found = Clients(mesh, mesh.pod("curl"), mesh.pod("client", "plain"), mesh.pod_address("httpbin"))
    assert (found.meshed().status, found.plain().status) == (200, 200)
    yield found
    assert (found.meshed().status, found.plain().status) == (200, 200)


def peers(reply: Reply) -> str:
    """What the application was told of its client's certificate; "" when nothing."""
    headers = reply.json()["headers"]
    assert isinstance(headers, dict)
    return ",".join(headers.get(HEADER, []))


@pytest.mark.parametrize("policies", [(MESH_STRICT,), (NAMESPACE_STRICT,), (PORT_STRICT,)], ids=["mesh", "namespace", "port"])
def test_strict_refuses_plain_text_and_only_that(clients: Clients, policies: tuple[str, ...]) -> None:
    """Under STRICT, set for the mesh, the namespace or the port, a pod without a sidecar gets no answer; pods with one go on."""
    with clients.mesh.applied(*policies):
        refused = clients.plain()
        assert refused.status == 0, refused
        assert [clients.meshed().status for _ in range(3)] == [200, 200, 200]


def test_a_workload_may_take_plain_text_in_a_strict_namespace(clients: Clients) -> None:
    """The policy of the workload wins over the namespace's, for that workload."""
    with clients.mesh.applied(NAMESPACE_STRICT, HTTPBIN_PERMISSIVE):
        assert clients.plain().status == 200
        details = clients.mesh.pod_address("details")
        assert clients.mesh.call_from(clients.plain_pod, f"http://{details}:9080/details/0", namespace="plain")[0].status == 0


def test_disable_speaks_plain_text_within_the_mesh(clients: Clients) -> None:
    """Under DISABLE pods with sidecars reach the workload too, in plain text: it is told of no certificate."""
    with clients.mesh.applied(DISABLE):
        # A connection from before, which is drained, may carry one more request.
        wait_until(lambda: peers(clients.meshed()) == "", seconds=10, what="the sidecars speak plain text to each other")
        assert clients.meshed().status == 200
        assert clients.plain().status == 200


@pytest.mark.parametrize("policy", [NAMESPACE_STRICT, PORT_STRICT, DISABLE], ids=["namespace", "workload", "clients"])
def test_programmed_counts_the_proxies_that_it_is_for(clients: Clients, policy: str) -> None:
    """The sidecars of the namespace, the one of the workload; all that may call it too where it takes no mutual TLS any more."""
    mesh = clients.mesh
    name = "default" if policy is NAMESPACE_STRICT else "httpbin"
    inside, gateways = ([pod for pod in mesh.objects("pods", place) if has_proxy(pod)] for place in ("default", "istio-system"))
    concerned = {NAMESPACE_STRICT: len(inside), PORT_STRICT: 1, DISABLE: len(inside) + len(gateways)}[policy]
    with mesh.applied(policy):
        counted = ("True", f"{concerned} of {concerned} proxies hold generation 1")

        def done() -> bool:
            return mesh.conditions("peerauthentication", name).get("Programmed") == counted

        wait_until(done, seconds=10, what=f"Programmed is {counted}", every=0.2)


def has_proxy(pod: Mapping[str, Any]) -> bool:
    """Whether a proxy stands beside the pod's programs, or is its only one."""
    spec = pod["spec"]
    return any(each["name"] == "istio-proxy" for each in (*spec["containers"], *spec.get("initContainers", ())))


def test_the_application_is_told_who_calls(clients: Clients) -> None:
    """x-forwarded-client-cert holds the caller's SPIFFE id and its own; a caller without a sidecar has none."""
    told = peers(clients.meshed())
    assert f"By={HTTPBIN};" in told
    assert f"URI={CURL}" in told
    assert peers(clients.plain()) == ""


def test_an_identity_from_outside_is_not_believed(clients: Clients) -> None:
    """A forged x-forwarded-client-cert is taken away at the gateway: the application is told of the gateway only."""
    with clients.mesh.applied(FROM_OUTSIDE):
        forged = {HEADER: f"By={HTTPBIN};Hash={'0' * 64};URI={FORGED}"}
        answer = clients.mesh.call("/headers", host="httpbin.example.com", headers=forged)
        assert answer.status == 200
        assert f"URI={GATEWAY}" in peers(answer)
        assert FORGED not in answer.body


def test_a_pod_without_sidecar_may_not_say_who_it_is(clients: Clients) -> None:
    """In plain text a forged x-forwarded-client-cert does not reach the application."""
    forged = f"--header={HEADER}:By={HTTPBIN};URI={FORGED}"
    url = f"http://{clients.address}:8080/headers"
    answer = clients.mesh.call_from(clients.plain_pod, url, namespace="plain", headers=[forged.removeprefix("--header=")])[0]
    assert answer.status == 200
    assert FORGED not in answer.body
