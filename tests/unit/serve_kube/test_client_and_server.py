"""Client, HTTP door and store together, over the owner's socket."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from lateen.api.kinds import KindInfo, by_kind
from lateen.kube.errors import ApiError
from lateen.kube.listing import ListOptions, list_page
from lateen.sources.kubeclient import Endpoint, KubeClient, UnreachableError
from lateen.testing.kubeapi import RunningApi, kube_api

Check = Callable[[RunningApi], Coroutine[Any, Any, None]]
VS: Any = by_kind("VirtualService")
CM: Any = by_kind("ConfigMap")
DEPLOYMENT: Any = by_kind("Deployment")
NAMESPACE: Any = by_kind("Namespace")


def run(folder: Path, check: Check, **options: Any) -> None:
    async def main() -> None:
        async with kube_api(folder, **options) as api:
            await check(api)

    asyncio.run(asyncio.wait_for(main(), 60))


def rule(name: str, host: str = "a", **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": VS.api_version, "kind": "VirtualService", "metadata": {"name": name, **metadata}, "spec": {"hosts": [host]}}


def test_an_object_goes_through_its_life(tmp_path: Path) -> None:
    """create, get, replace, the four patches, status, delete."""

    async def check(api: RunningApi) -> None:
        made: Any = await api.client.create(VS, rule("v"))
        assert made == await api.client.get(VS, "v", "default")
        made["spec"]["hosts"] = ["b"]
        replaced: Any = await api.client.replace(VS, made)
        assert replaced["metadata"]["generation"] == 2
        with pytest.raises(ApiError) as refused:
            await api.client.replace(VS, made)
        assert refused.value.reason == "Conflict"
        merged: Any = await api.client.patch(VS, "v", {"metadata": {"labels": {"x": "y"}}}, "default")
        assert merged["metadata"]["labels"] == {"x": "y"}
        stepped: Any = await api.client.patch(VS, "v", [{"op": "add", "path": "/spec/hosts/-", "value": "c"}], "default", kind="json")
        assert stepped["spec"]["hosts"] == ["b", "c"]
        with pytest.raises(ApiError) as refused:
            await api.client.patch(VS, "v", {}, "default", kind="strategic")
        assert refused.value.code == 415
        told: Any = await api.client.patch_status(VS, "v", {"observedGeneration": 3}, "default")
        assert told["status"] == {"observedGeneration": 3}
        assert (await api.client.delete(VS, "v", "default"))["status"] == "Success"
        with pytest.raises(ApiError) as refused:
            await api.client.get(VS, "v", "default")
        assert refused.value.message == 'virtualservices.networking.istio.io "v" not found'

    run(tmp_path, check)


def test_apply_creates_then_merges(tmp_path: Path) -> None:
    """Server-side apply in its first form."""

    async def check(api: RunningApi) -> None:
        made: Any = await api.client.patch(VS, "v", rule("v"), "default", kind="apply")
        again: Any = await api.client.patch(VS, "v", rule("v"), "default", kind="apply")
        assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
        changed: Any = await api.client.patch(VS, "v", rule("v", "b"), "default", kind="apply", force=True)
        assert changed["spec"]["hosts"] == ["b"]

    run(tmp_path, check)


def test_any_version_reads_the_same_object(tmp_path: Path) -> None:
    """v1beta1 and v1 are two names of one object."""

    async def check(api: RunningApi) -> None:
        await api.client.create(VS, rule("v") | {"apiVersion": "networking.istio.io/v1"})
        body = await api.client.request("GET", "/apis/networking.istio.io/v1alpha3/namespaces/default/virtualservices/v")
        assert b'"apiVersion":"networking.istio.io/v1alpha3"' in body

    run(tmp_path, check)


def test_a_list_is_read_in_pages(tmp_path: Path) -> None:
    """`limit` bounds an answer, not what the caller gets; every item says what it is."""

    async def check(api: RunningApi) -> None:
        for n in range(7):
            await api.client.create(CM, {"metadata": {"name": f"c{n}", "labels": {"odd": str(n % 2)}}})
        listing: Any = await api.client.list(CM, "default", limit=2)
        assert [item["metadata"]["name"] for item in listing.items] == [f"c{n}" for n in range(7)]
        assert {(item["apiVersion"], item["kind"]) for item in listing.items} == {("v1", "ConfigMap")}
        assert len((await api.client.list(CM, label_selector="odd=1")).items) == 3
        assert len((await api.client.list(CM, field_selector="metadata.name=c3")).items) == 1

    run(tmp_path, check)


async def collected(api: RunningApi, count: int, **options: Any) -> list[tuple[str, str]]:
    events = []
    async with aclosing(api.client.watch(CM, **options)) as stream:
        async for event in stream:
            events.append((event.type, str(event.object["metadata"]["name"])))  # type: ignore[index]
            if len(events) == count:
                break
    return events


def test_a_watch_resumes_where_it_stopped(tmp_path: Path) -> None:
    """Events after a revision, in order, also those from before the watch began."""

    async def check(api: RunningApi) -> None:
        start = (await api.client.list(CM)).resource_version
        await api.client.create(CM, {"metadata": {"name": "a"}})
        watching = asyncio.create_task(collected(api, 3, resource_version=start))
        await api.client.patch(CM, "a", {"data": {"x": "y"}}, "default")
        await api.client.delete(CM, "a", "default")
        assert await watching == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]
        await api.client.create(CM, {"metadata": {"name": "b"}})
        assert await collected(api, 1) == [("ADDED", "b")]

    run(tmp_path, check)


def test_a_watch_of_the_forgotten_past_is_gone(tmp_path: Path) -> None:
    """410 inside the stream becomes an ApiError."""

    async def check(api: RunningApi) -> None:
        api.live.store._history("configmaps").floor = 5
        with pytest.raises(ApiError) as gone:
            await collected(api, 1, resource_version="3")
        assert gone.value.code == 410

    run(tmp_path, check)


def test_bookmarks_come_before_the_end(tmp_path: Path) -> None:
    """A watch with a time-out ends cleanly, and its last line says how far it came."""

    async def check(api: RunningApi) -> None:
        await api.client.create(CM, {"metadata": {"name": "a"}})
        events = [event async for event in api.client.watch(CM, resource_version="1", timeout_seconds=1)]
        assert [event.type for event in events] == ["ADDED", "BOOKMARK"]
        assert events[-1].object["metadata"] == {"resourceVersion": str(api.live.store.revision)}

    run(tmp_path, check)


def test_a_streaming_list_ends_with_a_bookmark(tmp_path: Path) -> None:
    """sendInitialEvents: what is there, then a bookmark that says so."""

    async def check(api: RunningApi) -> None:
        await api.client.create(CM, {"metadata": {"name": "a"}})
        query = {"watch": "1", "sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
        body = await api.client.request("GET", "/api/v1/configmaps", query=query | {"timeoutSeconds": "1"})
        lines = body.splitlines()
        assert b'"ADDED"' in lines[0]
        assert b'"k8s.io/initial-events-end":"true"' in lines[1]
        with pytest.raises(ApiError) as refused:
            await api.client.request("GET", "/api/v1/configmaps", query={"watch": "1", "sendInitialEvents": "true"})
        assert refused.value.code == 422

    run(tmp_path, check)


class Follower:
    """Follows ConfigMaps and keeps what it is told."""

    def __init__(self, client: KubeClient) -> None:
        self.objects: dict[str, Any] = {}
        self.told: list[tuple[str, str]] = []
        self.synced = asyncio.Event()
        self.changed = asyncio.Event()
        self.task = asyncio.create_task(client.reflect(CM, self.on_event, on_synced=self.synced.set))

    def on_event(self, kind: str, obj: Any) -> None:
        name = obj["metadata"]["name"]
        self.told.append((kind, name))
        if kind == "DELETED":
            self.objects.pop(name)
        else:
            self.objects[name] = obj.get("data")
        self.changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


def test_reflect_tells_the_present_then_the_changes(tmp_path: Path) -> None:
    """Synced after the first list; each change once, in order."""

    async def check(api: RunningApi) -> None:
        await api.client.create(CM, {"metadata": {"name": "a"}})
        follower = Follower(api.client)
        await asyncio.wait_for(follower.synced.wait(), 10)
        assert follower.told == [("ADDED", "a")]
        await api.client.create(CM, {"metadata": {"name": "b"}})
        await api.client.delete(CM, "a", "default")
        await follower.until(lambda: len(follower.told) == 3)
        assert follower.told[1:] == [("ADDED", "b"), ("DELETED", "a")]
        await follower.stop()

    run(tmp_path, check)


def test_reflect_survives_a_restart_without_a_gap(tmp_path: Path) -> None:
    """The server goes and comes back on the same file: the follower resumes, and hears what it missed exactly once."""

    async def main() -> None:
        client = KubeClient(Endpoint(unix=str(tmp_path / "api.sock")))
        async with kube_api(tmp_path) as api:
            await api.client.create(CM, {"metadata": {"name": "a"}})
            follower = Follower(client)
            await asyncio.wait_for(follower.synced.wait(), 10)
        async with kube_api(tmp_path) as api:
            await api.client.create(CM, {"metadata": {"name": "b"}})
            await api.client.delete(CM, "a", "default")
            await follower.until(lambda: "a" not in follower.objects)
            assert follower.told == [("ADDED", "a"), ("ADDED", "b"), ("DELETED", "a")]
            await follower.stop()
        client.close()

    asyncio.run(asyncio.wait_for(main(), 60))


def test_reflect_lists_again_when_the_history_is_gone(tmp_path: Path) -> None:
    """What vanished meanwhile is told as DELETED, what was replaced as DELETED and ADDED, the rest only if it changed."""

    async def main() -> None:
        client = KubeClient(Endpoint(unix=str(tmp_path / "api.sock")))
        async with kube_api(tmp_path) as api:
            for name in ("gone", "same", "new-life", "changed"):
                await api.client.create(CM, {"metadata": {"name": name}})
            follower = Follower(client)
            await asyncio.wait_for(follower.synced.wait(), 10)
            follower.told.clear()
        async with kube_api(tmp_path) as api:
            history = api.live.store._history("configmaps")
            history.floor = 10**6  # as if all of it were too long ago
            await api.client.delete(CM, "gone", "default")
            await api.client.delete(CM, "new-life", "default")
            await api.client.create(CM, {"metadata": {"name": "new-life"}})
            await api.client.patch(CM, "changed", {"data": {"x": "y"}}, "default")
            await follower.until(lambda: "gone" not in follower.objects and follower.objects.get("changed") == {"x": "y"})
            history.floor = 0
            await follower.stop()
            assert sorted(set(follower.told)) == [
                ("ADDED", "new-life"),
                ("DELETED", "gone"),
                ("DELETED", "new-life"),
                ("MODIFIED", "changed"),
            ]
        client.close()

    asyncio.run(asyncio.wait_for(main(), 60))


def test_a_server_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    """Where, why, and what to look at."""

    async def main() -> None:
        client = KubeClient(Endpoint(unix=str(tmp_path / "nothing.sock")))
        with pytest.raises(UnreachableError, match=r"unix:.*nothing\.sock cannot be reached: .*is it running"):
            await client.get(CM, "a", "default")

    asyncio.run(main())


def test_concurrent_writers_of_one_object_lose_no_update(tmp_path: Path) -> None:
    """Each reads, adds one and writes; a conflict makes it try again: the sum is right."""

    async def add_one(api: RunningApi) -> int:
        conflicts = 0
        while True:
            current: Any = await api.client.get(CM, "counter", "default")
            current["data"]["n"] = str(int(current["data"]["n"]) + 1)
            try:
                await api.client.replace(CM, current)
            except ApiError as refused:
                if refused.reason != "Conflict":
                    raise
                conflicts += 1
            else:
                return conflicts

    async def check(api: RunningApi) -> None:
        await api.client.create(CM, {"metadata": {"name": "counter"}, "data": {"n": "0"}})
        conflicts = await asyncio.gather(*(add_one(api) for _ in range(12)))
        assert sum(conflicts) > 0
        final: Any = await api.client.get(CM, "counter", "default")
        assert final["data"]["n"] == "12"

    run(tmp_path, check)


def test_scale_is_a_door_to_the_replicas(tmp_path: Path) -> None:
    """Read, patched and replaced as autoscaling/v1 Scale."""

    async def check(api: RunningApi) -> None:
        template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
        await api.client.create(DEPLOYMENT, {"metadata": {"name": "d"}, "spec": spec})
        scale: Any = await api.client.get(DEPLOYMENT, "d", "default", subresource="scale")
        assert (scale["kind"], scale["spec"], scale["status"]) == ("Scale", {"replicas": 1}, {"replicas": 0, "selector": "a=b"})
        patched: Any = await api.client.patch(DEPLOYMENT, "d", {"spec": {"replicas": 4}}, "default", subresource="scale")
        assert patched["spec"] == {"replicas": 4}
        deployment: Any = await api.client.get(DEPLOYMENT, "d", "default")
        assert (deployment["spec"]["replicas"], deployment["metadata"]["generation"]) == (4, 2)
        with pytest.raises(ApiError):
            await api.client.patch(DEPLOYMENT, "d", {"spec": {"replicas": -1}}, "default", subresource="scale")
        with pytest.raises(ApiError) as refused:
            await api.client.get(CM, "d", "default", subresource="scale")
        assert refused.value.code == 404

    run(tmp_path, check)


def test_deletecollection_deletes_what_it_lists(tmp_path: Path) -> None:
    """By selector, in one namespace."""

    async def check(api: RunningApi) -> None:
        for n in range(4):
            await api.client.create(CM, {"metadata": {"name": f"c{n}", "labels": {"odd": str(n % 2)}}})
        await api.client.request("DELETE", "/api/v1/namespaces/default/configmaps", query={"labelSelector": "odd=1"})
        assert [s.ref.name for s in list_page(api.live.store, "configmaps", ListOptions()).items] == ["c0", "c2"]

    run(tmp_path, check)


def test_bodies_that_are_no_objects_are_refused(tmp_path: Path) -> None:
    """Any bytes give an error of the 4xx kind, and the server goes on."""
    bodies = [
        b"",
        b"[]",
        b"null",
        b'"x"',
        b"{",
        b'{"metadata":[]}',
        b"\xff\xfe",
        b'{"a":' * 5000,
        b"k8s\0\n",
        b'{"metadata":{"name":"a"},"data":{"a":1e999}}',
    ]

    async def check(api: RunningApi) -> None:
        for body in bodies:
            reply = await api.client._pool.send("POST", "/api/v1/namespaces/default/configmaps", body=body)
            content = await reply.read()
            assert 400 <= reply.status < 500, (body[:20], content)
        large = b'{"metadata":{"name":"a"},"data":{"a":"' + b"x" * (3 << 20) + b'"}}'
        reply = await api.client._pool.send("POST", "/api/v1/namespaces/default/configmaps", body=large)
        assert reply.status == 413
        await reply.read()
        headers = {"Content-Type": "application/vnd.kubernetes.protobuf"}
        reply = await api.client._pool.send("POST", "/api/v1/namespaces", headers=headers, body=b"k8s\0")
        assert (reply.status, b"cannot be read" in await reply.read()) == (400, True)

    run(tmp_path, check)


def test_yaml_bodies_are_read(tmp_path: Path) -> None:
    """Some clients send YAML."""

    async def check(api: RunningApi) -> None:
        body = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: y\ndata:\n  a: 'b'\n"
        path = "/api/v1/namespaces/default/configmaps"
        reply = await api.client._pool.send("POST", path, headers={"Content-Type": "application/yaml"}, body=body)
        assert reply.status == 201
        await reply.read()
        made: Any = await api.client.get(CM, "y", "default")
        assert made["data"] == {"a": "b"}

    run(tmp_path, check)


@pytest.mark.parametrize("info", [NAMESPACE, CM, VS, DEPLOYMENT])
def test_a_table_has_a_row_for_each_object(tmp_path: Path, info: KindInfo) -> None:
    """With the kind's columns, and nothing for an empty list."""

    async def check(api: RunningApi) -> None:
        import json

        accept = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
        from lateen.kube.paths import path_of

        reply = await api.client._pool.send("GET", path_of(info), headers=accept)
        table = json.loads(await reply.read())
        assert table["kind"] == "Table"
        assert table["columnDefinitions"][0]["name"] == "Name"
        assert len(table["rows"]) == (2 if info is NAMESPACE else 0)
        assert all(len(row["cells"]) == len(table["columnDefinitions"]) for row in table["rows"])

    run(tmp_path, check)
