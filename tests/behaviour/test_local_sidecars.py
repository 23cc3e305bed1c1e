"""Pods with sidecars on the local node: order of start and end, crashes of either side, and a mesh that is ended and started again."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from lateen.testing.localmesh import Mesh, mesh, until
from lateen.testing.mesh import kill_in

pytestmark = [pytest.mark.netns, pytest.mark.envoy, pytest.mark.timeout(90)]

NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: default, labels: {istio-injection: enabled}}\n"
STRICT = "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: default}\nspec: {mtls: {mode: STRICT}}\n"
POD = """
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{app: {name}, {labels}}}}}
spec:
  restartPolicy: {policy}
  terminationGracePeriodSeconds: 2
  containers: [{{name: main, image: busybox, command: [sh, -c, '{script}']}}]
"""


def pod(name: str, script: str, policy: str = "Always", labels: str = "") -> str:
    """A pod of one shell script."""
    return POD.format(name=name, script=script, policy=policy, labels=labels)


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory, shared_cases: Path) -> Iterator[Mesh]:
    """A mesh with httpbin and a client, both with sidecars."""
    with mesh(tmp_path_factory.mktemp("mesh"), "sidecars") as running:
        running.apply(NAMESPACE)
        running.apply((shared_cases / "samples" / "httpbin" / "httpbin.yaml").read_text())
        running.apply(pod("client", "sleep 1000"))
        running.ready("app=httpbin")
        running.ready("app=client")
        until(lambda: call(running) == "200", "the first call")
        yield running


def call(local: Mesh, path: str = "/status/200") -> str:
    """The status that the client gets from httpbin."""
    argv = ("curl", "-s", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}", f"http://httpbin:8000{path}")
    return local.exec("client", "main", *argv)[1]


def test_pods_speak_through_their_sidecars(local: Mesh) -> None:
    """A name of a service reaches its pods, and they see who calls from the certificate."""
    code, said = local.exec("client", "main", "curl", "-s", "-m", "5", "http://httpbin:8000/headers")
    assert code == 0
    assert "URI=spiffe://cluster.local/ns/default/sa/default" in said
    assert "By=spiffe://cluster.local/ns/default/sa/httpbin" in said


def test_program_starts_after_its_sidecar(local: Mesh) -> None:
    """The first call of a program succeeds: it was not started before its sidecar could carry it."""
    local.apply(pod("early", "curl -s -m 5 -o /dev/null -w %{http_code} http://httpbin:8000/status/200; sleep 1000"))
    local.ready("app=early")
    until(lambda: local.logs("early", "main"), "its first call")
    assert local.logs("early", "main") == "200"


def test_crashed_envoy_is_restarted_beside_its_program(local: Mesh) -> None:
    """Envoy's end makes the pod unready until it is back; the program runs on. Both are told in the status."""
    before = local.container("client", "main")
    network = local.exec("client", "main", "readlink", "/proc/self/ns/net")[1].strip()
    assert kill_in(network, local.process.pid, "envoy") == 1

    def back() -> bool:
        status = local.container("client", "istio-proxy")
        return status["restartCount"] == 1 and bool(status["ready"])

    until(back, "Envoy's return")
    assert local.container("client", "istio-proxy")["lastState"]["terminated"]["exitCode"] == 137
    assert local.container("client", "main") == before
    until(lambda: any(reason == "BackOff" and "SIGKILL" in message for reason, message in local.events("client")), "the event")
    until(lambda: call(local) == "200", "calls")


def test_crashed_program_leaves_its_sidecar_alone(local: Mesh) -> None:
    """A program that ends again and again takes neither its sidecar down nor anybody else's."""
    local.apply(pod("crash", "exit 1"))
    until(lambda: "CrashLoopBackOff" in str(local.container("crash", "main").get("state")), "the back-off")
    status = local.container("crash", "istio-proxy")
    assert status["restartCount"] == 0
    assert status["ready"]
    assert call(local) == "200"


def test_finished_job_ends_its_sidecar(local: Mesh) -> None:
    """When the programs of a pod have ended for good, the sidecar ends too and the pod has succeeded."""
    local.apply(pod("job", "exit 0", policy="Never"))
    until(lambda: local.pod("job")["status"].get("phase") == "Succeeded", "success", seconds=20)
    assert local.container("job", "istio-proxy")["state"]["terminated"]["exitCode"] == 0


def test_pod_without_a_sidecar_speaks_plaintext(local: Mesh) -> None:
    """A label keeps a pod out; it still reaches services by name, in plaintext, until a policy asks for mutual TLS."""
    local.apply(pod("plain", "sleep 1000", labels='sidecar.istio.io/inject: "false"'))
    local.ready("app=plain")
    assert [each["name"] for each in local.pod("plain")["spec"]["containers"]] == ["main"]
    for host in ("httpbin", "httpbin.default", "httpbin.default.svc.cluster.local"):
        code, said = local.exec("plain", "main", "curl", "-s", "-m", "5", f"http://{host}:8000/headers")
        assert code == 0
        assert "X-Forwarded-Client-Cert" not in said
    local.apply(STRICT)
    until(lambda: local.exec("plain", "main", "curl", "-s", "-m", "5", "http://httpbin:8000/headers")[0] == 56, "the refusal")
    assert call(local) == "200"
    local.delete("PeerAuthentication", "default")


def test_probes_pass_under_strict_mutual_tls(local: Mesh) -> None:
    """A pod's own probes are not stopped by a policy that refuses plaintext."""
    local.apply(STRICT)
    local.apply("""
apiVersion: v1
kind: Pod
metadata: {name: probed, labels: {app: probed}}
spec:
  containers:
  - {name: main, image: kong/httpbin, readinessProbe: {httpGet: {path: /status/200, port: 80}, periodSeconds: 1}}
""")
    local.ready("app=probed")
    local.delete("PeerAuthentication", "default")


def test_mesh_comes_back_with_its_pods(tmp_path: Path, shared_cases: Path) -> None:
    """After an end, orderly or by kill -9, the same pods run again, counted as restarted, and carry traffic."""
    with mesh(tmp_path, "sidecars") as local:
        local.apply(NAMESPACE)
        local.apply((shared_cases / "samples" / "httpbin" / "httpbin.yaml").read_text())
        local.apply(pod("client", "sleep 1000"))
        (name,) = local.ready("app=httpbin")
        local.ready("app=client")
        for round_, number in enumerate((signal.SIGTERM, signal.SIGKILL), start=1):
            local.stop(number)
            local.start()
            assert local.ready("app=httpbin") == [name]
            local.ready("app=client")
            assert local.container(name, "httpbin")["restartCount"] == round_
            until(lambda: call(local) == "200", "a call")
