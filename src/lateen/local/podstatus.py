"""The status of a pod as the API shows it: phase, conditions, containers.

Why pure: what a person reads with `kubectl get pods` follows from the containers' states alone. Must not talk to the API.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from lateen.kube.records import JsonObject, dicts
from lateen.local.containers import Ended, Waiting
from lateen.util.times import rfc3339

__all__ = ["ContainerView", "PodView", "build_status"]


class ContainerView(Protocol):
    """What the status needs of a container."""

    @property
    def name(self) -> str: ...
    @property
    def image(self) -> str: ...
    @property
    def state(self) -> Waiting | Ended | None: ...
    @property
    def last(self) -> Ended | None: ...
    @property
    def started_at(self) -> float: ...
    @property
    def ready(self) -> bool: ...
    @property
    def started(self) -> bool: ...
    @property
    def restarts(self) -> int: ...


class PodView(Struct, frozen=True, kw_only=True):
    """What the status says of a pod."""

    uid: str
    restart_policy: str
    address: str
    started: float
    initialized: bool
    init: Sequence[ContainerView]
    containers: Sequence[ContainerView]
    ephemeral: Sequence[ContainerView] = ()
    failed: str = ""  # a reason for which the whole pod has failed
    message: str = ""


def build_status(pod: PodView, before: Mapping[str, object], now: float) -> JsonObject:
    """The whole status; conditions that are as `before` keep the time of their last change."""
    phase = _phase(pod)
    unready = [each.name for each in pod.containers if not each.ready]
    ready = pod.initialized and not unready and phase == "Running"
    incomplete = [each.name for each in pod.init if not _completed(each)]
    conditions = [
        _condition("PodReadyToStartContainers", bool(pod.address)),
        _condition(
            "Initialized", pod.initialized, "ContainersNotInitialized", f"containers with incomplete status: [{' '.join(incomplete)}]"
        ),
        _condition("Ready", ready, *_unready(phase, unready)),
        _condition("ContainersReady", ready, *_unready(phase, unready)),
        _condition("PodScheduled", True),
    ]
    status: JsonObject = {
        "phase": phase,
        "conditions": _dated(conditions, before, now),
        "hostIP": "127.0.0.1",
        "hostIPs": [{"ip": "127.0.0.1"}],
        "podIP": pod.address or None,
        "podIPs": [{"ip": pod.address}] if pod.address else None,
        "startTime": rfc3339(pod.started),
        "qosClass": "BestEffort",
        "reason": pod.failed or None,
        "message": pod.message or None,
        "containerStatuses": [_container(each, pod.uid) for each in pod.containers],
    }
    if pod.init:
        status["initContainerStatuses"] = [_container(each, pod.uid) for each in pod.init]
    if pod.ephemeral:
        status["ephemeralContainerStatuses"] = [_container(each, pod.uid) for each in pod.ephemeral]
    return status


def _completed(container: ContainerView) -> bool:
    return isinstance(container.state, Ended) and container.state.code == 0


def _phase(pod: PodView) -> str:
    if pod.failed:
        return "Failed"
    states = [each.state for each in pod.containers]
    ended = [state for state in states if isinstance(state, Ended)]
    if not pod.initialized:
        failed = any(isinstance(each.state, Ended) and each.state.code for each in pod.init)
        return "Failed" if failed and pod.restart_policy == "Never" else "Pending"
    if states and len(ended) == len(states) and pod.restart_policy != "Always":
        if all(state.code == 0 for state in ended):
            return "Succeeded"
        if pod.restart_policy == "Never":
            return "Failed"
    begun = any(state is None or isinstance(state, Ended) or each.last for each, state in zip(pod.containers, states, strict=True))
    never_begun = any(isinstance(state, Waiting) and not each.last for each, state in zip(pod.containers, states, strict=True))
    return "Running" if begun and not never_begun else "Pending"


def _unready(phase: str, unready: Sequence[str]) -> tuple[str, str]:
    if phase == "Succeeded":
        return "PodCompleted", ""
    return ("PodFailed", "") if phase == "Failed" else ("ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]")


def _condition(kind: str, holds: bool, reason: str = "", message: str = "") -> JsonObject:  # noqa: FBT001
    told = {"reason": reason, "message": message} if not holds else {}
    return {"type": kind, "status": "True" if holds else "False", "lastProbeTime": None, **{k: v for k, v in told.items() if v}}


def _dated(conditions: Sequence[JsonObject], before: Mapping[str, object], now: float) -> list[JsonObject]:
    old = {each.get("type"): each for each in dicts(before.get("conditions"))}
    for each in conditions:
        same = old.get(each["type"], {})
        kept = same.get("lastTransitionTime") if same.get("status") == each["status"] else None
        each["lastTransitionTime"] = kept or rfc3339(now)
    return list(conditions)


def _container(container: ContainerView, uid: str) -> JsonObject:
    number = f"lateen://{uid}-{container.name}-{container.restarts}"
    return {
        "name": container.name,
        "state": _state(container.state, container.started_at, number),
        "lastState": _state(container.last, 0, number) if container.last else {},
        "ready": container.ready,
        "restartCount": container.restarts,
        "image": container.image,
        "imageID": "",
        "containerID": number if container.started_at else "",
        "started": container.started,
    }


def _state(state: Waiting | Ended | None, started: float, number: str) -> JsonObject:
    if state is None:
        return {"running": {"startedAt": rfc3339(started)}}
    if isinstance(state, Waiting):
        return {"waiting": {"reason": state.reason, **({"message": state.message} if state.message else {})}}
    return {
        "terminated": {
            "exitCode": state.code,
            "reason": state.reason,
            "startedAt": rfc3339(state.started),
            "finishedAt": rfc3339(state.finished),
            "containerID": number,
            **({"message": state.message} if state.message else {}),
        }
    }
