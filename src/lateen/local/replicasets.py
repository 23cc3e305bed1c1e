"""ReplicaSets keep their number of pods.

Why as Kubernetes: names (`<set>-<5 characters>`), owners, and which pod goes first when there are too many (the one that is
least ready, then the youngest). Must not know Deployments, nor start anything: pods are objects here.
"""

import asyncio
import copy

from lateen.api.kinds import info_of
from lateen.kube.errors import ApiError
from lateen.kube.records import JsonObject, dicts, section
from lateen.local.informer import Informer, Name, name_of, owner_of
from lateen.sources.kubeclient import KubeClient

__all__ = ["ReplicaSets", "is_available", "is_live", "is_ready", "owner_reference", "whole"]

_POD = info_of("Pod")
_REPLICA_SET = info_of("ReplicaSet")
_MOST_AT_ONCE = 50


def whole(value: object, default: int = 0) -> int:
    """A field that should be a whole number."""
    return value if isinstance(value, int) else default


def owner_reference(owner: JsonObject) -> JsonObject:
    """The entry of `ownerReferences` that makes `owner` the controller."""
    meta = section(owner, "metadata")
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": meta["name"],
        "uid": meta["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def is_live(pod: JsonObject) -> bool:
    """Whether the pod counts: neither ended nor on its way out."""
    return "deletionTimestamp" not in section(pod, "metadata") and section(pod, "status").get("phase") not in ("Succeeded", "Failed")


def is_ready(pod: JsonObject) -> bool:
    """Whether its condition Ready holds."""
    conditions = dicts(section(pod, "status").get("conditions"))
    return any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions)


def is_available(pod: JsonObject) -> bool:
    """Ready, and not going."""
    return is_live(pod) and is_ready(pod)


class ReplicaSets:
    """`reconcile` brings one ReplicaSet's pods to their number and tells its status."""

    def __init__(self, client: KubeClient, sets: Informer, pods: Informer) -> None:
        self._client = client
        self._sets = sets
        self._pods = pods

    def pods_of(self, replica_set: JsonObject) -> list[JsonObject]:
        """The pods that it owns and that count."""
        return [pod for pod in self.all_pods_of(replica_set) if is_live(pod)]

    def all_pods_of(self, replica_set: JsonObject) -> list[JsonObject]:
        """The pods that it owns, also those that end or have ended."""
        uid = section(replica_set, "metadata").get("uid")
        return [pod for pod in self._pods.items(name_of(replica_set).namespace) if owner_of(pod).get("uid") == uid]

    async def reconcile(self, name: Name) -> None:
        """Make or delete pods, then write the status."""
        found = self._sets.get(name)
        if found is None or "deletionTimestamp" in section(found, "metadata"):
            return
        pods = self.pods_of(found)
        wanted = whole(section(found, "spec").get("replicas"), 1)
        if len(pods) < wanted:
            missing = min(wanted - len(pods), _MOST_AT_ONCE)
            await asyncio.gather(*(self._create(found) for _ in range(missing)))
        elif len(pods) > wanted:
            await asyncio.gather(*(self._delete(pod) for pod in _first_to_go(pods)[: len(pods) - wanted]))
        await self._tell(found)

    async def _create(self, owner: JsonObject) -> None:
        template = section(section(owner, "spec"), "template")
        meta = section(template, "metadata")
        name = name_of(owner)
        pod: JsonObject = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "generateName": f"{name.name}-",
                "namespace": name.namespace,
                "labels": dict(section(meta, "labels")),
                "annotations": dict(section(meta, "annotations")),
                "ownerReferences": [owner_reference(owner)],
            },
            "spec": copy.deepcopy(section(template, "spec")),
        }
        self._pods.observe(await self._client.create(_POD, pod))

    async def _delete(self, pod: JsonObject) -> None:
        name = name_of(pod)
        try:
            gone = await self._client.delete(_POD, name.name, name.namespace, uid=str(section(pod, "metadata")["uid"]))
        except ApiError as error:
            if error.code not in (404, 409):
                raise
            return
        if gone.get("kind") == "Pod":
            self._pods.observe(gone)

    async def _tell(self, replica_set: JsonObject) -> None:
        pods = self.pods_of(replica_set)
        meta, old = section(replica_set, "metadata"), section(replica_set, "status")
        ready = sum(map(is_ready, pods))
        new = {
            "replicas": len(pods),
            "fullyLabeledReplicas": len(pods),
            "readyReplicas": ready,
            "availableReplicas": ready,
            "observedGeneration": whole(meta.get("generation")),
        }
        if any(old.get(key, 0) != value for key, value in new.items()):
            written = await self._client.patch_status(_REPLICA_SET, str(meta["name"]), new, str(meta["namespace"]))
            self._sets.observe(written)


def _first_to_go(pods: list[JsonObject]) -> list[JsonObject]:
    """Least ready first, then the youngest."""
    by_age = sorted(pods, key=lambda pod: str(section(pod, "metadata").get("creationTimestamp", "")), reverse=True)
    return sorted(by_age, key=lambda pod: (is_ready(pod), section(pod, "status").get("phase") == "Running"))
