"""Deployments, ReplicaSets and slices over a real API, with the test as the node: it says which pods are ready and gone."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from lateen.api.kinds import KindInfo, info_of
from lateen.kube.admission import AdmissionResult, Operation
from lateen.local.deployments import Controllers
from lateen.sources.kubeclient import KubeClient
from lateen.testing.kubeapi import kube_api

SECONDS = 20.0
POD, DEPLOYMENT, REPLICA_SET, SERVICE, SLICE = map(info_of, ("Pod", "Deployment", "ReplicaSet", "Service", "EndpointSlice"))


def on_a_node(operation: Operation, info: KindInfo, new: Mapping[str, object] | None, _old: Mapping[str, object] | None) -> AdmissionResult:
    """Pods are bound to a node, so that they end in their own time."""
    if info.kind != "Pod" or operation != "CREATE" or new is None:
        return AdmissionResult()
    spec = new["spec"]
    assert isinstance(spec, dict)
    return AdmissionResult(object={**new, "spec": {**spec, "nodeName": "local"}})


def deployment(replicas: int, **strategy: Any) -> dict[str, Any]:
    """A Deployment named `web`."""
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "main", "image": "x:1"}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {**spec, **({"strategy": strategy} if strategy else {})},
    }


class Kubelet:
    """The test's hand on the pods."""

    def __init__(self, client: KubeClient) -> None:
        self.client = client

    async def all(self, info: KindInfo) -> list[dict[str, Any]]:
        """All objects of a kind."""
        return (await self.client.list(info, "default")).items

    async def pods(self) -> list[dict[str, Any]]:
        """All pods."""
        return await self.all(POD)

    async def ready(self, pod: Mapping[str, Any], address: str = "") -> None:
        """Have it run and be ready."""
        status = {"phase": "Running", "podIP": address or None, "conditions": [{"type": "Ready", "status": "True"}]}
        await self.client.patch_status(POD, pod["metadata"]["name"], status, "default")

    async def step(self) -> None:
        """Every new pod becomes ready, every pod that is to go is gone."""
        for pod in await self.pods():
            if "deletionTimestamp" in pod["metadata"]:
                await self.client.delete(POD, pod["metadata"]["name"], "default", grace=0)
            elif pod.get("status", {}).get("phase") != "Running":
                await self.ready(pod)

    async def until(self, seen: Callable[[], Awaitable[object]], *, working: bool = False) -> None:
        """Wait for what the controllers do; `working`: with every look the pods come a step further."""
        async with asyncio.timeout(SECONDS):
            while not await seen():
                if working:
                    await self.step()
                await asyncio.sleep(0)


def run(folder: Path, work: Callable[[Kubelet], Awaitable[None]]) -> None:
    """A case over an API and its controllers."""

    async def case() -> None:
        async with kube_api(folder, admission=on_a_node) as api:
            controllers = Controllers(api.client)
            await controllers.start()
            try:
                await work(Kubelet(api.client))
            finally:
                await controllers.stop()

    asyncio.run(case())


async def count(kubelet: Kubelet) -> int:
    """How many pods there are."""
    return len(await kubelet.pods())


def test_pods_are_named_and_owned_as_kubernetes_does(tmp_path: Path) -> None:
    """`<deployment>-<hash>-<5 characters>`, owned by a set that carries the hash and is owned by the Deployment."""

    async def work(kubelet: Kubelet) -> None:
        await kubelet.client.create(DEPLOYMENT, deployment(2))
        await kubelet.until(lambda: two(kubelet))
        (one,) = await kubelet.all(REPLICA_SET)
        mark = one["metadata"]["labels"]["pod-template-hash"]
        assert one["metadata"]["name"] == f"web-{mark}"
        assert one["metadata"]["ownerReferences"][0]["kind"] == "Deployment"
        for pod in await kubelet.pods():
            name = pod["metadata"]["name"]
            assert name.startswith(f"web-{mark}-")
            assert len(name) == len(f"web-{mark}-") + 5
            assert pod["metadata"]["labels"] == {"app": "web", "pod-template-hash": mark}
            assert pod["metadata"]["ownerReferences"][0]["uid"] == one["metadata"]["uid"]

    async def two(kubelet: Kubelet) -> bool:
        return await count(kubelet) == 2

    run(tmp_path, work)


def test_rolling_update_keeps_its_limits(tmp_path: Path) -> None:
    """Never fewer available pods than allowed, never more pods than allowed, until all are new."""

    async def work(kubelet: Kubelet) -> None:
        rolling = {"maxSurge": 1, "maxUnavailable": 1}
        await kubelet.client.create(DEPLOYMENT, deployment(4, type="RollingUpdate", rollingUpdate=rolling))
        await kubelet.until(lambda: done(kubelet, "x:1"), working=True)
        template = {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "x:2"}]}}}}
        await kubelet.client.patch(DEPLOYMENT, "web", template, "default")
        seen: list[tuple[int, int]] = []

        async def finished() -> bool:
            pods = [pod for pod in await kubelet.pods() if "deletionTimestamp" not in pod["metadata"]]
            seen.append((len(pods), len([pod for pod in pods if pod.get("status", {}).get("phase") == "Running"])))
            return await done(kubelet, "x:2")

        await kubelet.until(finished, working=True)
        assert max(total for total, _ in seen) <= 5
        assert min(available for _, available in seen) >= 3
        sets = await kubelet.all(REPLICA_SET)
        assert sorted(one["spec"]["replicas"] for one in sets) == [0, 4]

    async def done(kubelet: Kubelet, image: str) -> bool:
        status = (await kubelet.all(DEPLOYMENT))[0].get("status") or {}
        pods = await kubelet.pods()
        same = all(pod["spec"]["containers"][0]["image"] == image for pod in pods)
        return same and len(pods) == 4 and status.get("availableReplicas") == status.get("updatedReplicas") == 4

    run(tmp_path, work)


def test_recreate_ends_the_old_pods_first(tmp_path: Path) -> None:
    """With Recreate no new pod is made while an old one counts."""

    async def work(kubelet: Kubelet) -> None:
        await kubelet.client.create(DEPLOYMENT, deployment(2, type="Recreate"))

        async def images() -> set[str]:
            return {pod["spec"]["containers"][0]["image"] for pod in await kubelet.pods()}

        async def all_of(image: str) -> bool:
            found = await images()
            assert len(found) <= 1
            return found == {image} and await count(kubelet) == 2

        await kubelet.until(lambda: all_of("x:1"), working=True)
        template = {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "x:2"}]}}}}
        await kubelet.client.patch(DEPLOYMENT, "web", template, "default")
        await kubelet.until(lambda: all_of("x:2"), working=True)

    run(tmp_path, work)


def test_lost_pod_is_replaced_and_the_unready_one_goes_first(tmp_path: Path) -> None:
    """A pod that is deleted is made again at once; when there are too many, the one that is not ready goes."""

    async def work(kubelet: Kubelet) -> None:
        await kubelet.client.create(DEPLOYMENT, deployment(2))

        async def two() -> bool:
            return len([pod for pod in await kubelet.pods() if "deletionTimestamp" not in pod["metadata"]]) == 2

        await kubelet.until(two)
        first, second = await kubelet.pods()
        await kubelet.ready(first)
        await kubelet.client.delete(POD, second["metadata"]["name"], "default")
        await kubelet.until(two)
        await kubelet.client.patch(DEPLOYMENT, "web", {"spec": {"replicas": 1}}, "default")

        async def one() -> bool:
            return [pod["metadata"]["name"] for pod in await kubelet.pods() if "deletionTimestamp" not in pod["metadata"]] == [
                first["metadata"]["name"]
            ]

        await kubelet.until(one)

    run(tmp_path, work)


def test_slice_follows_the_pods(tmp_path: Path) -> None:
    """One slice per service, named and labelled as Kubernetes', with each selected pod that has an address; none without a service."""

    async def work(kubelet: Kubelet) -> None:
        service = {"metadata": {"name": "web", "namespace": "default"}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}}
        await kubelet.client.create(SERVICE, {"apiVersion": "v1", "kind": "Service", **service})
        await kubelet.client.create(DEPLOYMENT, deployment(1))

        async def one() -> bool:
            return await count(kubelet) == 1

        await kubelet.until(one)
        await kubelet.ready((await kubelet.pods())[0], "10.0.0.7")

        async def listed() -> bool:
            found = await kubelet.all(SLICE)
            return [each["addresses"] for one in found for each in one.get("endpoints") or []] == [["10.0.0.7"]]

        await kubelet.until(listed)
        (found,) = await kubelet.all(SLICE)
        meta: Any = found["metadata"]
        assert meta["name"].startswith("web-")
        assert meta["labels"]["kubernetes.io/service-name"] == "web"
        assert meta["ownerReferences"][0]["kind"] == "Service"
        await kubelet.client.delete(SERVICE, "web", "default")

        async def gone() -> bool:
            return not await kubelet.all(SLICE)

        await kubelet.until(gone)

    run(tmp_path, work)
