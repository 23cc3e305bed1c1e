"""kubectl, unmodified, drives the running mesh: a session of the commands that people use, each with its outcome.

A step is a line of the session below: the command, the exit code where it is not 0, and a regular expression that its output must contain.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from lateen.testing.mesh import Mesh
from lateen.testing.waiting import wait_until

pytestmark = pytest.mark.slow

NS = "kubectl-session"
IMAGE = "docker.io/mccutchen/go-httpbin:v2.15.0"
WEB = f"""
apiVersion: v1
kind: Service
metadata: {{name: web, labels: {{app: web}}}}
spec: {{selector: {{app: web}}, ports: [{{name: http, port: 80, targetPort: 8080}}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: 1
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec: {{containers: [{{name: web, image: "{IMAGE}", ports: [{{containerPort: 8080}}]}}]}}
"""
RULE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec: {hosts: [web], http: [{route: [{destination: {host: web}}]}]}
"""
OTHER_RULE = RULE.replace("http: [{route", "http: [{timeout: 3s, route")
SESSION = r"""
version                                                    | Server Version: v1\.32
cluster-info                                               | is running at
api-resources --api-group=networking.istio.io              | virtualservices\s+vs\s+networking.istio.io/v1\s+true
api-versions                                               | ^security\.istio\.io/v1$
get --raw /readyz                                          | ^ok$
create namespace kubectl-session                           | namespace/kubectl-session created
get ns kubectl-session --show-labels                       | Active.*kubernetes.io/metadata.name=kubectl-session
label ns kubectl-session istio-injection=enabled           | labeled
diff -f web                                                |1 \+kind: Deployment
apply --dry-run=server -f web                              | deployment.apps/web created \(server dry run\)
apply --dry-run=client -f web                              | created \(dry run\)
apply -f web                                               | deployment.apps/web created
apply -f web                                               | service/web unchanged
rollout status deploy/web --timeout=60s                    | successfully rolled out
wait --for=condition=Available deploy/web --timeout=30s    | condition met
wait --for=condition=Ready pod -l app=web --timeout=30s    | condition met
wait --for=jsonpath={.status.readyReplicas}=1 deploy/web --timeout=30s | condition met
get all                                                    | deployment.apps/web\s+1/1\s+1\s+1
get pods -o wide                                           | web-\S+\s+2/2\s+Running\s+0\s+\S+\s+10\.177\.
get deploy,svc -o name                                     | ^service/web$
get pods --field-selector=status.phase=Running -o name     | ^pod/web-
get pods -l app!=web -o name                               | ^$
get svc web -o yaml                                        | clusterIP: 10\.96\.
get svc web -o jsonpath={.spec.ports[0].targetPort}        | ^8080$
get endpointslices -l kubernetes.io/service-name=web       | IPv4\s+8080\s+10\.177\.
get pods -o custom-columns=N:.metadata.name,P:.status.phase | web-\S+\s+Running
get nodes -o wide                                          | local\s+Ready
get pods -A --sort-by=.metadata.name --no-headers          | kubectl-session\s+web-
get events                                                 | Normal\s+Started\s+pod/web-
events --for deploy/web                                    | .
describe deploy web                                        | StrategyType:\s+RollingUpdate
describe pod -l app=web                                    | Container ID|Image:\s+docker.io/mccutchen
describe svc web                                           | Endpoints:\s+10\.177\.\S+:8080
describe node local                                        | Hostname:|InternalIP
describe ns kubectl-session                                | Status:\s+Active
logs deploy/web -c web --tail=5                            | .
logs deploy/web -c web --tail=1 --timestamps                | ^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z\s
logs deploy/web -c web --since=1h --limit-bytes=3           | ^.{3}$
logs deploy/web -c web --previous                          |1 previous terminated container "web" in pod "web-\S+" not found
logs -l app=web -c web --tail=2                             | .
exec deploy/web -c web -- echo hello                       | ^hello$
exec deploy/web -c web -- sh -c "exit 3"                   |3 exit code 3
debug POD --image=IMAGE -c helper --target=web -- sh -c "echo helped; sleep 100" | .?
wait --for=jsonpath={.status.ephemeralContainerStatuses[0].state.running.startedAt} pod/POD --timeout=30s | condition met
logs POD -c helper                                         | ^helped$
exec POD -c helper -- echo here                            | ^here$
debug POD --image=IMAGE -c web -- true                     |1 Duplicate value: "web"
exec -i deploy/web -c web -- cat                           | kind: Service
cp POD:/etc/hostname copied -c web                         | ^$
scale deploy/web --replicas=2                              | deployment.apps/web scaled
scale deploy/web --current-replicas=2 --replicas=1         | scaled
set env deploy/web MODE=test                               | env updated
rollout restart deploy/web                                 | restarted
rollout status deploy/web --timeout=60s                    | successfully rolled out
rollout history deploy/web                                 | REVISION
set image deploy/web web=docker.io/mccutchen/go-httpbin:v2.15.0 | .?
patch deploy web -p {"spec":{"template":{"metadata":{"annotations":{"a":"b"}}}}} | patched
patch deploy web --type=json -p [{"op":"replace","path":"/spec/replicas","value":1}] | patched
annotate deploy web note=x                                 | annotated
apply -f rule                                              | virtualservice.networking.istio.io/web created
get vs                                                     | web\s+\["web"\]\s+\d+s
diff -f other-rule                                         |1 \+\s+timeout: 3s
apply -f other-rule                                        | configured
apply --server-side -f rule                                |1 conflict with "kubectl-client-side-apply" using .*: .spec.http
apply --server-side --force-conflicts -f rule              | serverside-applied
get vs web -o yaml --show-managed-fields                   | f:hosts
explain vs.spec.http.timeout                               | FIELD: timeout <string>
explain deploy.spec.replicas                               | FIELD: replicas <integer>
edit vs web                                                | edited
get vs web -o jsonpath={.spec.hosts[0]}                    | ^edited$
replace -f rule                                            | replaced
patch vs web --type=merge -p {"spec":{"hosts":["a","b"]}}  | patched
patch vs web -p {}                                         |1 UnsupportedMediaType|not supported
create -f bad                                              |1 unknown field "spec.bogus"
create configmap c --from-literal=a=1                      | created
create configmap c --from-literal=a=1                      |1 configmaps "c" already exists
create secret generic s --from-literal=a=1                 | created
create secret tls t --cert=missing --key=missing           |1 no such file
create serviceaccount sa                                   | created
create token sa --duration=10m                             | ^ey\S+\.\S+\.\S+$
create deployment d --image=IMAGE --replicas=0             | created
create service clusterip d --tcp=80:8080                   | created
expose deploy d --name=e --port=80                         | service/e exposed
run once --image=IMAGE --dry-run=server                    | pod/once created
autoscale deploy d --max=2                                 |1 could not find the requested resource
get nonsense                                               |1 doesn't have a resource type
get vs nope                                                |1 virtualservices.networking.istio.io "nope" not found
auth can-i create vs                                       | ^yes$
auth can-i --list                                          | \*\.\*
auth whoami                                                | Username
config view                                                | current-context: lateen
top pods                                                   |1 Metrics API not available
cordon local                                               | node/local cordoned
get nodes                                                  | SchedulingDisabled
uncordon local                                             | node/local uncordoned
delete cm c                                                | configmap "c" deleted
delete deploy d --cascade=foreground                       | deleted
delete deploy,svc --all                                    | deployment.apps "web" deleted
wait --for=delete pod -l app=web --timeout=60s             | .?
delete ns kubectl-session --timeout=60s                    | namespace "kubectl-session" deleted
get ns kubectl-session                                     |1 namespaces "kubectl-session" not found
"""


class Step(NamedTuple):
    command: str
    code: int
    says: str


def steps() -> Iterator[Step]:
    for line in SESSION.strip().splitlines():
        command, _, rest = line.partition("|")
        while " " not in rest[:2] and rest:  # a bar inside the command
            more, _, rest = rest.partition("|")
            command += f"|{more}"
        code, _, says = rest.partition(" ")
        yield Step(command.strip(), int(code or 0), says.strip())


class Kubectl:
    """kubectl with a home, a kubeconfig and files of its own."""

    def __init__(self, mesh: Mesh, folder: Path) -> None:
        self._folder = folder
        (folder / "kubeconfig").write_text(mesh.must("kubeconfig"))
        for name, text in {"web": WEB, "rule": RULE, "other-rule": OTHER_RULE, "bad": RULE.replace("hosts:", "bogus: 1, hosts:")}.items():
            (folder / name).write_text(text)
        (folder / "editor.sh").write_text('sed -i "s/- web$/- edited/" "$1"')
        own = {"KUBECONFIG": str(folder / "kubeconfig"), "HOME": str(folder), "KUBE_EDITOR": f"sh {folder}/editor.sh"}
        self.env = {**os.environ, **own}

    def __call__(self, command: str, stdin: str = "") -> tuple[int, str]:
        parts = re.findall(r'"[^"{}\[\]]*"(?= |$)|\S+', command)
        words = [word.strip('"') if word.startswith('"') else word for word in parts]
        namespace = [] if words[0] in ("config", "cluster-info", "api-versions") else ["-n", NS]
        ran = subprocess.run(
            ["kubectl", *words[:1], *namespace, *words[1:]], cwd=self._folder, env=self.env, input=stdin, capture_output=True, text=True,
            timeout=90, check=False,
        )  # fmt: skip
        return ran.returncode, ran.stdout + ran.stderr


def test_a_session_of_commands(mesh: Mesh, tmp_path: Path) -> None:
    """Each command ends as it does on Kubernetes; the versions and the number of commands are printed."""
    if shutil.which("kubectl") is None:
        pytest.skip("no kubectl on this machine")
    kubectl = Kubectl(mesh, tmp_path)
    wrong, session = [], list(steps())
    try:
        for step in session:
            command = step.command.replace("IMAGE", IMAGE)
            if "POD" in command:
                command = command.replace("POD", kubectl("get pods -l app=web -o jsonpath={.items[0].metadata.name}")[1])
            code, said = kubectl(command, WEB)
            if code != step.code or not re.search(step.says, said, re.MULTILINE):
                wrong.append(f"{command}: code {code}, wanted {step.code} and /{step.says}/, said: {said[-500:]}")
    finally:
        kubectl(f"delete ns {NS} --ignore-not-found --wait=false")
    print(f"\n{len(session)} commands of {kubectl('version')[1].splitlines()[0]}: {len(session) - len(wrong)} as expected")  # noqa: T201
    assert wrong == []
    assert len(session) >= 60


def test_the_session_forwards_ports(mesh: Mesh, tmp_path: Path) -> None:
    """A port of a pod and of its sidecar are reached from the host, through one kubectl."""
    if shutil.which("kubectl") is None:
        pytest.skip("no kubectl on this machine")
    kubectl = Kubectl(mesh, tmp_path)
    command = ["kubectl", "port-forward", f"pod/{mesh.pod('httpbin')}", ":8080", ":15000"]
    with subprocess.Popen(command, env=kubectl.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        try:
            assert running.stdout is not None
            ports: list[str] = []
            while len(ports) < 2:
                ports += re.findall(r"127\.0\.0\.1:(\d+) ->", running.stdout.readline())
            import httpx

            assert httpx.get(f"http://127.0.0.1:{ports[0]}/status/418", timeout=10).status_code == 418
            wait_until(lambda: "LIVE" in httpx.get(f"http://127.0.0.1:{ports[1]}/ready", timeout=10).text, seconds=10, what="Envoy answers")
        finally:
            running.terminate()
            running.wait(10)
