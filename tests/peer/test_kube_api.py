"""What a real API server answered to kubectl and others, asked again of ours: same code, kind and shape."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from lateen.api.kinds import info_of
from lateen.kube.options import LogOptions
from lateen.kube.paths import parse_path
from lateen.serve.http_kube.node import ExecSession, TokenHolder
from lateen.testing.kubeapi import RunningApi, kube_api
from lateen.testing.kubecases import arrange, arrange_conflict, difference_of, make, shape
from lateen.util.wire import length_delimited, text

FOLDERS = ("crd", "discovery", "errors", "gc", "objects", "openapi", "requests", "ssa", "tables", "watch")
DEPLOYMENT = {"metadata": {"name": "web"}}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per recorded file."""
    root = Path(metafunc.config.getoption("--cases")) / "kube-api"
    files = [file for folder in FOLDERS for file in sorted((root / folder).glob("*.json"))]
    metafunc.parametrize("file", files, ids=[f"{file.parent.name}/{file.stem}" for file in files])


class Silent:
    """A command that ends at once."""

    def output(self) -> AsyncIterator[tuple[int, bytes]]:
        return nothing()

    async def write(self, data: bytes) -> None: ...
    async def close_input(self) -> None: ...
    async def resize(self, columns: int, rows: int) -> None: ...
    async def kill(self) -> None: ...

    async def wait(self) -> int:
        return 0


async def nothing() -> AsyncIterator[Any]:
    return
    yield


class Node:
    """A node whose containers say nothing."""

    def logs(self, namespace: str, pod: str, container: str, options: LogOptions) -> AsyncIterator[bytes]:
        return nothing()

    async def exec(self, namespace: str, pod: str, container: str, command: Sequence[str], *, tty: bool, stdin: bool) -> ExecSession:
        return Silent()

    async def connect(self, namespace: str, pod: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", port)

    async def token(self, namespace: str, account: str, audiences: Sequence[str], seconds: int) -> tuple[str, int]:
        return "token", seconds

    async def holder(self, token: str) -> TokenHolder:
        raise ValueError("nobody's")


def test_answer(file: Path, tmp_path: Path) -> None:
    """The answer is that of the recording."""
    case = json.loads(file.read_text())

    async def main() -> str:
        async with kube_api(tmp_path, node=Node()) as api:
            await furnish(api)
            if file.parent.name in ("crd", "openapi") and (different := await of_definitions(api, case, file)) is not None:
                return different
            if "requests" in case:
                return await session(api, case)
            if "events" in case and all("type" in event for event in case["events"]):
                return await watched(api, case)
            return await answered(api, plain(case, file), file)

    assert asyncio.run(asyncio.wait_for(main(), 60)) == ""


def plain(case: Any, file: Path) -> Any:
    """A request and its answer, where a recording has another form."""
    if "events" in case:
        return {"request": case["request"], "response": {"status": case["status"], "body": case["events"][0]}}
    if file.stem.startswith("aggregated-api"):
        path, accept = file.stem.removeprefix("aggregated-"), "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
        return {"request": {"path": f"/{path}", "headers": {"Accept": accept}}, "response": {"status": 200, "body": case["body"]}}
    return case


async def furnish(api: RunningApi) -> None:
    """What every recording found."""
    await make(api.client, "Namespace", {"metadata": {"name": "kt-b"}})


# -- kinds that users define ----------------------------------------------------------------------------------------------


async def of_definitions(api: RunningApi, case: Any, file: Path) -> str | None:
    """The difference where a recording has a form of its own; None where it is a request like others, whose kind is served now."""
    asked = case["request"]["path"] if isinstance(case, dict) and "request" in case else ""
    if "customresourcedefinitions" in asked or not (asked or "widget" in file.stem or file.parent.name == "crd"):
        return None
    raw = json.loads((file.parent.parent / "crd" / "create-response.json").read_text())["request"]["body"]
    info = info_of("CustomResourceDefinition")
    told: list[Any] = []
    uri = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    revision = api.live.store.revision
    reply = await api.client._pool.send("GET", f"{uri}?watch=true&resourceVersion={revision}")
    async with reply:
        await api.client.create(info, raw)
        async for chunk in reply.chunks():
            told += [json.loads(line) for line in chunk.splitlines() if line.strip()]
            if len(told) >= 3:
                break
    if file.stem == "crd-watch-create":
        got = [(each["type"], each["object"]["metadata"]["generation"], undated(each["object"]["status"])) for each in told]
        wanted = [(each["type"], each["generation"], undated(each["status"])) for each in case]
        return "" if got == wanted else f"wanted {wanted}, got {got}"
    if file.stem == "aggregated-entry":
        accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
        groups = json.loads((await send(api, "GET", "/apis", {"Accept": accept}, None))[1])["items"]
        got = [each for each in groups if each["metadata"]["name"] == case[0]["metadata"]["name"]]
        return "" if ordered(got) == ordered(case) else f"wanted {case}, got {got}"
    if file.stem == "v3-crd-widget":
        document = json.loads((await send(api, "GET", "/openapi/v3/apis/kt.example.com/v1", {}, None))[1])
        lacking = sorted(case["paths_keys"].keys() - document["paths"].keys())
        return f"lacking {lacking}" if lacking else ""
    return None


def undated(status: Any) -> Any:
    conditions = [{**each, "lastTransitionTime": ""} for each in status["conditions"] or ()]
    return {**status, "conditions": conditions}


def ordered(value: Any) -> Any:
    """Verbs and subresources come in any order."""
    if isinstance(value, dict):
        return {key: ordered(each) for key, each in value.items()}
    return sorted((ordered(each) for each in value), key=json.dumps) if isinstance(value, list) else value


async def send(api: RunningApi, method: str, uri: str, headers: dict[str, str], body: object) -> tuple[int, bytes]:
    if body is None:
        data = b""
    elif isinstance(body, bytes):
        data = body
    else:
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    reply = await api.client._pool.send(method, uri, headers=headers, body=data)
    return reply.status, await reply.read()


async def answered(api: RunningApi, case: Any, file: Path) -> str:
    request, wanted = case["request"], case["response"]
    method, uri, body = request.get("method", "GET"), request["path"], request.get("body")
    headers = request.get("headers") or {"Accept": request.get("Accept", "application/json")}
    causes = (wanted["body"].get("details") or {}).get("causes", []) if isinstance(wanted["body"], dict) else []
    if any(cause.get("reason") == "FieldManagerConflict" for cause in causes):
        await arrange_conflict(api.client, uri, body, causes)
    elif file.parent.name == "ssa" and wanted["status"] < 300:
        await replay_before(api, file)
    else:
        await arrange(api.client, method, uri, wanted["status"], wanted["body"], api.live.kinds)
    status, content = await send(api, method, uri, headers, await renewed(api, uri, method, wanted["status"], body))
    if status != wanted["status"]:
        return f"code: wanted {wanted['status']}, got {status}: {content[:300]!r}"
    got = json.loads(content) if isinstance(wanted["body"], dict) and content[:1] == b"{" else None
    different = difference_of(wanted["body"], got if got is not None else content.decode())
    if not different and file.parent.name == "objects":
        return ", ".join(sorted(set(shape(wanted["body"])) ^ set(shape(got))))
    return different or (owners(wanted["body"], got) if file.parent.name == "ssa" else "")


async def renewed(api: RunningApi, uri: str, method: str, status: int, body: object) -> object:
    """A replacement names the state it was made from, which is another one here."""
    target = parse_path(urlsplit(uri).path, api.live.kinds) if method in ("PUT", "PATCH") and status < 300 else None
    if target is None or not target.name or "resourceVersion" not in json.dumps(body):
        return body
    live: Any = await api.client.get(target.info, target.name, target.namespace)
    revision = live["metadata"]["resourceVersion"]
    if isinstance(body, list):
        return [step | {"value": revision} if step["path"] == "/metadata/resourceVersion" else step for step in body]
    assert isinstance(body, dict)
    metadata = {name: value for name, value in body["metadata"].items() if name != "uid"}
    return body | {"metadata": metadata | {"resourceVersion": revision}}


def owners(wanted: Any, got: Any) -> str:
    """Who owns what, whenever it was written."""
    told = [
        sorted(json.dumps({**entry, "time": ""}, sort_keys=True) for entry in one.get("metadata", {}).get("managedFields", ()))
        for one in (wanted, got)
    ]
    return "" if told[0] == told[1] else f"owners: wanted {told[0]}, got {told[1]}"


def steps_before(file: Path) -> tuple[Any, list[tuple[int, Any]]]:
    mine = json.loads(file.read_text())
    steps = []
    for other in file.parent.glob("*.json"):
        case = json.loads(other.read_text())
        dry = "dryRun" in case["request"]["path"] or case["request"].get("method") == "GET"
        made = (case["response"]["status"] == 201 and mine["response"]["status"] == 200) or "dryRun" in mine["request"]["path"]
        if other != file and case["response"]["status"] < 300 and not dry and place(case) < place(mine) + made:
            steps.append((place(case), case["request"]))
    return mine, steps


async def replay_before(api: RunningApi, file: Path) -> None:
    """The recordings of one object are steps: those that changed it before, in order of their revision."""
    mine, steps = steps_before(file)
    if file.stem == "deployment-after-update-by-edit":
        await edited(api, steps)
        return
    for _, request in sorted(steps, key=lambda step: step[0]):
        if urlsplit(request["path"]).path.removesuffix("/status").split("/")[-2:] == mine_path(mine):
            await send(api, request["method"], request["path"], request["headers"], request["body"])
    if urlsplit(mine["request"]["path"]).path.endswith("deployments/s1") and "edit" in json.dumps(mine["response"]["body"]):
        await edited(api, [])
    if not steps and mine["response"]["status"] == 200:
        seed = {name: mine["response"]["body"][name] for name in ("addressType", "endpoints", "ports") if name in mine["response"]["body"]}
        labels = mine["response"]["body"]["metadata"].get("labels", {})
        path = urlsplit(mine["request"]["path"]).path.rpartition("/")
        await send(api, "POST", path[0], {}, {"metadata": {"name": path[2], "labels": labels}, **seed})


def mine_path(case: Any) -> list[str]:
    path: str = urlsplit(case["request"]["path"]).path.removesuffix("/status")
    return path.split("/")[-2:]


async def edited(api: RunningApi, steps: list[tuple[int, Any]]) -> None:
    for _, request in sorted(steps, key=lambda step: step[0]):
        if "deployments" in request["path"]:
            await send(api, request["method"], request["path"], request["headers"], request["body"])
    container = {"name": "b", "image": "b:1"}
    patch = {"spec": {"template": {"spec": {"containers": [container]}}}}
    path = "/apis/apps/v1/namespaces/kt-b/deployments/s1?fieldManager=edit"
    await send(api, "PATCH", path, {"Content-Type": "application/strategic-merge-patch+json"}, patch)


def place(case: Any) -> int:
    return int(case["response"]["body"]["metadata"]["resourceVersion"])


# -- commands ----------------------------------------------------------------------------------------------------------


async def session(api: RunningApi, case: Any) -> str:
    """All requests of one command, in order."""
    for request in case["requests"]:
        uri, wanted = request["uri"], request["status"]
        causes = re.findall(
            r'conflict with "(.*?)": ([\w.]+)',
            (request.get("response") or {}).get("message", "") if isinstance(request.get("response"), dict) else "",
        )
        if causes:
            found = [{"message": f'conflict with "{name}"', "field": field} for name, field in causes]
            await arrange_conflict(api.client, uri, request["body"], found)
        else:
            await arrange(api.client, request["method"], uri, wanted, request.get("response"))
        if wanted == 101:
            different = await upgraded(api, request)
        elif "watch=true" in uri:
            different = await opened(api, uri)
        else:
            different = await replayed(api, request)
        if different:
            return f"{request['method']} {uri}: {different}"
    return ""


async def replayed(api: RunningApi, request: Any) -> str:
    uri, wanted = request["uri"].replace("<sha512>", ""), request["status"]
    headers = {k: v for k, v in request["request_headers"].items() if k not in ("If-Modified-Since", "If-None-Match")}
    body = await renewed(api, uri, request["method"], wanted, request.get("body"))
    if isinstance(body, str) and body.startswith("<protobuf>"):
        body = protobuf(body, "namespaces/" not in uri.split("?")[0] or "token" in uri)
    if "continue=" in uri:
        first = json.loads((await send(api, "GET", re.sub(r"continue=[^&]*&", "", uri), headers, None))[1])
        uri = re.sub(r"continue=[^&]*", f"continue={first['metadata']['continue']}", uri)
    status, content = await send(api, request["method"], uri, headers, body)
    if status == 301:
        return ""
    if status != wanted and not (wanted == 304 and status == 200):
        return f"code: wanted {wanted}, got {status}: {content[:300]!r}"
    response = request.get("response")
    if not isinstance(response, dict):
        return ""
    got = json.loads(content)
    return difference_of(response, {name: value for name, value in got.items() if name != "details"})


def protobuf(shown: str, _: bool) -> bytes:  # noqa: FBT001
    """The envelope that the recording shows without its unprintable bytes."""
    words = re.findall(r"[\w./-]+", shown.removeprefix("<protobuf> k8s"))
    at = next(index for index, word in enumerate(words) if re.fullmatch(r"([\w.]+/)?v\d\w*", word))
    api_version, kind = words[at], words[at + 1]
    name = words[at + 2] if kind == "Namespace" else ""
    return b"k8s\0" + length_delimited(1, text(1, api_version) + text(2, kind)) + length_delimited(2, length_delimited(1, text(1, name)))


async def opened(api: RunningApi, uri: str) -> str:
    """A watch that begins."""
    uri = re.sub(r"resourceVersion=[1-9]\d*", f"resourceVersion={api.live.store.revision}", uri)
    reply = await api.client._pool.send("GET", uri)
    status = reply.status
    async with reply:
        return "" if status == 200 else f"code: wanted 200, got {status}"


async def upgraded(api: RunningApi, request: Any) -> str:
    """A WebSocket that opens."""
    reader, writer = await asyncio.open_unix_connection(str(api.socket))
    protocol = next(v for k, v in request["request_headers"].items() if k.lower() == "sec-websocket-protocol")
    lines = [f"GET {request['uri']} HTTP/1.1", "Host: x", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"]
    lines += ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", f"Sec-WebSocket-Protocol: {protocol}", "", ""]
    writer.write("\r\n".join(lines).encode())
    head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    return "" if b" 101 " in head.split(b"\r\n")[0] and protocol.encode() in head else f"wanted 101, got {head[:200]!r}"


# -- watches -----------------------------------------------------------------------------------------------------------


async def watched(api: RunningApi, case: Any) -> str:
    """The events of a recording are brought about and come as they came."""
    request = case.get("request") or case
    uri, events = request["path"], case["events"]
    accept = request.get("Accept", "application/json")
    present = leading(uri, events)
    target = parse_path(urlsplit(uri).path.replace("/watch/", "/"))
    assert target is not None
    if target.namespace:
        await make(api.client, "Namespace", {"metadata": {"name": target.namespace}})
    for event in present:
        await happen(api, target, event)
    uri = re.sub(r"resourceVersion=[1-9]\d{1,6}(?!\d)", f"resourceVersion={api.live.store.revision}", uri)
    if "resourceVersion=1&" in f"{uri}&":
        api.live.store._history("configmaps").floor = 10
    reply = await api.client._pool.send("GET", uri, headers={"Accept": accept})
    if reply.status != case.get("status", 200):
        return f"code: wanted {case.get('status', 200)}, got {reply.status}"
    got: list[Any] = []
    async with asyncio.timeout(20), reply:
        later = list(events[len(present) :])
        await step(api, target, later)
        async for chunk in reply.chunks():
            got += [json.loads(line) for line in chunk.splitlines() if line.strip()]
            if len(got) >= len(events):
                break
            await step(api, target, later)
    told = [[said(event) for event in one] for one in (events, got)]
    return "" if told[0] == told[1] else f"wanted {told[0]}, got {told[1]}"


async def step(api: RunningApi, target: Any, later: list[Any]) -> None:
    while later and later[0]["type"] in ("BOOKMARK", "ERROR"):
        later.pop(0)
    if later:
        await happen(api, target, later.pop(0))


def leading(uri: str, events: list[Any]) -> list[Any]:
    """The events that tell what was there, where the watch begins with that."""
    if re.search(r"resourceVersion=[1-9]", uri) and "sendInitialEvents=true" not in uri:
        return []
    count = next((n for n, event in enumerate(events) if event["type"] != "ADDED"), len(events))
    return events[:count]


async def happen(api: RunningApi, target: Any, event: Any) -> None:
    obj = event["object"]
    meta = obj["rows"][0]["object"]["metadata"] if obj.get("kind") == "Table" else obj["metadata"]
    name = meta["name"]
    if event["type"] == "DELETED":
        await api.client.delete(target.info, name, target.namespace)
    elif event["type"] == "MODIFIED":
        patch = {"metadata": {"annotations": {"n": meta["resourceVersion"]}}}
        await api.client.patch(target.info, name, patch, target.namespace)
    else:
        made = {"metadata": {"name": name, "labels": meta.get("labels", {})}}
        if target.info.kind == "Service":
            made["spec"] = {"ports": [{"port": 80}]}
        await make(api.client, target.info.kind, made, target.namespace)


def said(event: Any) -> tuple[Any, ...]:
    obj = event["object"]
    if obj.get("kind") == "Table":
        row = obj["rows"][0]["object"]["metadata"] if obj["rows"] else {}
        ends = "k8s.io/initial-events-end" in (row.get("annotations") or {})
        return event["type"], "Table", row.get("name"), bool(obj.get("columnDefinitions")), ends
    meta = obj.get("metadata") or {}
    ends = "k8s.io/initial-events-end" in (meta.get("annotations") or {})
    return event["type"], obj.get("kind"), obj.get("apiVersion"), meta.get("name"), obj.get("reason"), obj.get("code"), ends
