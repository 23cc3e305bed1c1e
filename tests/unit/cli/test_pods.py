"""logs, exec and status, over a real API."""

import json
from typing import Any

import pytest

from lateen.api.kinds import by_kind
from lateen.local.status import BOARD, BOARD_NAMESPACE

POD: Any = by_kind("Pod")
NAMESPACE: Any = by_kind("Namespace")
CONFIG_MAP: Any = by_kind("ConfigMap")
RULE: Any = by_kind("VirtualService")

RULE_TEXT = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec: {hosts: [reviews], http: [{route: [{destination: {host: reviews}}]}]}
"""


@pytest.fixture
def pod(cli: Any) -> Any:
    """Makes a pod with a program, a sidecar and a status."""

    def make(name: str, **status: object) -> None:
        containers = [{"name": "istio-proxy", "image": "auto"}, {"name": "web", "image": "web"}]

        async def create(client: Any) -> None:
            await client.create(POD, {"metadata": {"name": name, "namespace": "default"}, "spec": {"containers": containers}})
            await client.patch_status(POD, name, status, "default")

        cli.ask(create)

    return make


READY = {
    "phase": "Running",
    "podIP": "10.177.0.5",
    "conditions": [{"type": "Ready", "status": "True"}],
    "containerStatuses": [
        {"name": "web", "ready": True, "restartCount": 2, "state": {"running": {}}},
        {"name": "istio-proxy", "ready": True, "restartCount": 1, "state": {"running": {}}},
    ],
}
CRASHING = {
    "phase": "Running",
    "conditions": [{"type": "Ready", "status": "False"}],
    "containerStatuses": [
        {"name": "web", "ready": False, "restartCount": 7, "state": {"waiting": {"reason": "CrashLoopBackOff"}}},
        {"name": "istio-proxy", "ready": True, "restartCount": 0, "state": {"running": {}}},
    ],
}


def test_logs_are_the_programs_own_unless_another_container_is_named(cli: Any, pod: Any) -> None:
    """The first container that is no sidecar; -c names another, --tail shortens."""
    pod("p")
    assert cli("logs", "p").out == "default/p/web\nlast\n"
    assert cli("logs", "pod/p", "-c", "istio-proxy").out == "default/p/istio-proxy\nlast\n"
    assert cli("logs", "p", "--tail", "1").out == "last\n"


def test_exec_hands_on_words_output_and_exit_code(cli: Any, pod: Any) -> None:
    """Options after `--` are the command's; its exit code is ours; both of its streams keep apart."""
    pod("p")
    ran = cli("exec", "p", "--", "ls", "-l", "-c")
    assert ran == (3, "default/p/web runs ls -l -c\n", "and complains\n")


def test_logs_and_exec_of_no_pod_fail(cli: Any) -> None:
    """One sentence with the pod's name."""
    for words in (("logs", "nobody"), ("exec", "nobody", "--", "true")):
        ran = cli(*words)
        assert (ran.code, ran.out) == (1, "")
        assert '"nobody" not found' in ran.err


def test_status_of_a_mesh_that_is_well(cli: Any, pod: Any) -> None:
    """A line per pod with restarts of all its containers; exit code 0."""
    pod("p", **READY)
    ran = cli("status")
    assert ran.code == 0
    assert ran.out.splitlines()[-1].split() == ["default", "p", "yes", "ready", "-", "3", "10.177.0.5", "Running"]


def test_status_says_which_program_crashes(cli: Any, pod: Any) -> None:
    """The container's name and its reason; the sidecar is ready all the same; exit code 1."""
    pod("p", **CRASHING)
    ran = cli("status")
    assert ran.code == 1
    assert ran.out.splitlines()[-1].split() == ["default", "p", "no", "ready", "-", "7", "web:", "CrashLoopBackOff"]


def test_a_pod_that_is_done_is_well(cli: Any, pod: Any) -> None:
    """A program that was to end, and did, is no failure."""
    pod("p", phase="Succeeded", conditions=[{"type": "Ready", "status": "False"}])
    assert cli("status").code == 0


def test_status_says_what_each_proxy_holds(cli: Any, pod: Any) -> None:
    """As the mesh tells in its own object."""
    pod("p", **READY)
    board = {"proxies": json.dumps([{"namespace": "default", "pod": "p", "state": "STALE"}])}

    async def tell(client: Any) -> None:
        await client.create(NAMESPACE, {"metadata": {"name": BOARD_NAMESPACE}})
        await client.create(CONFIG_MAP, {"metadata": {"name": BOARD, "namespace": BOARD_NAMESPACE}, "data": board})

    cli.ask(tell)
    assert cli("status").out.splitlines()[-1].split()[4] == "stale"
    assert json.loads(cli("status", "-o", "json").out)["pods"][0]["configuration"] == "stale"


def test_status_names_the_object_that_envoy_refused(cli: Any) -> None:
    """Kind, namespace, name and Envoy's words; exit code 1."""
    cli("apply", "-f", "-", text=RULE_TEXT)
    condition = {"type": "Rejected", "status": "True", "reason": "RefusedByEnvoy", "message": "no such thing"}
    cli.ask(lambda client: client.patch_status(RULE, "reviews", {"conditions": [condition]}, "default"))
    ran = cli("status")
    assert ran.code == 1
    assert "Envoy refused VirtualService default/reviews: no such thing" in ran.out
