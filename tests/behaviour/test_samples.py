"""Istio's sample files run unmodified; services are found by name."""

import json
import re
import socket
import sys

import pytest

from lateen.testing.mesh import Mesh

pytestmark = [pytest.mark.envoy, pytest.mark.netns, pytest.mark.slow]

ECHO = "import socket; s = socket.create_connection(('tcp-echo', {port}), 10); s.sendall(b'hi\\n'); print(s.makefile().readline(), end='')"
LOOK_UP = "import json, socket, sys; print(json.dumps([socket.gethostbyname(name) for name in sys.argv[1:]]))"


def test_every_pod_of_the_samples_is_ready(mesh: Mesh) -> None:
    """All Deployments of the samples run, each pod with its application and its sidecar ready."""
    pods = {str(pod["metadata"]["name"]): pod["status"] for pod in mesh.objects("pods")}
    unready = [name for name, status in pods.items() for each in status["containerStatuses"] if not each["ready"]]
    assert unready == []
    wanted = r"(details|productpage|ratings|reviews|httpbin|curl|sleep|tcp-echo|helloworld)(-v\d)?-[a-z0-9]+-[a-z0-9]+"
    assert len(pods) == 13
    assert all(re.fullmatch(wanted, name) for name in pods)
    assert all({each["name"] for each in status["containerStatuses"]} > {"istio-proxy"} for status in pods.values())


@pytest.mark.parametrize("user", ["", "jason"])
def test_the_product_page_is_whole(mesh: Mesh, user: str) -> None:
    """Details and reviews are on the page, and who is signed in."""
    answer = mesh.call("/productpage", headers=mesh.sign_in(user) if user else {})
    assert answer.status == 200
    assert "Book Details" in answer.body and "Book Reviews" in answer.body and "Reviews served by:" in answer.body
    assert (f'data-user="{user}"' in answer.body) if user else ("Sign in" in answer.body)


def test_both_versions_of_helloworld_answer(mesh: Mesh) -> None:
    """A service with two versions is spread over both."""
    answers = mesh.call_from(mesh.pod("curl"), "http://helloworld:5000/hello", times=20)
    said = {answer.body.split(",")[0] for answer in answers}
    assert said == {"Hello version: v1", "Hello version: v2"}


@pytest.mark.parametrize("port", [9000, 9001])
def test_tcp_echo_answers_through_both_sidecars(mesh: Mesh, port: int) -> None:
    """Plain TCP to a service's ports."""
    assert mesh.exec(mesh.pod("curl"), sys.executable, "-c", ECHO.format(port=port)) in {"one hi\n", "two hi\n"}


def test_services_are_found_under_all_their_names(mesh: Mesh) -> None:
    """`reviews`, `reviews.default` and the full name are the service's virtual address, in a pod with a sidecar."""
    services = {service["metadata"]["name"]: service for service in mesh.objects("services")}
    names = ("reviews", "reviews.default", "reviews.default.svc.cluster.local")
    found = json.loads(mesh.exec(mesh.pod("curl"), sys.executable, "-c", LOOK_UP, *names))
    assert found == [services["reviews"]["spec"]["clusterIP"]] * 3
    replies = [mesh.call_from(mesh.pod("curl"), f"http://{name}:9080/reviews/0")[0] for name in names]
    assert [reply.status for reply in replies] == [200, 200, 200]


def test_a_name_that_nobody_has_is_not_found(mesh: Mesh) -> None:
    """A look-up of a service that does not exist fails as a name that does not exist, and quickly."""
    code = "import socket\ntry: socket.gethostbyname('nobody')\nexcept socket.gaierror as error: print(error.errno)"
    assert mesh.exec(mesh.pod("curl"), sys.executable, "-c", code).strip() in {str(socket.EAI_NONAME), str(socket.EAI_NODATA)}


def test_a_process_sees_its_pod(mesh: Mesh) -> None:
    """The pod's name is the host's name, and its address is that of its interface."""
    name = mesh.pod("curl")
    code = "import socket; print(socket.gethostname(), socket.gethostbyname(socket.gethostname()))"
    assert mesh.exec(name, sys.executable, "-c", code).split() == [name, mesh.pod_address("curl")]
