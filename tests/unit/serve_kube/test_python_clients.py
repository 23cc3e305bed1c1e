"""The Python clients of Kubernetes, unmodified, against the embedded API: each lists, watches, patches, applies and deletes."""

import asyncio
import gc
from collections.abc import Callable, Iterator
from contextlib import aclosing
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from lateen.testing.kubeapi import RunningApi, kube_api

# Their own habits: sockets left to the garbage collector, time functions that Python has deprecated.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
RULE: dict[str, Any] = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "VirtualService",
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {"hosts": ["web"], "http": [{"route": [{"destination": {"host": "web"}}]}]},
}
CONFIG: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "default"}, "data": {"a": "1"}}


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """What a client left open is collected here, not in the middle of another test."""
    yield
    gc.collect()


def serve(folder: Path, use: Callable[[RunningApi], Any]) -> None:
    """A server in this thread's loop, the client in another thread."""

    async def main() -> None:
        async with kube_api(folder, tls=True) as api:
            await asyncio.to_thread(use, api)

    asyncio.run(asyncio.wait_for(main(), 60))


def test_official_client(tmp_path: Path) -> None:
    """Typed and dynamic: bodies without a content type, strategic patches, watches without a revision, server-side apply."""
    kubernetes = pytest.importorskip("kubernetes")
    print(f"\nkubernetes {version('kubernetes')}")  # noqa: T201  the versions that were found

    def use(api: RunningApi) -> None:
        loaded = kubernetes.config.new_client_from_config(str(api.kubeconfig))
        core, custom = kubernetes.client.CoreV1Api(loaded), kubernetes.client.CustomObjectsApi(loaded)
        core.create_namespaced_config_map("default", CONFIG)
        assert core.patch_namespaced_config_map("c", "default", {"data": {"b": "2"}}).data == {"a": "1", "b": "2"}
        assert [item.metadata.name for item in core.list_namespaced_config_map("default").items] == ["c"]
        where = ("networking.istio.io", "v1", "default", "virtualservices")
        custom.create_namespaced_custom_object(*where, RULE)
        patched = custom.patch_namespaced_custom_object(*where, "web", {"spec": {"hosts": ["other"]}})
        assert patched["spec"]["hosts"] == ["other"]
        watch = kubernetes.watch.Watch()
        events = watch.stream(custom.list_namespaced_custom_object, *where, timeout_seconds=1)
        assert [(event["type"], event["object"]["metadata"]["name"]) for event in events] == [("ADDED", "web")]
        dynamic = kubernetes.dynamic.DynamicClient(loaded)
        rules = dynamic.resources.get(api_version="networking.istio.io/v1", kind="VirtualService")
        applied = rules.server_side_apply(body=RULE, namespace="default", field_manager="py", force_conflicts=True)
        assert applied.spec.hosts == ["web"]
        assert kubernetes.client.VersionApi(loaded).get_code().minor == "32"
        with pytest.raises(kubernetes.client.ApiException) as missing:
            core.read_namespaced_config_map("nope", "default")
        assert missing.value.status == 404
        core.delete_namespaced_config_map("c", "default")
        assert core.list_namespaced_config_map("default").items == []
        loaded.rest_client.pool_manager.clear()

    serve(tmp_path, use)


def test_lightkube(tmp_path: Path) -> None:
    """Paths compiled in, generic resources, all kinds of patches, apply, scale, wait by watch."""
    lightkube = pytest.importorskip("lightkube")
    print(f"\nlightkube {version('lightkube')}")  # noqa: T201  the versions that were found
    from lightkube.generic_resource import create_namespaced_resource
    from lightkube.resources.core_v1 import ConfigMap
    from lightkube.types import PatchType

    def use(api: RunningApi) -> None:
        client = lightkube.Client(config=lightkube.KubeConfig.from_file(str(api.kubeconfig)), field_manager="lk")
        created = client.create(ConfigMap.from_dict(CONFIG))
        assert client.patch(ConfigMap, "c", {"data": {"b": "2"}}, patch_type=PatchType.MERGE).data == {"a": "1", "b": "2"}
        step = [{"op": "remove", "path": "/data/b"}]
        assert client.patch(ConfigMap, "c", step, patch_type=PatchType.JSON).data == {"a": "1"}
        assert [item.metadata.name for item in client.list(ConfigMap, namespace="default", chunk_size=1)] == ["c"]
        rules: Any = create_namespaced_resource("networking.istio.io", "v1", "VirtualService", "virtualservices")
        applied = client.apply(rules(RULE), force=True)
        assert applied["spec"]["hosts"] == ["web"]
        again = client.apply(rules(RULE | {"spec": {"hosts": ["two"]}}))
        assert again["spec"] == {"hosts": ["two"]}, "what is applied no more is gone"
        revision = created.metadata.resourceVersion
        events = client.watch(ConfigMap, namespace="default", resource_version=revision, server_timeout=1)
        told = [(kind, obj.data) for kind, obj in (next(events), next(events))]
        events.close()
        assert told == [("MODIFIED", {"a": "1", "b": "2"}), ("MODIFIED", {"a": "1"})]
        client.delete(ConfigMap, "c")
        with pytest.raises(lightkube.ApiError) as missing:
            client.get(ConfigMap, "c")
        assert missing.value.status.reason == "NotFound"
        client._client._client.close()

    serve(tmp_path, use)


def test_kr8s(tmp_path: Path) -> None:
    """Legacy discovery, a get that is a list with a doubled selector, patches, a watch without a revision; it has no apply of its own."""
    kr8s = pytest.importorskip("kr8s")
    print(f"\nkr8s {version('kr8s')}")  # noqa: T201  the versions that were found
    from kr8s.asyncio.objects import ConfigMap, new_class

    async def main() -> None:
        async with kube_api(tmp_path, tls=True) as api:
            client = await kr8s.asyncio.api(kubeconfig=str(api.kubeconfig))
            made = await ConfigMap(CONFIG, api=client)
            await made.create()
            assert (await ConfigMap.get("c", namespace="default", api=client)).data == {"a": "1"}
            await made.patch({"data": {"b": "2"}})
            assert made.raw["data"] == {"a": "1", "b": "2"}
            await made.label({"tier": "back"})
            assert [one.name async for one in client.get("configmaps", namespace="default", label_selector="tier=back")] == ["c"]
            rules = new_class("VirtualService", "networking.istio.io/v1", namespaced=True, plural="virtualservices")
            rule = await rules(RULE, api=client)
            await rule.create()
            await rule.patch([{"op": "replace", "path": "/spec/hosts", "value": ["other"]}], type="json")
            async with aclosing(client.watch("virtualservices.networking.istio.io", namespace="default")) as events:
                kind, one = await anext(events)
            assert (kind, one.raw["spec"]["hosts"]) == ("ADDED", ["other"])
            async with client.call_api(
                "PATCH", version="v1", url="configmaps/c", namespace="default", params={"fieldManager": "k", "force": "true"},
                headers={"Content-Type": "application/apply-patch+yaml"}, json=CONFIG | {"data": {"a": "9"}},
            ) as applied:  # fmt: skip
                assert applied.json()["data"]["a"] == "9"
            await made.delete()
            assert not await made.exists()
            await client._session.aclose()

    asyncio.run(asyncio.wait_for(main(), 60))
