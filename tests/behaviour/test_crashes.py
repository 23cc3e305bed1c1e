"""A program or an Envoy that dies is started again and told about; nobody else notices."""

from typing import Any

import pytest

from lateen.testing.mesh import Mesh
from lateen.testing.waiting import wait_until

pytestmark = [pytest.mark.envoy, pytest.mark.netns, pytest.mark.slow]

BACK_SECONDS = 30


def status_of(mesh: Mesh, app: str, container: str) -> dict[str, Any]:
    """The API's words on one container of an app's pod."""
    name = mesh.pod(app)
    pod = next(one for one in mesh.objects("pods") if one["metadata"]["name"] == name)
    found: dict[str, Any] = next(one for one in pod["status"]["containerStatuses"] if one["name"] == container)
    return found


def unready_since(mesh: Mesh, app: str) -> str:
    """When the pod's readiness changed last."""
    name = mesh.pod(app)
    pod = next(one for one in mesh.objects("pods") if one["metadata"]["name"] == name)
    return next(str(one["lastTransitionTime"]) for one in pod["status"]["conditions"] if one["type"] == "Ready")


def kill(mesh: Mesh, app: str, what: str) -> None:
    """End processes of a pod as a crash would."""
    assert mesh.end_process(mesh.pod(app), what), f"nothing of {app} was killed"


def test_a_crashed_program_is_started_again_beside_its_sidecar(mesh: Mesh) -> None:
    """The restart is counted by `lateen status`, a second crash waits in back-off, the sidecar runs on, other pods answer."""
    sidecar = status_of(mesh, "ratings", "istio-proxy")["containerID"]
    for crash in (1, 2):
        wait_until(lambda: mesh.ready("ratings"), seconds=BACK_SECONDS, what="ratings runs", every=0.2)
        before = status_of(mesh, "ratings", "ratings")["restartCount"]
        kill(mesh, "ratings", "samples.ratings")
        if crash == 2:  # the first restart comes at once
            wait_until(lambda: "ratings: CrashLoopBackOff" in mesh.run("status").out, seconds=10, what="the back-off is told", every=0.1)
        assert mesh.call("/productpage").status == 200
        wait_until(
            lambda before=before: status_of(mesh, "ratings", "ratings")["restartCount"] == before + 1,  # type: ignore[misc]
            seconds=BACK_SECONDS,
            what="the restart",
            every=0.2,
        )
    assert status_of(mesh, "ratings", "istio-proxy")["containerID"] == sidecar
    assert status_of(mesh, "ratings", "istio-proxy")["restartCount"] == 0
    wait_until(lambda: mesh.ready("ratings"), seconds=BACK_SECONDS, what="ratings is back", every=0.2)


def test_a_crashed_envoy_is_started_again_and_nobody_else_notices(mesh: Mesh) -> None:
    """The pod is not ready meanwhile; its program runs on; pods that do not need it answer every request."""
    was, program = unready_since(mesh, "details"), status_of(mesh, "details", "details")
    before = status_of(mesh, "details", "istio-proxy")["restartCount"]
    kill(mesh, "details", "envoy")
    codes = [mesh.call("/api/v1/products/0/reviews").status for _ in range(20)]
    assert codes == [200] * 20
    wait_until(
        lambda: (told := status_of(mesh, "details", "istio-proxy"))["restartCount"] == before + 1 and told["ready"],
        seconds=BACK_SECONDS,
        what="the Envoy is back",
        every=0.2,
    )
    wait_until(lambda: mesh.ready("details"), seconds=BACK_SECONDS, what="the pod is ready", every=0.2)
    assert unready_since(mesh, "details") != was
    assert status_of(mesh, "details", "details") == program
    page = mesh.call("/productpage")
    assert page.status == 200
    assert "Error fetching product details" not in page.body
