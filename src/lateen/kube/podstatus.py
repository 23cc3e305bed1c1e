"""One word for the state of a pod, as `kubectl get pods` shows it.

Must not decide what a pod should do.
"""

from collections.abc import Sequence
from datetime import datetime

from lateen.kube.ages import age
from lateen.kube.records import JsonObject, dicts, section

__all__ = ["pod_ready", "pod_restarts", "pod_status"]


def _sidecars(obj: JsonObject) -> set[object]:
    """Init containers that stay: they count as containers."""
    return {c.get("name") for c in dicts(section(obj, "spec").get("initContainers")) if c.get("restartPolicy") == "Always"}


def _counted(obj: JsonObject) -> Sequence[JsonObject]:
    status = section(obj, "status")
    sidecars = _sidecars(obj)
    staying = [s for s in dicts(status.get("initContainerStatuses")) if s.get("name") in sidecars]
    return [*staying, *dicts(status.get("containerStatuses"))]


def pod_ready(obj: JsonObject) -> str:
    """Ready containers of all."""
    total = len(dicts(section(obj, "spec").get("containers"))) + len(_sidecars(obj))
    return f"{sum(s.get('ready') is True for s in _counted(obj))}/{total}"


def pod_restarts(obj: JsonObject, now: datetime) -> str:
    """How often containers were restarted, and when last."""
    count = 0
    last = ""
    for status in _counted(obj):
        restarts = status.get("restartCount")
        count += restarts if isinstance(restarts, int) else 0
        finished = section(section(status, "lastState"), "terminated").get("finishedAt")
        last = max(last, str(finished or ""))
    return f"{count} ({age(last, now)} ago)" if count and last else str(count)


def pod_status(obj: JsonObject) -> str:
    """The phase, or what keeps the pod from it."""
    status = section(obj, "status")
    if "deletionTimestamp" in section(obj, "metadata"):
        return "Terminating"
    return _init_problem(obj) or _container_problem(status) or str(status.get("reason") or status.get("phase") or "Unknown")


def _init_problem(obj: JsonObject) -> str:
    specs = dicts(section(obj, "spec").get("initContainers"))
    sidecars = _sidecars(obj)
    for index, status in enumerate(dicts(section(obj, "status").get("initContainerStatuses"))):
        state = section(status, "state")
        terminated, waiting = section(state, "terminated"), section(state, "waiting")
        if terminated.get("exitCode") == 0 or (status.get("name") in sidecars and status.get("started")):
            continue
        if terminated:
            return f"Init:{terminated.get('reason') or 'ExitCode:' + str(terminated.get('exitCode'))}"
        if waiting.get("reason") not in (None, "", "PodInitializing"):
            return f"Init:{waiting['reason']}"
        return f"Init:{index}/{len(specs)}"
    return ""


def _container_problem(status: JsonObject) -> str:
    reason = ""
    running = False
    for container in reversed(dicts(status.get("containerStatuses"))):
        state = section(container, "state")
        waiting, terminated = section(state, "waiting"), section(state, "terminated")
        if waiting.get("reason"):
            reason = str(waiting["reason"])
        elif terminated:
            reason = _ended(terminated)
        elif container.get("ready") and "running" in state:
            running = True
    if reason == "Completed" and running:
        return "Running" if status.get("phase") == "Running" else "NotReady"
    return reason


def _ended(terminated: JsonObject) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode')}"
