"""The store under kill -9, on a full disk and on one that takes no writes: what was acknowledged is there, watchers miss nothing."""

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from lateen.api.kinds import by_kind
from lateen.kube.errors import ApiError
from lateen.sources.kubeclient import Endpoint, KubeClient
from lateen.sources.kubehttp import UnreachableError
from lateen.testing.kubeapi import RunningApi, kube_api

CONFIG_MAP: Any = by_kind("ConfigMap")
WRITES = 1000
SERVER = """
import asyncio, sys
from pathlib import Path
from lateen.testing.kubeapi import kube_api

async def main():
    async with kube_api(Path(sys.argv[1])) as api:
        print("ready", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "data": data}


async def started(folder: Path) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", SERVER, str(folder), stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), 20) == b"ready\n"
    return process


async def follow(client: KubeClient, start: str, seen: dict[str, int], until: str = "") -> None:
    """A watcher's own record: each object with the revision at which it came."""
    with contextlib.suppress(UnreachableError, ApiError, OSError):
        async for event in client.watch(CONFIG_MAP, resource_version=start):
            meta: Any = event.object["metadata"]
            assert meta["name"] not in seen, "told twice"
            seen[meta["name"]] = int(meta["resourceVersion"])
            if meta["name"] == until:
                return


@pytest.mark.parametrize("killed_after", [1, 100, 500])
def test_killed_in_the_middle_of_a_thousand_writes(tmp_path: Path, killed_after: int) -> None:
    """After a restart the acknowledged writes are there, of the others each may be; a watcher goes on where it was, each told once."""
    acknowledged: set[str] = set()
    tried: set[str] = set()

    async def main() -> None:
        server = await started(tmp_path)
        client = KubeClient(Endpoint(unix=str(tmp_path / "api.sock")))
        start = (await client.list(CONFIG_MAP)).resource_version
        seen: dict[str, int] = {}
        watching = asyncio.create_task(follow(client, start, seen))
        enough = asyncio.Event()

        async def writer(numbers: range) -> None:
            with contextlib.suppress(UnreachableError, ApiError, OSError):
                for number in numbers:
                    tried.add(f"c{number}")
                    await client.create(CONFIG_MAP, config_map(f"c{number}", a="x" * 200))
                    acknowledged.add(f"c{number}")
                    if len(acknowledged) >= killed_after:
                        enough.set()

        writers = [asyncio.create_task(writer(range(n, WRITES, 20))) for n in range(20)]
        await enough.wait()
        os.kill(server.pid, signal.SIGKILL)
        await server.wait()
        await asyncio.gather(*writers, watching)
        client.close()
        assert killed_after <= len(acknowledged) < WRITES
        async with kube_api(tmp_path) as api:
            there = {str(obj["metadata"]["name"]): obj for obj in (await api.client.list(CONFIG_MAP)).items}  # type: ignore[index]
            assert acknowledged <= set(there) <= tried
            assert set(seen) <= set(there), "a watcher was told of a write that was undone"
            resumed: dict[str, int] = {}
            last = max(seen.values(), default=int(start))
            await api.client.create(CONFIG_MAP, config_map("last"))
            async with asyncio.timeout(10):
                await follow(api.client, str(last), resumed, until="last")
            assert not set(seen) & set(resumed)
            assert set(seen) | set(resumed) == {*there, "last"}
            assert min(resumed.values()) > last

    asyncio.run(asyncio.wait_for(main(), 60))


async def refused(api: RunningApi, name: str) -> ApiError:
    with pytest.raises(ApiError) as found:
        await api.client.create(CONFIG_MAP, config_map(name, a="x" * 20_000))
    return found.value


def test_a_full_disk_stops_writes_and_not_reads(tmp_path: Path) -> None:
    """Writes fail loudly with what to do; lists, gets and watches go on; when there is room again, writes do too."""

    async def main() -> None:
        async with kube_api(tmp_path) as api:
            await api.client.create(CONFIG_MAP, config_map("kept", a="1"))
            database: Any = api.live._persistence
            pages = database._db.execute("pragma page_count").fetchone()[0]
            database._db.execute(f"pragma max_page_count = {pages}")
            errors = await asyncio.gather(*(refused(api, f"c{n}") for n in range(20)))
            assert {error.code for error in errors} == {500}
            assert all("full" in error.message and "nothing was changed" in error.message for error in errors)
            assert [obj["metadata"]["name"] for obj in (await api.client.list(CONFIG_MAP)).items] == ["kept"]  # type: ignore[index]
            assert (await api.client.get(CONFIG_MAP, "kept", "default"))["data"] == {"a": "1"}
            database._db.execute("pragma max_page_count = 1000000")
            await api.client.create(CONFIG_MAP, config_map("after"))
        async with kube_api(tmp_path) as api:
            names = [obj["metadata"]["name"] for obj in (await api.client.list(CONFIG_MAP)).items]  # type: ignore[index]
            assert names == ["after", "kept"]

    asyncio.run(asyncio.wait_for(main(), 30))


def test_a_disk_that_takes_no_writes_is_read(tmp_path: Path) -> None:
    """As above, for a file system that became read-only."""

    async def main() -> None:
        async with kube_api(tmp_path) as api:
            await api.client.create(CONFIG_MAP, config_map("kept", a="1"))
            database: Any = api.live._persistence
            database._db.execute("pragma query_only = on")
            error = await refused(api, "c")
            assert (error.code, error.reason) == (500, "InternalError")
            assert "readonly" in error.message
            assert (await api.client.get(CONFIG_MAP, "kept", "default"))["data"] == {"a": "1"}
            assert api.live.store.revision == int((await api.client.list(CONFIG_MAP)).resource_version)

    asyncio.run(asyncio.wait_for(main(), 30))
