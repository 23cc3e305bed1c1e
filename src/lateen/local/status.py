"""What `lateen status` cannot see in other objects: published ports, pods' addresses, what each proxy holds. Kept in one ConfigMap.

Why an object: the command line knows nothing but the API. Written when it changes, once a second at most. Must not judge.
"""

import asyncio
import json
from collections.abc import Callable, Iterable

from lateen.ads.fleet import ProxyStatus
from lateen.api.kinds import info_of
from lateen.kube.errors import ApiError
from lateen.local.publish import Publication
from lateen.runtime import log, tasks
from lateen.runtime.clock import Clock
from lateen.sources.kubeclient import KubeClient
from lateen.sources.kubehttp import UnreachableError

__all__ = ["BOARD", "BOARD_NAMESPACE", "StatusBoard", "described", "proxy_state"]

BOARD, BOARD_NAMESPACE = "lateen-status", "istio-system"
_CONFIG_MAP = info_of("ConfigMap")
_INTERVAL = 1.0
_CONFLICT = 409
_WORST_FIRST = ("REJECTED", "STALE", "SYNCED")
_log = log.get("local")

Board = dict[str, str]


def proxy_state(status: ProxyStatus) -> str:
    """The worst of a proxy's types; "NOT SENT" when it holds nothing yet."""
    states = {state for _type, state in status.types}
    return next((state for state in _WORST_FIRST if state in states), "NOT SENT")


def described(publications: Iterable[Publication], pod_range: str, proxies: Iterable[ProxyStatus]) -> Board:
    """The ConfigMap's data; each value is JSON."""
    ports = [{"address": one.address, "port": one.host_port, "to": str(one), "http": one.http} for one in publications]
    held = [{"namespace": one.proxy.namespace, "pod": one.proxy.name, "state": proxy_state(one)} for one in proxies]
    return {"published": json.dumps(ports), "podRange": json.dumps(pod_range), "proxies": json.dumps(held)}


class StatusBoard:
    """Keeps the ConfigMap equal to what `describe` says."""

    def __init__(self, client: KubeClient, describe: Callable[[], Board], clock: Clock) -> None:
        self._client = client
        self._describe = describe
        self._clock = clock
        self._written: Board | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = tasks.spawn(self._run(), name="status board")

    async def stop(self) -> None:
        if self._task is not None:
            await tasks.cancel_all(self._task)

    async def _run(self) -> None:
        while True:
            wanted = self._describe()
            if wanted != self._written:
                await self._write(wanted)
            await self._clock.sleep(_INTERVAL)

    async def _write(self, wanted: Board) -> None:
        board = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": BOARD, "namespace": BOARD_NAMESPACE}, "data": wanted}
        try:
            try:
                await self._client.create(_CONFIG_MAP, board)
            except ApiError as error:
                if error.code != _CONFLICT:
                    raise
                await self._client.patch(_CONFIG_MAP, BOARD, {"data": wanted}, BOARD_NAMESPACE)
        except (ApiError, UnreachableError) as error:
            _log.warning("the mesh's status is not written", error=str(error))
            return
        self._written = wanted
