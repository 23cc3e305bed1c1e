"""TrafficExtensions and WasmPlugins on a real Envoy: Lua and Wasm, where they are for, in their order."""

import asyncio
import base64
import json
from typing import Any

import pytest

from lateen.model.module import Module
from lateen.sources.outward import BLOCKED, Outward
from lateen.sources.wasmmodules import ModuleSource
from lateen.testing.liveenvoy import SIDECAR, LiveEnvoy
from lateen.testing.manifests import service
from lateen.testing.mesh import Ask, Mesh
from lateen.testing.registry import registry
from lateen.testing.waiting import wait_until
from lateen.testing.yard import Dial, Heard

pytestmark = [pytest.mark.envoy, pytest.mark.netns, pytest.mark.slow]

SERVICES = service("web", 1) + service("shop", 2)
WEB, SHOP = (Dial(address=f"10.96.0.{number}", port=80, redirect=15001, host=name) for number, name in ((1, "web"), (2, "shop")))
PASSED = Dial(address="10.0.9.9", port=8080, redirect=15006)


def extension(name: str, namespace: str = "default", kind: str = "TrafficExtension", **spec: Any) -> str:
    """An extension as YAML."""
    meta = {"name": name, "namespace": namespace}
    return "---\n" + json.dumps({"apiVersion": "extensions.istio.io/v1alpha1", "kind": kind, "metadata": meta, "spec": spec}) + "\n"


def passing(name: str, namespace: str = "default", **spec: Any) -> str:
    """Lua that writes its name behind those before it, for requests and answers."""
    request, answer = (
        f'function envoy_on_{when}(h) h:headers():replace("x-passed", (h:headers():get("x-passed") or "") .. "{name} ") end\n'
        for when in ("request", "response")
    )
    return extension(name, namespace, lua={"inlineCode": request + answer}, **spec)


def passed(heard: Heard) -> list[str]:
    """Through what the request went."""
    told: dict[str, str] = {name.lower(): value for name, value in heard.json()["headers"].items()}
    return told.get("x-passed", "").split()


def _part(number: int, content: bytes) -> bytes:
    return bytes((number, len(content))) + content


def _name(text: str) -> bytes:
    return bytes((len(text),)) + text.encode()


def module(answer: str) -> bytes:
    """WebAssembly that answers every request itself, with 418 and `answer`, by the interface of proxies (ABI 0.2.1)."""
    number = b"\x7f"
    types = (
        b"\x60\x08" + number * 8 + b"\x01" + number,
        b"\x60\x03" + number * 3 + b"\x01" + number,
        b"\x60\x00\x00",
        b"\x60\x01\x7f\x01\x7f",
    )
    exports = (
        _name("memory") + b"\x02\x00",
        _name("proxy_abi_version_0_2_1") + b"\x00\x01",
        _name("proxy_on_request_headers") + b"\x00\x02",
        _name("proxy_on_memory_allocate") + b"\x00\x03",
    )
    # proxy_send_local_response(418, no details, the text at 16, the empty list of headers at 0, no gRPC status); stop
    body = b"\x41\xa2\x03\x41\x00\x41\x00\x41\x10\x41" + bytes((len(answer),)) + b"\x41\x00\x41\x04\x41\x7f\x10\x00\x1a\x41\x01\x0b"
    code = (b"\x02\x00\x0b", bytes((len(body) + 1, 0)) + body, b"\x05\x00\x41\x80\x08\x0b")
    return b"\x00asm\x01\x00\x00\x00" + b"".join(
        (
            _part(1, bytes((len(types),)) + b"".join(types)),
            _part(2, b"\x01" + _name("env") + _name("proxy_send_local_response") + b"\x00\x00"),
            _part(3, b"\x03\x02\x01\x03"),
            _part(5, b"\x01\x00\x01"),
            _part(7, bytes((len(exports),)) + b"".join(exports)),
            _part(10, bytes((len(code),)) + b"".join(code)),
            _part(11, b"\x01\x00\x41\x10\x0b" + _name(answer)),
        )
    )


def test_scripts_stand_where_phase_and_priority_say(sidecar: LiveEnvoy) -> None:
    """Phases in their order, in each the higher priority first, then the root namespace's; a selector and targets narrow them."""
    sidecar.obey(
        SERVICES,
        passing("last"),
        passing("stats", phase="STATS"),
        passing("authz", phase="AUTHZ"),
        passing("authn", phase="AUTHN", selector={"matchLabels": {"app": "client"}}),
        passing("high", phase="AUTHZ", priority=10),
        passing("everywhere", "istio-system", phase="AUTHZ"),
        passing("elsewhere", selector={"matchLabels": {"app": "other"}}),
        passing("foreign", "shops"),
        passing("gateways", targetRefs=[{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "gateway"}]),
    )
    order = ["authn", "high", "everywhere", "authz", "stats", "last"]
    assert passed(sidecar.ask(WEB)[0]) == order


def test_scripts_see_the_traffic_that_matches(sidecar: LiveEnvoy) -> None:
    """What the workload sends, what it gets, at some ports."""
    sidecar.obey(
        SERVICES,
        passing("client", match=[{"mode": "CLIENT"}]),
        passing("server", match=[{"mode": "SERVER"}]),
        passing("both", match=[{"mode": "CLIENT_AND_SERVER", "ports": [{"number": 80}]}]),
        passing("ports", match=[{"ports": [{"number": 1}]}, {"ports": [{"number": 8080}]}]),
    )
    assert passed(sidecar.ask(WEB)[0]) == ["both", "client"]


def test_modules_are_read_from_files(sidecar: LiveEnvoy) -> None:
    """A WasmPlugin and a TrafficExtension answer in place of the server; another file, and the next request is answered by it."""
    first, second = sidecar.folder / "first.wasm", sidecar.folder / "second.wasm"
    for file in (first, second):
        file.write_bytes(module(file.stem))
    sidecar.obey(SERVICES, extension("mine", kind="WasmPlugin", url=first.as_uri(), pluginConfig={"a": 1}, phase="AUTHN"))
    heard = sidecar.ask(WEB)[0]
    assert (heard.status, heard.body) == (418, "first")
    drained = sidecar.statistics("listener_manager.listener_(modified|in_place_updated)$")
    sidecar.obey(SERVICES, extension("mine", kind="WasmPlugin", url=second.as_uri(), pluginConfig={"a": 1}, phase="AUTHN"))
    assert sidecar.ask(WEB)[0].body == "second"
    assert sidecar.statistics("listener_manager.listener_(modified|in_place_updated)$") == drained
    sidecar.obey(SERVICES, extension("mine", wasm={"url": first.as_uri()}))
    assert sidecar.ask(WEB)[0].body == "first"


def test_modules_that_cannot_be_had(sidecar: LiveEnvoy) -> None:
    """Requests are refused, or go on without them where the object says so."""
    address = "oci://registry.example/module:1"
    sidecar.obey(SERVICES, extension("mine", kind="WasmPlugin", url=address))
    assert sidecar.ask(WEB)[0].status == 403
    sidecar.obey(SERVICES, extension("mine", kind="WasmPlugin", url=address, failStrategy="FAIL_OPEN"))
    assert sidecar.ask(WEB)[0].status == 200


def test_modules_are_fetched(sidecar: LiveEnvoy) -> None:
    """From a server and from a registry with a login; while a newer one cannot be had the one before acts, and the object says so."""
    loopback = Outward([one for one in BLOCKED if not one.startswith("127.")])
    with registry(login="me:secret") as served:
        served.answers["/first.wasm"] = module("first")
        served.push("mine", "v1", module("second"), "application/vnd.module.wasm.content.layer.v1+wasm")
        login = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login", "namespace": "default"}}
        data = {".dockerconfigjson": base64.b64encode(served.pull_secret()).decode()}
        world = sidecar.world(SERVICES)
        world.put({**login, "type": "kubernetes.io/dockerconfigjson", "data": data})

        def answered(url: str, **spec: Any) -> str:
            """What a request is answered, when all that can be fetched was."""
            world.load(extension("mine", kind="WasmPlugin", url=url, **spec))
            world.commit()
            for key, wanted in world.world.base.wanted_modules().items():
                before = world.world.base.modules.get(key)
                try:
                    found = Module(ref=wanted.ref, data=asyncio.run(ModuleSource(loopback).fetch(wanted)))
                except ValueError as error:
                    found = Module(ref=wanted.ref, data=before.data if before is not None else b"", failure=str(error))
                world.world.base.modules.set(key, found)
            sidecar.hold(world.snapshot(SIDECAR))
            return sidecar.ask(WEB)[0].body

        assert answered(f"http://{served.address}/first.wasm") == "first"
        assert answered(f"oci://{served.address}/mine:v1", imagePullSecret="login") == "second"
        assert answered(f"oci://{served.address}/mine:v2", imagePullSecret="login") == "second"
        problems = [one.message for found in world.graph.problems().values() for one in found]
        assert any("answered 404 for manifests; until it is, the one from before stays" in one for one in problems)


def test_a_script_that_envoy_refuses_is_told_and_holds_nothing_up(mesh: Mesh) -> None:
    """One that acts, then its broken form: the form before acts on, and the object says what Envoy said."""
    where = {"matchLabels": {"app": "httpbin"}}
    good = extension("script", lua={"inlineCode": 'function envoy_on_response(h) h:headers():add("x-script", "yes") end'}, selector=where)
    broken = extension("script", lua={"inlineCode": "this is no Lua"}, selector=where)

    def answered() -> tuple[int, str]:
        reply = mesh.calls_from(mesh.pod("curl"), [Ask("http://httpbin:8000/get")])[0]
        return reply.status, reply.headers.get("x-script", "")

    with mesh.in_force(good, url="http://httpbin:8000/get"):
        assert answered() == (200, "yes")
        mesh.apply(broken)
        wait_until(lambda: "Rejected" in mesh.conditions("trafficextension", "script"), seconds=10, what="the broken script is told")
        assert "script" in mesh.conditions("trafficextension", "script")["Rejected"][1]
        assert answered() == (200, "yes")
    assert answered() == (200, "")


PROGRAM = "import http.server as h, sys; open('m.wasm', 'wb').write(bytes.fromhex('%s')); h.test(h.SimpleHTTPRequestHandler, port=8000)"
MODULES = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "modules", "labels": {"app": "modules", "sidecar.istio.io/inject": "false"}},
    "spec": {
        "terminationGracePeriodSeconds": 0,
        "volumes": [{"name": "files", "emptyDir": {}}],
        "containers": [
            {
                "name": "main",
                "image": "nginx",
                "workingDir": "/files",
                "volumeMounts": [{"name": "files", "mountPath": "/files"}],
                "command": ["python3", "-c", PROGRAM % module("fetched").hex()],
                "readinessProbe": {"tcpSocket": {"port": 8000}, "periodSeconds": 1},
            }
        ],
    },
}


def test_a_mesh_fetches_modules(mesh: Mesh) -> None:
    """From a server in the mesh, once for all its proxies; what cannot be had refuses requests, and the object says why."""

    def answered() -> tuple[int, str]:
        reply = mesh.calls_from(mesh.pod("curl"), [Ask("http://httpbin:8000/get")])[0]
        return reply.status, reply.body

    with mesh.applied(json.dumps(MODULES)):
        wait_until(lambda: mesh.ready("modules"), seconds=20, what="the server of modules")
        base = f"http://{mesh.pod_address('modules')}:8000"
        where = {"matchLabels": {"app": "httpbin"}}
        good = extension("mine", kind="WasmPlugin", url=f"{base}/m.wasm", selector=where)
        with mesh.in_force(good, url="http://httpbin:8000/get"):
            wait_until(lambda: answered() == (418, "fetched"), seconds=10, what="the module acts")
            mesh.apply(extension("mine", kind="WasmPlugin", url=f"{base}/gone.wasm", selector=where))
            wait_until(lambda: "answered 404" in str(mesh.conditions("wasmplugin", "mine")), seconds=10, what="the failure is told")
            assert answered() == (418, "fetched")
    wait_until(lambda: answered()[0] == 200, seconds=10, what="nothing is left of it")
