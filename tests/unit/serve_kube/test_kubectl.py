"""kubectl itself, unmodified, against the embedded API."""

import asyncio
import os
import re
import shutil
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from lateen.api.kinds import by_kind
from lateen.testing.kubeapi import RunningApi, kube_api

pytestmark = pytest.mark.slow  # a kubectl process takes a tenth of a second

POD: Any = by_kind("Pod")
DEPLOYMENT: Any = by_kind("Deployment")

RULE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, labels: {app: reviews}}
spec:
  hosts: [reviews]
  http:
  - route: [{destination: {host: reviews, subset: v1}}]
"""
WEB = """
apiVersion: v1
kind: Service
metadata: {name: web, labels: {app: web}}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80}, {name: admin, port: 81}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: web:1
        env: [{name: A, value: "1"}]
        ports: [{containerPort: 8080}]
"""


class Done(NamedTuple):
    code: int
    out: str
    err: str


class Kubectl:
    """One kubectl binary with a home and a kubeconfig of its own."""

    def __init__(self, binary: str, api: RunningApi, folder: Path) -> None:
        self._binary = binary
        self._folder = folder
        self._env = {**os.environ, "KUBECONFIG": str(api.kubeconfig), "HOME": str(folder), "KUBE_EDITOR": f"sh {folder}/editor.sh"}

    def editor(self, script: str) -> None:
        (self._folder / "editor.sh").write_text(script)

    async def __call__(self, *args: str, stdin: str = "") -> Done:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(self._binary, *args, stdin=pipe, stdout=pipe, stderr=pipe, env=self._env)
        try:
            out, err = await asyncio.wait_for(process.communicate(stdin.encode()), 60)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return Done(process.returncode or 0, out.decode(), err.decode())

    async def ok(self, *args: str, stdin: str = "") -> str:
        done = await self(*args, stdin=stdin)
        assert done.code == 0, (args, done)
        return done.out


def binaries() -> list[str]:
    """Kubectl 1.32 and its older brother where the machine has them, else whatever `kubectl` is."""
    found = [name for name in ("kubectl.1.28", "kubectl.1.31", "kubectl.1.32", "kubectl.1.33") if shutil.which(name, path=_path())]
    return found or ["kubectl"]


def _path() -> str:
    main = shutil.which("kubectl")
    return f"{os.environ.get('PATH', '')}:{Path(main).resolve().parent}" if main else os.environ.get("PATH", "")


Check = Callable[[Kubectl, RunningApi], Coroutine[Any, Any, None]]


def run(folder: Path, binary: str, check: Check, node: Any = None) -> None:
    path = shutil.which(binary, path=_path())
    if path is None:
        pytest.skip("no kubectl on this machine")

    async def main() -> None:
        async with kube_api(folder, node=node() if node else None, tls=True) as api:
            await check(Kubectl(path, api, folder), api)

    asyncio.run(asyncio.wait_for(main(), 110))


@pytest.mark.parametrize("binary", binaries())
def test_apply_get_and_change(tmp_path: Path, binary: str) -> None:
    """The commands of every day, each with its expected outcome."""

    async def check(kubectl: Kubectl, api: RunningApi) -> None:
        assert await kubectl.ok("apply", "-f", "-", stdin=RULE) == "virtualservice.networking.istio.io/reviews created\n"
        assert await kubectl.ok("apply", "-f", "-", stdin=RULE) == "virtualservice.networking.istio.io/reviews unchanged\n"
        changed = RULE.replace("subset: v1", "subset: v2")
        assert "+        subset: v2" in (await kubectl("diff", "-f", "-", stdin=changed)).out
        assert "configured (server dry run)" in await kubectl.ok("apply", "--dry-run=server", "-f", "-", stdin=changed)
        assert "configured" in await kubectl.ok("apply", "-f", "-", stdin=changed)
        rows = (await kubectl.ok("get", "vs")).splitlines()
        assert re.split(r"\s{2,}", rows[0]) == ["NAME", "GATEWAYS", "HOSTS", "AGE"]
        assert re.split(r"\s{2,}", rows[1])[:2] == ["reviews", '["reviews"]']
        assert await kubectl.ok("get", "vs", "-l", "app=reviews", "-o", "name") == "virtualservice.networking.istio.io/reviews\n"
        assert await kubectl.ok("get", "vs", "reviews", "-o", "jsonpath={.spec.http[0].route[0].destination.subset}") == "v2"
        await kubectl.ok("label", "vs", "reviews", "tier=back")
        await kubectl.ok("annotate", "vs", "reviews", "note=x")
        await kubectl.ok("patch", "vs", "reviews", "--type=merge", "-p", '{"spec":{"hosts":["b"]}}')
        await kubectl.ok("patch", "vs", "reviews", "--type=json", "-p", '[{"op":"add","path":"/spec/hosts/-","value":"c"}]')
        kubectl.editor('sed -i "s/- c/- d/" "$1"')
        assert "edited" in await kubectl.ok("edit", "vs", "reviews")
        assert await kubectl.ok("get", "vs", "reviews", "-o", "jsonpath={.spec.hosts}{.metadata.labels.tier}") == '["b","d"]back'
        assert "replaced" in await kubectl.ok("replace", "-f", "-", stdin=RULE)
        assert "serverside-applied" in await kubectl.ok("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=changed)
        assert "Hosts:" in await kubectl.ok("describe", "vs", "reviews")
        assert "deleted" in await kubectl.ok("delete", "vs", "reviews")
        gone = await kubectl("get", "vs", "reviews")
        assert gone.err == 'Error from server (NotFound): virtualservices.networking.istio.io "reviews" not found\n'

    run(tmp_path, binary, check)


@pytest.mark.parametrize("binary", binaries())
def test_workloads_and_strategic_patches(tmp_path: Path, binary: str) -> None:
    """Built-in kinds: apply merges lists by key, scale, set, rollout, wait."""

    async def check(kubectl: Kubectl, api: RunningApi) -> None:
        assert await kubectl.ok("apply", "-f", "-", stdin=WEB) == "service/web created\ndeployment.apps/web created\n"
        extra = await kubectl.ok(
            "patch", "deploy", "web", "-p", '{"spec":{"template":{"spec":{"containers":[{"name":"side","image":"s:1"}]}}}}'
        )
        assert "patched" in extra
        assert "configured" in await kubectl.ok("apply", "-f", "-", stdin=WEB.replace("web:1", "web:2"))
        images = await kubectl.ok("get", "deploy", "web", "-o", "jsonpath={range .spec.template.spec.containers[*]}{.name}={.image} {end}")
        assert set(images.split()) == {"web=web:2", "side=s:1"}
        await kubectl.ok("set", "image", "deploy/web", "web=web:3")
        await kubectl.ok("set", "env", "deploy/web", "-c", "web", "B=2")
        await kubectl.ok("scale", "deploy/web", "--replicas=5")
        await kubectl.ok("scale", "deploy/web", "--current-replicas=5", "--replicas=3")
        await kubectl.ok("rollout", "restart", "deploy/web")
        row = re.split(r"\s{2,}", (await kubectl.ok("get", "deploy", "web", "-o", "wide")).splitlines()[1])
        assert row[:4] == ["web", "0/3", "0", "0"]
        assert row[6] in ("web:3,s:1", "s:1,web:3")
        generation = int(await kubectl.ok("get", "deploy", "web", "-o", "jsonpath={.metadata.generation}"))
        waiting = asyncio.create_task(kubectl("rollout", "status", "deploy/web", "--timeout=30s"))
        counts = {"replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3, "observedGeneration": generation}
        await api.client.patch_status(DEPLOYMENT, "web", counts, "default")
        assert "successfully rolled out" in (await waiting).out
        assert "condition met" in await kubectl.ok("wait", "--for=jsonpath={.status.readyReplicas}=3", "deploy/web", "--timeout=20s")
        service = await kubectl.ok("get", "svc", "web", "-o", "wide")
        assert re.search(r"web\s+ClusterIP\s+10\.96\.\d+\.\d+\s+<none>\s+80/TCP,81/TCP\s+\d+s\s+app=web", service)
        assert "deployment.apps/web" in await kubectl.ok("get", "all")
        assert "Endpoints:" in await kubectl.ok("describe", "svc", "web")
        assert "StrategyType:" in await kubectl.ok("describe", "deploy", "web")
        assert "deleted" in await kubectl.ok("delete", "deploy,svc", "--all")
        assert "No resources found" in (await kubectl("get", "deploy,svc")).err

    run(tmp_path, binary, check)


@pytest.mark.parametrize("binary", binaries())
def test_mistakes_are_told_by_field(tmp_path: Path, binary: str) -> None:
    """Strict validation is kubectl's default: an unknown field is refused, or warned about when asked."""

    async def check(kubectl: Kubectl, api: RunningApi) -> None:
        bad = RULE.replace("hosts: [reviews]", "hosts: [reviews]\n  bogus: 1")
        refused = await kubectl("create", "-f", "-", stdin=bad)
        assert refused.code == 1
        assert 'strict decoding error: unknown field "spec.bogus"' in refused.err
        warned = await kubectl("create", "--validate=warn", "-f", "-", stdin=bad)
        assert (warned.code, warned.err) == (0, 'Warning: unknown field "spec.bogus"\n')
        twice = await kubectl("create", "-f", "-", stdin=RULE)
        assert "AlreadyExists" in twice.err
        assert "doesn't have a resource type" in (await kubectl("get", "nonsense")).err
        assert 'namespaces "nowhere" not found' in (await kubectl("apply", "-n", "nowhere", "-f", "-", stdin=RULE)).err

    run(tmp_path, binary, check)


def test_watching_and_waiting(tmp_path: Path) -> None:
    """Get -w prints changes as they come; wait and delete return when it is true."""

    async def check(kubectl: Kubectl, api: RunningApi) -> None:
        await kubectl.ok("apply", "-f", "-", stdin=RULE)
        arguments = ["get", "vs", "-w", "-o", "jsonpath={.spec.hosts[0]} "]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(kubectl._binary, *arguments, stdout=pipe, stderr=pipe, env=kubectl._env)
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readuntil(b" "), 30) == b"reviews "
        await api.client.patch(by_kind("VirtualService"), "reviews", {"spec": {"hosts": ["z"]}}, "default")  # type: ignore[arg-type]
        assert await asyncio.wait_for(process.stdout.readuntil(b" "), 30) == b"z "
        process.kill()
        await process.communicate()
        waiting = asyncio.create_task(kubectl("wait", "--for=delete", "vs/reviews", "--timeout=30s"))
        await kubectl.ok("delete", "vs", "reviews")
        assert (await waiting).code == 0

    run(tmp_path, binaries()[-1], check)


def test_pods_have_logs_and_commands(tmp_path: Path, fake_node: Any) -> None:
    """logs, exec with output, input and exit code, describe, graceful delete."""

    async def check(kubectl: Kubectl, api: RunningApi) -> None:
        await api.client.create(POD, {"metadata": {"name": "p"}, "spec": {"nodeName": "n", "containers": [{"name": "c", "image": "i"}]}})
        ready = {"name": "c", "ready": True, "restartCount": 1, "state": {"running": {}}, "image": "i", "imageID": "", "started": True}
        status = {"phase": "Running", "podIP": "10.1.2.3", "containerStatuses": [ready]}
        await api.client.patch_status(POD, "p", status, "default")
        row = re.split(r"\s{2,}", (await kubectl.ok("get", "pod", "p", "-o", "wide")).splitlines()[1])
        assert [*row[:4], *row[5:7]] == ["p", "1/1", "Running", "1", "10.1.2.3", "n"]
        assert await kubectl.ok("logs", "p", "--tail=1") == "three\n"
        assert await kubectl.ok("exec", "p", "--", "echo", "hi") == "hi\n"
        assert await kubectl.ok("exec", "-i", "p", "--", "wc", "-c", stdin="12345") == "5\n"
        failed = await kubectl("exec", "p", "--", "sh", "-c", "exit 7")
        assert (failed.code, failed.err) == (7, "command terminated with exit code 7\n")
        assert "Containers:" in await kubectl.ok("describe", "pod", "p")
        await kubectl.ok("delete", "pod", "p", "--wait=false")
        assert "Terminating" in await kubectl.ok("get", "pod", "p")
        await kubectl.ok("delete", "pod", "p", "--grace-period=0", "--force")
        assert "No resources found" in (await kubectl("get", "pods")).err

    run(tmp_path, binaries()[-1], check, fake_node)


def test_the_server_describes_itself(tmp_path: Path) -> None:
    """version, api-resources, cluster-info, raw paths, and who I am."""

    async def check(kubectl: Kubectl, api: RunningApi) -> None:
        assert "Server Version: v1.32" in await kubectl.ok("version")
        resources = await kubectl.ok("api-resources")
        assert re.search(r"^virtualservices\s+vs\s+networking.istio.io/v1\s+true\s+VirtualService$", resources, re.MULTILINE)
        assert "networking.istio.io/v1beta1" in await kubectl.ok("api-versions")
        assert await kubectl.ok("get", "--raw", "/readyz") == "ok"
        assert "is running at" in await kubectl.ok("cluster-info")

    run(tmp_path, binaries()[-1], check)


@pytest.mark.parametrize("binary", binaries())
def test_kinds_are_explained(tmp_path: Path, binary: str) -> None:
    """`explain` prints the fields of our types, down to one of them, in the version that was asked for."""

    async def check(kubectl: Kubectl, api: RunningApi) -> None:
        explained = await kubectl.ok("explain", "virtualservice.spec.http")
        assert re.search(r"VERSION:\s+v1\n", explained)
        assert re.search(r"FIELD: http <\[\]HTTPRoute>", explained)
        assert re.search(r"retries\s+<HTTPRetry>", explained)
        assert "VERSION:    v1beta1" in await kubectl.ok("explain", "vs", "--api-version=networking.istio.io/v1beta1")
        assert "containerPort" in await kubectl.ok("explain", "pods.spec.containers.ports")
        assert "outlierDetection" in await kubectl.ok("explain", "dr", "--recursive")
        assert "does not exist" in (await kubectl("explain", "vs.spec.bogus")).err

    run(tmp_path, binary, check)


@pytest.mark.parametrize("binary", binaries())
def test_imperative_commands(tmp_path: Path, binary: str, fake_node: Any) -> None:
    """What kubectl from 1.32 on sends as protobuf, and older ones as JSON, arrives as the same objects."""

    async def check(kubectl: Kubectl, api: RunningApi) -> None:
        assert await kubectl.ok("create", "namespace", "shop") == "namespace/shop created\n"
        await kubectl.ok("create", "configmap", "c", "--from-literal=a=1")
        assert await kubectl.ok("get", "cm", "c", "-o", "jsonpath={.data}") == '{"a":"1"}'
        await kubectl.ok("create", "secret", "generic", "s", "--from-literal=a=1")
        assert await kubectl.ok("get", "secret", "s", "-o", "jsonpath={.type}{.data.a}") == "OpaqueMQ=="
        await kubectl.ok("create", "serviceaccount", "sa")
        await kubectl.ok("create", "deployment", "d", "--image=i:1", "--replicas=0", "--port=80")
        shown = "{.spec.replicas} {.spec.template.spec.containers[0].ports[0].containerPort} {.spec.selector.matchLabels.app}"
        assert await kubectl.ok("get", "deploy", "d", "-o", f"jsonpath={shown}") == "0 80 d"
        await kubectl.ok("create", "service", "clusterip", "d", "--tcp=80:8080")
        assert await kubectl.ok("get", "svc", "d", "-o", "jsonpath={.spec.ports[0].targetPort} {.spec.selector.app}") == "8080 d"
        assert await kubectl.ok("auth", "can-i", "create", "vs") == "yes\n"
        assert "tester" in await kubectl.ok("auth", "whoami")
        assert re.search(r"\*\.\*\s+\[\]\s+\[\]\s+\[\*\]", await kubectl.ok("auth", "can-i", "--list"))
        refused = await kubectl("create", "configmap", "c")
        assert 'configmaps "c" already exists' in refused.err
        assert await kubectl.ok("create", "token", "sa", "--audience=x", "--duration=10m") == "token of sa for x"

    run(tmp_path, binary, check, fake_node)


BOAT = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: boats.sea.example}
spec:
  group: sea.example
  scope: Namespaced
  names: {plural: boats, kind: Boat, shortNames: [bt], categories: [all]}
  versions:
  - name: v1
    served: true
    storage: true
    additionalPrinterColumns: [{name: Size, type: integer, jsonPath: .spec.size}]
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties: {size: {type: integer, minimum: 1, description: how long it is}}
"""


@pytest.mark.parametrize("binary", binaries())
def test_a_kind_that_the_user_defines(tmp_path: Path, binary: str) -> None:
    """Applied, waited for, used under its short name, explained, and gone with its definition."""

    async def check(kubectl: Kubectl, api: RunningApi) -> None:
        boat = "apiVersion: sea.example/v1\nkind: Boat\nmetadata: {name: a}\nspec: {size: 3}\n"
        assert "created" in await kubectl.ok("apply", "-f", "-", stdin=BOAT)
        await kubectl.ok("wait", "--for=condition=Established", "crd/boats.sea.example", "--timeout=20s")
        assert "boat.sea.example/a created" in await kubectl.ok("apply", "-f", "-", stdin=boat)
        assert "boat.sea.example/a unchanged" in await kubectl.ok("apply", "-f", "-", stdin=boat)
        refused = await kubectl("apply", "-f", "-", stdin=boat.replace("3", "0"))
        assert "spec.size in body should be greater than or equal to 1" in refused.err
        assert 'unknown field "spec.sise"' in (await kubectl("apply", "-f", "-", stdin=boat.replace("size", "sise"))).err
        rows = [re.split(r"\s{2,}", line) for line in (await kubectl.ok("get", "bt")).splitlines()]
        assert rows == [["NAME", "SIZE"], ["a", "3"]]
        assert "how long it is" in await kubectl.ok("explain", "boats.spec.size")
        await kubectl.ok("delete", "crd", "boats.sea.example", "--timeout=20s")
        assert "the server doesn't have a resource type" in (await kubectl("get", "boats.sea.example")).err

    run(tmp_path, binary, check)


@pytest.mark.parametrize("binary", binaries())
def test_kinds_are_explained_from_version_2_too(tmp_path: Path, binary: str) -> None:
    """The one document that old versions of kubectl read, in its protobuf form."""

    async def check(kubectl: Kubectl, api: RunningApi) -> None:
        explained = await kubectl.ok("explain", "vs.spec.http.retries", "--output=plaintext-openapiv2")
        assert re.search(r"attempts\s+<integer>", explained)
        assert re.search(
            r"RESOURCE: containers <\[\]Object>", await kubectl.ok("explain", "pod.spec.containers", "--output=plaintext-openapiv2")
        )

    run(tmp_path, binary, check)
