"""Deployments become ReplicaSets, and all the controllers that a mesh on one machine needs, started together.

Why as Kubernetes: people read these names and numbers with kubectl. A changed template makes a ReplicaSet of its own, to which
pods move step by step within maxSurge and maxUnavailable. Must speak to nothing but the API.
"""

import asyncio
import copy
import math
from collections.abc import Sequence

import msgspec

from lateen.api.kinds import info_of
from lateen.kube.records import JsonObject, dicts, section
from lateen.local.accounts import Accounts
from lateen.local.informer import Informer, Name, WorkQueue, name_of, owner_of
from lateen.local.replicasets import ReplicaSets, is_available, is_ready, owner_reference, whole
from lateen.local.slices import Slices
from lateen.runtime.clock import Clock, SystemClock
from lateen.sources.kubeclient import KubeClient
from lateen.util.times import rfc3339

__all__ = ["Controllers", "Deployments", "template_hash"]

_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_HASH_LABEL = "pod-template-hash"
_REVISION = "deployment.kubernetes.io/revision"
_DEPLOYMENT, _REPLICA_SET = info_of("Deployment"), info_of("ReplicaSet")


def template_hash(template: JsonObject) -> str:
    """What distinguishes the pods of one template: up to ten characters that spell no words."""
    value = 2166136261
    for byte in msgspec.json.encode(template, order="deterministic"):
        value = (value ^ byte) * 16777619 & 0xFFFFFFFF
    return "".join(_ALPHABET[int(digit) % len(_ALPHABET)] for digit in str(value))


def _share(value: object, replicas: int, *, up: bool) -> int:
    """`maxSurge` or `maxUnavailable` in pods: a number, or a percentage of the replicas."""
    if isinstance(value, str) and value.endswith("%") and value[:-1].isdigit():
        part = int(value[:-1]) * replicas / 100
        return math.ceil(part) if up else math.floor(part)
    return whole(value)


def _replicas(obj: JsonObject) -> int:
    return whole(section(obj, "spec").get("replicas"), 1)


class Deployments:
    """`reconcile` brings one Deployment's ReplicaSets a step further and tells its status."""

    def __init__(self, client: KubeClient, deployments: Informer, sets: Informer, replica_sets: ReplicaSets, clock: Clock) -> None:
        self._client = client
        self._deployments = deployments
        self._sets = sets
        self._replica_sets = replica_sets
        self._clock = clock

    async def reconcile(self, name: Name) -> None:
        """One step; changes of the sets and pods call again."""
        found = self._deployments.get(name)
        if found is None or "deletionTimestamp" in section(found, "metadata"):
            return
        spec = section(found, "spec")
        current, old = self._split(found)
        if current is None and not spec.get("paused"):
            current = await self._create(found, old)
        if current is not None:
            await self._move(found, current, old)
            await self._forget(found, old)
            await self._number(found)
        await self._tell(found)

    def _split(self, deployment: JsonObject) -> tuple[JsonObject | None, list[JsonObject]]:
        """The set of the present template, and the others."""
        uid = section(deployment, "metadata").get("uid")
        mine = [one for one in self._sets.items(name_of(deployment).namespace) if owner_of(one).get("uid") == uid]
        name = f"{name_of(deployment).name}-{template_hash(section(section(deployment, 'spec'), 'template'))}"
        current = next((one for one in mine if name_of(one).name == name), None)
        return current, [one for one in mine if one is not current]

    async def _create(self, deployment: JsonObject, old: Sequence[JsonObject]) -> JsonObject:
        spec = section(deployment, "spec")
        template = copy.deepcopy(section(spec, "template"))
        mark = template_hash(section(spec, "template"))
        meta = template.setdefault("metadata", {})
        assert isinstance(meta, dict)  # noqa: S101  (the API refuses anything else)
        meta["labels"] = {**section(meta, "labels"), _HASH_LABEL: mark}
        selector = section(spec, "selector")
        name = name_of(deployment)
        made = await self._client.create(
            _REPLICA_SET,
            {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "metadata": {
                    "name": f"{name.name}-{mark}",
                    "namespace": name.namespace,
                    "labels": meta["labels"],
                    "annotations": {_REVISION: str(1 + max(map(_revision, old), default=0))},
                    "ownerReferences": [owner_reference(deployment)],
                },
                "spec": {
                    "replicas": 0 if any(map(self._replica_sets.all_pods_of, old)) else _replicas(deployment),
                    "selector": {**selector, "matchLabels": {**section(selector, "matchLabels"), _HASH_LABEL: mark}},
                    "template": template,
                },
            },
        )
        self._sets.observe(made)
        return made

    async def _move(self, deployment: JsonObject, current: JsonObject, old: Sequence[JsonObject]) -> None:
        """Scale the sets: the present one up, the others down, within the limits of the strategy."""
        spec = section(deployment, "spec")
        wanted = _replicas(deployment)
        last = max(map(_revision, old), default=0)
        if _revision(current) < last:  # back to an earlier template
            await self._annotate(current, last + 1)
        if spec.get("paused"):
            return
        active = [one for one in old if _replicas(one)]
        if section(spec, "strategy").get("type") == "Recreate":
            for one in active:
                await self._scale(one, 0)
            if not any(map(self._replica_sets.all_pods_of, old)):
                await self._scale(current, wanted)
        elif active:
            await self._roll(deployment, current, active)
        else:
            await self._scale(current, wanted)

    async def _roll(self, deployment: JsonObject, current: JsonObject, active: Sequence[JsonObject]) -> None:
        wanted = _replicas(deployment)
        rolling = section(section(section(deployment, "spec"), "strategy"), "rollingUpdate")
        surge = _share(rolling.get("maxSurge", "25%"), wanted, up=True)
        unavailable = _share(rolling.get("maxUnavailable", "25%"), wanted, up=False)
        if not surge and not unavailable:
            unavailable = 1
        total = _replicas(current) + sum(map(_replicas, active))
        if _replicas(current) > wanted:
            await self._scale(current, wanted)
        elif room := min(wanted + surge - total, wanted - _replicas(current)):
            await self._scale(current, _replicas(current) + max(0, room))
        spare = self._available(current) + sum(map(self._available, active)) - (wanted - unavailable)
        for one in sorted(active, key=lambda each: str(section(each, "metadata").get("creationTimestamp", ""))):
            unready = _replicas(one) - self._available(one)
            going = min(_replicas(one), unready + max(0, spare))
            spare -= max(0, going - unready)
            if going:
                await self._scale(one, _replicas(one) - going)

    def _available(self, replica_set: JsonObject) -> int:
        return min(_replicas(replica_set), sum(map(is_available, self._replica_sets.pods_of(replica_set))))

    async def _scale(self, replica_set: JsonObject, replicas: int) -> None:
        if _replicas(replica_set) != replicas:
            name = name_of(replica_set)
            self._sets.observe(await self._client.patch(_REPLICA_SET, name.name, {"spec": {"replicas": replicas}}, name.namespace))

    async def _annotate(self, replica_set: JsonObject, revision: int) -> None:
        name = name_of(replica_set)
        patch = {"metadata": {"annotations": {_REVISION: str(revision)}}}
        self._sets.observe(await self._client.patch(_REPLICA_SET, name.name, patch, name.namespace))

    async def _number(self, deployment: JsonObject) -> None:
        """Tell the present revision on the Deployment, where `kubectl rollout` reads it."""
        current, _ = self._split(deployment)
        revision = str(_revision(current)) if current else ""
        if revision and section(section(deployment, "metadata"), "annotations").get(_REVISION) != revision:
            name, patch = name_of(deployment), {"metadata": {"annotations": {_REVISION: revision}}}
            self._deployments.observe(await self._client.patch(_DEPLOYMENT, name.name, patch, name.namespace))

    async def _forget(self, deployment: JsonObject, old: Sequence[JsonObject]) -> None:
        """Delete empty sets beyond the history that is kept."""
        empty = sorted((one for one in old if not _replicas(one) and not self._replica_sets.pods_of(one)), key=_revision)
        kept = whole(section(deployment, "spec").get("revisionHistoryLimit"), 10)
        for one in empty[: max(0, len(empty) - kept)]:
            name = name_of(one)
            await self._client.delete(_REPLICA_SET, name.name, name.namespace)

    async def _tell(self, deployment: JsonObject) -> None:
        meta = section(deployment, "metadata")
        status = section(deployment, "status")
        current, old = self._split(deployment)
        updated = self._replica_sets.pods_of(current) if current else []
        pods = [*updated, *(pod for one in old for pod in self._replica_sets.pods_of(one))]
        ready, wanted = sum(map(is_ready, pods)), _replicas(deployment)
        new: JsonObject = {
            "observedGeneration": whole(meta.get("generation")),
            "replicas": len(pods),
            "updatedReplicas": len(updated),
            "readyReplicas": ready,
            "availableReplicas": ready,
            "unavailableReplicas": max(0, wanted - ready),
        }
        complete = len(updated) == len(pods) == wanted == sum(map(is_ready, updated))
        new["conditions"] = self._conditions(deployment, current, ready, complete=complete)
        if any(status.get(key, 0 if key != "conditions" else []) != value for key, value in new.items()):
            written = await self._client.patch_status(_DEPLOYMENT, str(meta["name"]), new, str(meta["namespace"]))
            self._deployments.observe(written)

    def _conditions(self, deployment: JsonObject, current: JsonObject | None, ready: int, *, complete: bool) -> list[JsonObject]:
        spec, wanted = section(deployment, "spec"), _replicas(deployment)
        rolling = section(section(spec, "strategy"), "rollingUpdate")
        fewest = wanted - _share(rolling.get("maxUnavailable", "25%"), wanted, up=False)
        available = ready >= fewest
        name = name_of(current).name if current else ""
        progress = f'ReplicaSet "{name}" ' + ("has successfully progressed." if complete else "is progressing.")
        return self._dated(
            deployment,
            [
                {
                    "type": "Available",
                    "status": "True" if available else "False",
                    "reason": "MinimumReplicasAvailable" if available else "MinimumReplicasUnavailable",
                    "message": f"Deployment {'has' if available else 'does not have'} minimum availability.",
                },
                {
                    "type": "Progressing",
                    "status": "True",
                    "reason": "NewReplicaSetAvailable" if complete else "ReplicaSetUpdated",
                    "message": progress,
                },
            ],
        )

    def _dated(self, deployment: JsonObject, conditions: list[JsonObject]) -> list[JsonObject]:
        """The conditions with the times of their last change; what has not changed keeps its times."""
        before = {each.get("type"): each for each in dicts(section(deployment, "status").get("conditions"))}
        now = _now(self._clock)
        for each in conditions:
            old = before.get(each["type"], {})
            same = old.get("status") == each["status"]
            unchanged = same and old.get("reason") == each["reason"] and old.get("message") == each["message"]
            each["lastTransitionTime"] = old.get("lastTransitionTime", now) if same else now
            each["lastUpdateTime"] = old.get("lastUpdateTime", now) if unchanged else now
        return conditions


def _revision(replica_set: JsonObject) -> int:
    text = str(section(section(replica_set, "metadata"), "annotations").get(_REVISION, "0"))
    return int(text) if text.isdigit() else 0


class Controllers:
    """All controllers of a mesh on one machine."""

    def __init__(self, client: KubeClient, clock: Clock | None = None) -> None:
        clock = clock or SystemClock()
        self._pods = Informer(client, "Pod")
        self._sets = Informer(client, "ReplicaSet")
        self._deployments = Informer(client, "Deployment")
        replica_sets = ReplicaSets(client, self._sets, self._pods)
        deployments = Deployments(client, self._deployments, self._sets, replica_sets, clock)
        self._set_queue = WorkQueue("replica set", replica_sets.reconcile, clock)
        self._deployment_queue = WorkQueue("deployment", deployments.reconcile, clock)
        self._slices = Slices(client, self._pods, clock)
        self._accounts = Accounts(client, clock)
        self._deployments.listen(lambda name, _old, new: self._deployment_queue.add(name) if new else None)
        self._sets.listen(self._set_changed)
        self._pods.listen(self._pod_changed)

    async def start(self) -> None:
        """Return once everything has been seen; pods begin to appear."""
        await asyncio.gather(self._pods.start(), self._sets.start(), self._deployments.start(), self._accounts.start())
        self._set_queue.start()
        self._deployment_queue.start()
        await self._slices.start()

    async def stop(self) -> None:
        """Change nothing more."""
        await asyncio.gather(self._deployment_queue.stop(), self._set_queue.stop(), self._slices.stop(), self._accounts.stop())
        await asyncio.gather(*(each.stop() for each in (self._pods, self._sets, self._deployments)))

    def _set_changed(self, name: Name, old: JsonObject | None, new: JsonObject | None) -> None:
        self._set_queue.add(name)
        owner = owner_of(new or old or {})
        if owner.get("kind") == "Deployment":
            self._deployment_queue.add(Name(name.namespace, str(owner["name"])))

    def _pod_changed(self, name: Name, old: JsonObject | None, new: JsonObject | None) -> None:
        owner = owner_of(new or old or {})
        if owner.get("kind") == "ReplicaSet":
            self._set_changed(Name(name.namespace, str(owner["name"])), None, self._sets.get(Name(name.namespace, str(owner["name"]))))


def _now(clock: Clock) -> str:
    return rfc3339(clock.now())
