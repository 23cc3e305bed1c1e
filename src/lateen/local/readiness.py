"""When a mesh is whole: every Deployment has its pods ready, and the gateway answers for a page. Must not print."""

import asyncio
from collections.abc import AsyncIterator

from msgspec import Struct

from lateen.api.kinds import KindInfo, info_of
from lateen.kube.records import JsonObject, dicts, section
from lateen.local.mesh import LocalMesh
from lateen.local.replicasets import is_ready
from lateen.runtime.clock import Clock

__all__ = ["PodState", "page_answers", "pod_states", "until_ready"]

_LOOK = 0.1  # seconds between looks
_PODS, _DEPLOYMENTS = info_of("Pod"), info_of("Deployment")


class PodState(Struct, frozen=True):
    """A pod's name, whether it is ready, and the word for what it is doing."""

    namespace: str
    name: str
    ready: bool
    doing: str


async def pod_states(mesh: LocalMesh) -> tuple[PodState, ...]:
    """All pods, sorted."""
    return tuple(sorted((_state(pod) for pod in await _all(mesh, _PODS)), key=lambda state: (state.namespace, state.name)))


async def until_ready(mesh: LocalMesh, clock: Clock) -> AsyncIterator[tuple[PodState, ...]]:
    """The pods' states, again and again, until every Deployment has all its pods ready."""
    while True:
        states = await pod_states(mesh)
        yield states
        if all(_complete(one) for one in await _all(mesh, _DEPLOYMENTS)) and all(state.ready for state in states):
            return
        await clock.sleep(_LOOK)


async def page_answers(mesh: LocalMesh, path: str, clock: Clock) -> None:
    """Return once the ingress gateway answers `path` with 200."""
    while await _status(mesh, path) != 200:
        await clock.sleep(_LOOK)


async def _status(mesh: LocalMesh, path: str) -> int:
    target = mesh.ingress()
    if target is None:
        return 0
    try:
        async with asyncio.timeout(5):
            reader, writer = await asyncio.open_connection(*target)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            line = await reader.readline()
            writer.close()
    except (OSError, TimeoutError):
        return 0
    words = line.split()
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0


async def _all(mesh: LocalMesh, info: KindInfo) -> list[JsonObject]:
    return (await mesh.client.list(info)).items


def _complete(deployment: JsonObject) -> bool:
    meta, status = section(deployment, "metadata"), section(deployment, "status")
    wanted = section(deployment, "spec").get("replicas", 1)
    return status.get("observedGeneration") == meta.get("generation") and status.get("readyReplicas", 0) == wanted


def _state(pod: JsonObject) -> PodState:
    meta, status = section(pod, "metadata"), section(pod, "status")
    ready = is_ready(pod)
    return PodState(str(meta.get("namespace", "")), str(meta.get("name", "")), ready, "ready" if ready else _doing(status))


def _doing(status: JsonObject) -> str:
    """The first thing a container waits for."""
    for one in dicts(status.get("containerStatuses")):
        waiting = section(section(one, "state"), "waiting")
        if waiting.get("reason"):
            return f"{one.get('name')}: {waiting['reason']}"
    return str(status.get("phase", "Pending"))
