"""What the mesh tells of itself: the worst of a proxy's types, written when it changes and not otherwise."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lateen.ads.fleet import ProxyStatus
from lateen.api.kinds import by_kind
from lateen.local.publish import Publication
from lateen.local.status import BOARD, BOARD_NAMESPACE, StatusBoard, described, proxy_state
from lateen.model.scope import Proxy
from lateen.testing.kubeapi import kube_api

CONFIG_MAP: Any = by_kind("ConfigMap")
NAMESPACE: Any = by_kind("Namespace")


def held(*states: str) -> ProxyStatus:
    proxy = Proxy(id="sidecar~1", kind="sidecar", namespace="default", name="web-1", addresses=("10.177.0.2",), labels=())
    return ProxyStatus(proxy=proxy, types=tuple((f"type{number}", state) for number, state in enumerate(states)), nacks=())


@pytest.mark.parametrize(
    ("states", "told"),
    [
        (("SYNCED", "STALE", "REJECTED"), "REJECTED"),
        (("SYNCED", "STALE", "NOT SENT"), "STALE"),
        (("SYNCED", "NOT SENT"), "SYNCED"),
        (("NOT SENT", "NOT SENT"), "NOT SENT"),
    ],
)
def test_a_proxy_is_as_its_worst_type(states: tuple[str, ...], told: str) -> None:
    """A type that the proxy never asked for does not count while it holds others."""
    assert proxy_state(held(*states)) == told


def test_ports_and_proxies_are_described() -> None:
    """Each value is JSON: where a port is and where it leads, the pods' addresses, what the proxies hold."""
    data = described([Publication(service="web", namespace="shop", port=80, host_port=8080, http=True)], "10.177.0.0/16", [held("STALE")])
    told = {key: json.loads(value) for key, value in data.items()}
    assert told == {
        "published": [{"address": "127.0.0.1", "port": 8080, "to": "web.shop:80", "http": True}],
        "podRange": "10.177.0.0/16",
        "proxies": [{"namespace": "default", "pod": "web-1", "state": "STALE"}],
    }


class Steps:
    """A clock whose waits end when the test says so."""

    def __init__(self) -> None:
        self.waiting = asyncio.Event()
        self._go = asyncio.Event()

    def now(self) -> float:
        return 0.0

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, _seconds: float) -> None:
        self.waiting.set()
        await self._go.wait()
        self._go.clear()

    async def step(self) -> None:
        """The next look is over when this returns."""
        self.waiting.clear()
        self._go.set()
        await self.waiting.wait()


def test_the_board_follows_and_is_written_on_change_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made at the start, patched when something changed, left alone when nothing did; what is left of an earlier run is replaced."""

    async def main(look: Callable[[], dict[str, str]], data: dict[str, str]) -> None:
        clock = Steps()
        async with kube_api(tmp_path) as api:

            async def stored() -> object:
                return (await api.client.get(CONFIG_MAP, BOARD, BOARD_NAMESPACE))["data"]

            await api.client.create(NAMESPACE, {"metadata": {"name": BOARD_NAMESPACE}})
            await api.client.create(CONFIG_MAP, {"metadata": {"name": BOARD, "namespace": BOARD_NAMESPACE}, "data": {"a": "earlier"}})
            tries: list[object] = []
            create = api.client.create

            async def counted(info: Any, obj: Any) -> Any:
                tries.append(obj)
                return await create(info, obj)

            monkeypatch.setattr(api.client, "create", counted)
            board = StatusBoard(api.client, look, clock)
            board.start()
            await clock.waiting.wait()
            assert await stored() == {"a": "1"}
            await clock.step()
            assert len(tries) == 1
            data["a"] = "2"
            await clock.step()
            assert await stored() == {"a": "2"}
            await board.stop()

    data = {"a": "1"}
    asyncio.run(asyncio.wait_for(main(lambda: dict(data), data), 30))


def test_a_board_that_cannot_be_written_is_tried_again(tmp_path: Path) -> None:
    """Its namespace is missing at first; the next look writes it."""

    async def main() -> None:
        clock = Steps()
        async with kube_api(tmp_path) as api:
            board = StatusBoard(api.client, lambda: {"a": "1"}, clock)
            board.start()
            await clock.waiting.wait()
            await api.client.create(NAMESPACE, {"metadata": {"name": BOARD_NAMESPACE}})
            await clock.step()
            stored: Any = await api.client.get(CONFIG_MAP, BOARD, BOARD_NAMESPACE)
            assert stored["data"] == {"a": "1"}
            await board.stop()

    asyncio.run(asyncio.wait_for(main(), 30))
