"""Following a kind that the cluster may not define."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from lateen.api.kinds import KindInfo, info_of
from lateen.kube.errors import missing_kind
from lateen.kube.records import JsonObject
from lateen.runtime.clock import SystemClock
from lateen.sources.kubereflect import Listing, WatchEvent, reflect

GRANT: JsonObject = {"metadata": {"name": "grant", "namespace": "bank", "uid": "1"}}


class Quick(SystemClock):
    """Time runs a hundred times as fast."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds / 100)


class Cluster:
    """Does not define the kind, then does, then no longer."""

    def __init__(self) -> None:
        self.lists = 0
        self.fifth = asyncio.Event()

    async def list(self, info: KindInfo, namespace: str, *, label_selector: str, field_selector: str) -> Listing:
        self.lists += 1
        if self.lists == 5:
            self.fifth.set()
        if self.lists != 3:
            raise missing_kind()
        return Listing([GRANT], "7")

    async def watch(
        self, info: KindInfo, *, resource_version: str, namespace: str, label_selector: str, field_selector: str
    ) -> AsyncGenerator[WatchEvent, None]:
        raise missing_kind()
        yield WatchEvent("BOOKMARK", GRANT)


def test_a_kind_that_the_cluster_does_not_define_has_no_objects() -> None:
    """The start does not wait for it; once it is defined its objects come, and they go with the definition."""

    async def main() -> list[str]:
        told: list[str] = []
        synced = asyncio.Event()
        cluster = Cluster()

        def on_event(event: str, _obj: Any) -> None:
            told.append(event)

        async with asyncio.timeout(10):
            following = asyncio.create_task(reflect(cluster, info_of("ReferenceGrant"), on_event, on_synced=synced.set, clock=Quick()))
            await synced.wait()
            assert (cluster.lists, told) == (1, [])
            await cluster.fifth.wait()
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        return told

    assert asyncio.run(main()) == ["ADDED", "DELETED"]
