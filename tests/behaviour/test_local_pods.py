"""Pods on the local node, without sidecars: what Kubernetes promises of containers, probes, restarts, volumes and Deployments."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from lateen.testing.localmesh import Mesh, mesh, until
from lateen.testing.mesh import descendants

pytestmark = [pytest.mark.netns, pytest.mark.timeout(90)]

POD = """
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{app: {name}}}}}
spec:
  terminationGracePeriodSeconds: 5
  restartPolicy: {policy}
  containers:
  - name: main
    image: busybox
    command: [sh, -c, '{script}']
    {more}
"""


def pod(name: str, script: str, policy: str = "Always", more: str = "") -> str:
    """A pod of one shell script; `more` are further fields of the container, as a YAML flow."""
    return POD.format(name=name, script=script, policy=policy, more=more)


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """One mesh for all tests; each uses names of its own."""
    with mesh(tmp_path_factory.mktemp("mesh")) as running:
        yield running


@pytest.mark.parametrize("sample", ["httpbin/httpbin.yaml", "tcp-echo/tcp-echo.yaml", "helloworld/helloworld.yaml", "sleep/sleep.yaml"])
def test_unmodified_sample_becomes_ready(local: Mesh, shared_cases: Path, sample: str) -> None:
    """Istio's sample files run as they are."""
    text = (shared_cases / "samples" / sample).read_text()
    local.apply(text)
    app = Path(sample).stem
    local.ready(f"app={app}", 2 if app == "helloworld" else 1)


def test_crashing_program_is_restarted_at_once_and_then_waits(local: Mesh) -> None:
    """The first restart comes at once, the second after ten seconds, shown as CrashLoopBackOff with the exit code."""
    local.apply(pod("crash", "echo run; exit 3"))
    until(lambda: "CrashLoopBackOff" in str(local.container("crash", "main").get("state")), "the back-off")
    status = local.container("crash", "main")
    assert status["restartCount"] == 1
    assert status["lastState"]["terminated"]["exitCode"] == 3
    assert status["state"]["waiting"]["message"].startswith("back-off 10s restarting failed container=main pod=crash_default")
    assert (local.logs("crash", "main"), local.logs("crash", "main", previous=True)) == ("run\n", "run\n")
    assert local.pod("crash")["status"]["phase"] == "Running"
    until(lambda: "BackOff" in [reason for reason, _ in local.events("crash")], "the event")


@pytest.mark.parametrize(("code", "policy", "phase"), [(0, "Never", "Succeeded"), (4, "Never", "Failed"), (0, "OnFailure", "Succeeded")])
def test_pod_that_ends_keeps_its_result(local: Mesh, code: int, policy: str, phase: str) -> None:
    """A program that may end is not started again, and its pod says how it ended."""
    name = f"job-{code}-{policy.lower()}"
    local.apply(pod(name, f"exit {code}", policy))
    until(lambda: local.pod(name)["status"].get("phase") == phase, phase)
    assert local.container(name, "main")["state"]["terminated"]["exitCode"] == code


def test_unknown_image_waits_and_says_what_to_do(local: Mesh) -> None:
    """An image nobody knows keeps the pod waiting with the remedy; the annotation then starts it without a new pod."""
    local.apply(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: unknown}\nspec:\n  containers: [{name: main, image: example.com/nobody/knows:1}]\n"
    )
    until(lambda: local.container("unknown", "main").get("state", {}).get("waiting", {}).get("reason") == "ErrImagePull", "the refusal")
    message = local.container("unknown", "main")["state"]["waiting"]["message"]
    assert "example.com/nobody/knows:1" in message
    assert "lateen.io/command" in message
    assert "lateen.yaml" in message
    assert local.pod("unknown")["status"]["phase"] == "Pending"
    local.patch("Pod", "unknown", {"metadata": {"annotations": {"lateen.io/command": "sleep 1000"}}})
    until(lambda: "running" in local.container("unknown", "main")["state"], "the named command")


def test_readiness_probe_decides_over_traffic(local: Mesh) -> None:
    """A pod is an endpoint that takes traffic only while its readiness probe succeeds."""
    probe = "readinessProbe: {exec: {command: [test, -e, /tmp/ok]}, periodSeconds: 1, failureThreshold: 1}"
    local.apply(pod("unready", "sleep 1000", more=probe))
    local.apply("apiVersion: v1\nkind: Service\nmetadata: {name: unready}\nspec: {selector: {app: unready}, ports: [{port: 80}]}\n")

    def ready() -> list[bool]:
        slices = local.items("EndpointSlice", selector="kubernetes.io/service-name=unready")
        return [each["conditions"]["ready"] for one in slices for each in one.get("endpoints") or []]

    until(lambda: "running" in local.container("unready", "main").get("state", {}), "the program")
    until(lambda: ready() == [False], "an endpoint that is not ready")
    assert local.exec("unready", "main", "touch", "/tmp/ok")[0] == 0
    until(lambda: ready() == [True], "an endpoint that is ready")
    assert local.exec("unready", "main", "rm", "/tmp/ok")[0] == 0
    until(lambda: ready() == [False], "an endpoint that is not ready again")


def test_failed_liveness_probe_restarts_the_program(local: Mesh) -> None:
    """A program that runs but does not answer is started again, and an event says why."""
    probe = "livenessProbe: {httpGet: {path: /, port: 9}, periodSeconds: 1, failureThreshold: 2}"
    local.apply(pod("dead", "sleep 1000", more=probe))
    until(lambda: local.container("dead", "main").get("restartCount", 0) >= 1, "a restart")
    until(lambda: ("Killing", "Container main failed liveness probe, will be restarted") in local.events("dead"), "the event")
    assert any(reason == "Unhealthy" and message.startswith("Liveness probe failed") for reason, message in local.events("dead"))


def test_program_gets_its_grace_period(local: Mesh) -> None:
    """The program hears SIGTERM and may end its work; a deaf one is killed when its grace is over. Then the pod is gone."""
    local.apply(pod("polite", 'trap "echo bye > /proc/1/fd/1; exit 0" TERM; echo up; while :; do sleep 0.1; done'))
    local.apply(pod("deaf", 'trap "" TERM; echo up; while :; do sleep 0.1; done'))

    def said_up(name: str) -> bool:
        return bool(local.container(name, "main").get("started")) and "up" in local.logs(name, "main")

    for name in ("polite", "deaf"):
        until(partial(said_up, name), name)
        local.delete("Pod", name, grace=2)
    until(lambda: local.get("Pod", "polite") is None, "the polite pod's end", seconds=1.9)
    assert local.get("Pod", "deaf") is not None
    until(lambda: local.get("Pod", "deaf") is None, "the deaf pod's end", seconds=5)


def test_configuration_reaches_the_program(local: Mesh) -> None:
    """Variables from ConfigMaps, Secrets and the pod's fields, references among them, and volumes of each kind."""
    local.apply("""
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {color: blue, file.txt: from the map}
---
apiVersion: v1
kind: Secret
metadata: {name: hidden}
stringData: {word: xyzzy}
---
apiVersion: v1
kind: Pod
metadata: {name: configured, labels: {app: configured}}
spec:
  initContainers:
  - name: first
    image: busybox
    command: [sh, -c, "echo made before > /scratch/note"]
    volumeMounts: [{name: scratch, mountPath: /scratch}]
  containers:
  - name: main
    image: busybox
    command: [sh, -c]
    args: ["echo $(GREETING) $COLOR $WORD $NAME; cat /etc/app/file.txt /scratch/note /var/run/secret/word; id -u; pwd; sleep 1000"]
    workingDir: /scratch
    securityContext: {runAsUser: 4242}
    env:
    - {name: COLOR, valueFrom: {configMapKeyRef: {name: settings, key: color}}}
    - {name: WORD, valueFrom: {secretKeyRef: {name: hidden, key: word}}}
    - {name: NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
    - {name: GREETING, value: "hello-$(NAME)"}
    volumeMounts:
    - {name: scratch, mountPath: /scratch}
    - {name: map, mountPath: /etc/app}
    - {name: secret, mountPath: /var/run/secret, readOnly: true}
    - {name: all, mountPath: /all, readOnly: true}
  volumes:
  - {name: scratch, emptyDir: {}}
  - {name: map, configMap: {name: settings}}
  - {name: secret, secret: {secretName: hidden}}
  - name: all
    projected:
      sources:
      - serviceAccountToken: {path: token, audience: somebody}
      - downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}
      - configMap: {name: settings, items: [{key: color, path: deep/color}]}
""")
    local.ready("app=configured")
    until(lambda: local.logs("configured", "main").endswith("/scratch\n"), "the program's words")
    said = local.logs("configured", "main")
    assert said == "hello-configured blue xyzzy configured\nfrom the mapmade before\nxyzzy4242\n/scratch\n"
    assert local.exec("configured", "main", "sh", "-c", "cat /all/labels /all/deep/color") == (0, 'app="configured"blue')
    assert local.exec("configured", "main", "cat", "/all/token")[1].count(".") == 2
    assert local.exec("configured", "main", "sh", "-c", "echo x > /all/token")[0] != 0
    assert [each["state"]["terminated"]["exitCode"] for each in local.pod("configured")["status"]["initContainerStatuses"]] == [0]


def test_missing_configuration_is_named_and_waited_for(local: Mesh) -> None:
    """A Secret that is not there keeps the container waiting, and its arrival starts it."""
    more = "env: [{name: A, valueFrom: {secretKeyRef: {name: later, key: a}}}]"
    local.apply(pod("waits", "sleep 1000", more=more))
    until(lambda: "CreateContainerConfigError" in str(local.container("waits", "main").get("state")), "the refusal")
    assert local.container("waits", "main")["state"]["waiting"]["message"] == 'secret "later" not found'
    local.apply("apiVersion: v1\nkind: Secret\nmetadata: {name: later}\nstringData: {a: b}\n")
    local.ready("app=waits")


def test_commands_run_beside_the_program(local: Mesh) -> None:
    """Exec carries standard input, output, error and the exit code, also with a terminal."""
    local.apply(pod("shell", "echo one; echo two; sleep 1000"))
    local.ready("app=shell")
    code, said = local.exec("shell", "main", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (code, sorted(said.split())) == (7, ["err", "out"])  # two streams: neither is first
    assert local.exec("shell", "main", "cat", data=b"through") == (0, "through")
    code, said = local.exec("shell", "main", "sh", "-c", "test -t 0 && hostname", tty=True)
    assert (code, said.strip()) == (0, "shell")
    assert local.logs("shell", "main", tail=1) == "two\n"
    all_said = {local.exec("shell", "main", "sh", "-c", "sleep 9 & echo word; exit 2") for _ in range(20)}
    assert all_said == {(2, "word\n")}  # a command that ends at once, and leaves somebody with its output open


DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}, annotations: {{round: "{round}"}}}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{{name: main, image: example.com/sleeper}}]
"""


def test_deployment_is_scaled_and_rolled(local: Mesh) -> None:
    """Replicas go up and down live; a changed template replaces every pod and leaves one ReplicaSet with pods."""
    local.apply(DEPLOYMENT.format(name="web", replicas=1, round=1))
    (first,) = local.ready("app=web")
    owner = local.pod(first)["metadata"]["ownerReferences"][0]
    assert first.startswith(owner["name"] + "-")
    assert owner["name"].startswith("web-")
    local.patch("Deployment", "web", {"spec": {"replicas": 3}})
    assert first in local.ready("app=web", 3)
    local.patch("Deployment", "web", {"spec": {"template": {"metadata": {"annotations": {"round": "2"}}}}})

    def done() -> bool:
        status: dict[str, int] = (local.get("Deployment", "web") or {})["status"]
        return status["updatedReplicas"] == status["availableReplicas"] == status["replicas"] == 3 and status["observedGeneration"] == 3

    until(done, "the new round")
    assert (local.get("Deployment", "web") or {})["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"
    assert {each["metadata"]["annotations"]["round"] for each in local.pods("app=web")} == {"2"}
    assert sorted(each["spec"]["replicas"] for each in local.items("ReplicaSet", selector="app=web")) == [0, 3]
    local.patch("Deployment", "web", {"spec": {"replicas": 0}})
    until(lambda: not local.items("Pod", selector="app=web"), "the last pod's end")


def test_deleted_deployment_takes_its_pods(local: Mesh) -> None:
    """Nothing is left of a Deployment: no set, no pod, no endpoint."""
    local.apply(DEPLOYMENT.format(name="gone", replicas=2, round=1))
    local.ready("app=gone", 2)
    local.delete("Deployment", "gone")
    until(lambda: not local.items("Pod", selector="app=gone") and not local.items("ReplicaSet", selector="app=gone"), "the end of all")


def test_program_leaves_nothing_behind(local: Mesh) -> None:
    """What a program started in the background ends with it, so that the next run finds its port free."""
    script = "sleep 7777 & echo $! > /scratch/left; exit 1"
    more = "volumeMounts: [{name: scratch, mountPath: /scratch}]"
    text = pod("parent", script, policy="Never", more=more).rstrip() + "\n  volumes: [{name: scratch, emptyDir: {}}]\n"
    local.apply(text)
    until(lambda: local.pod("parent")["status"].get("phase") == "Failed", "its end")
    lines = [Path(f"/proc/{pid}/cmdline") for pid in descendants(local.process.pid)]
    assert not [line for line in lines if line.exists() and b"7777" in line.read_bytes()]


def test_deleted_namespace_ends_its_pods(local: Mesh) -> None:
    """A namespace goes when its pods have ended, and takes everything with it."""
    text = "apiVersion: v1\nkind: Namespace\nmetadata: {name: short}\n---" + DEPLOYMENT.format(name="web", replicas=2, round=1)
    local.apply(text.replace("{name: web}\n", "{name: web, namespace: short}\n", 1))
    until(lambda: len([each for each in local.items("Pod", "short") if each["status"].get("phase") == "Running"]) == 2, "its pods")
    local.delete("Namespace", "short", "")
    until(lambda: local.get("Namespace", "short", "") is None, "its end")
    assert local.items("Pod", "short") == []


def test_namespaces_have_an_account(local: Mesh) -> None:
    """Every namespace has the service account `default`, and pods run as it."""
    local.apply("apiVersion: v1\nkind: Namespace\nmetadata: {name: other}\n")
    until(lambda: local.get("ServiceAccount", "default", "other") is not None, "the account")
    assert local.items("ServiceAccount")[0]["metadata"]["name"] == "default"


ECHO = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: echo}
spec:
  replicas: 2
  selector: {matchLabels: {app: echo}}
  template:
    metadata: {labels: {app: echo}}
    spec: {containers: [{name: main, image: istio/tcp-echo-server:1.3, args: ["9000", "hello"]}], terminationGracePeriodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: echo}
spec: {selector: {app: echo}, ports: [{name: tcp, port: 7, targetPort: 9000}]}
"""


@pytest.mark.parametrize("tool", ["iptables", "nft"])
def test_services_reach_their_pods(tmp_path: Path, tool: str) -> None:
    """A service's name and address lead to each of its ready pods in turn, whichever tool the machine has."""
    with mesh(tmp_path, tool) as running:
        running.apply(ECHO + "---" + pod("caller", "sleep 1000"))
        running.ready("app=echo", 2)
        running.ready("app=caller")
        ask = "import socket; s = socket.create_connection(('echo', 7), 5); s.sendall(b'x\\n'); print(s.recv(99).decode().strip())"
        until(lambda: running.exec("caller", "main", "python3", "-c", ask) == (0, "hello x\n"), "an answer")
        peer = "import socket; print(*sorted({socket.create_connection(('echo', 7), 5).getpeername()[0] for _ in range(3)}))"
        address = (running.get("Service", "echo") or {})["spec"]["clusterIP"]
        until(lambda: running.exec("caller", "main", "python3", "-c", peer) == (0, address + "\n"), "both pods listen")
