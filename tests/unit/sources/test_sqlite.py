"""The store's file: what was acknowledged is there after any death."""

import asyncio
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lateen.api.kinds import by_kind
from lateen.kube.crds import CUSTOM
from lateen.kube.errors import ApiError
from lateen.kube.records import Change, Ref, Stored
from lateen.kube.registry import PROTECTED_NAMESPACES
from lateen.kube.watch import Watch
from lateen.sources.sqlite import SqliteFile, StoreError
from lateen.testing.kubeapi import kube_api

FIRST = 1 + len(PROTECTED_NAMESPACES) + len(CUSTOM)  # revision of the first write after those of the store's own
WRITER = """
import asyncio, sys
from pathlib import Path
from lateen.api.kinds import by_kind
from lateen.testing.kubeapi import kube_api

async def write(api, lane):
    info = by_kind("ConfigMap")
    for n in range(10_000):
        name = f"c{lane}-{n}"
        made = await api.client.create(info, {"metadata": {"name": name}, "data": {"n": str(n)}})
        print("+", name, made["metadata"]["resourceVersion"], flush=True)
        if n % 3 == 0:
            await api.client.delete(info, name, "default")
            print("-", name, flush=True)

async def main():
    async with kube_api(Path(sys.argv[1])) as api:
        await asyncio.gather(*(write(api, lane) for lane in range(4)))

asyncio.run(main())
"""


def stored(revision: int, name: str = "a") -> Stored:
    return Stored(
        Ref("configmaps", "d", name), revision, f"u{revision}", {}, {}, (), False, b'{"metadata":{"resourceVersion":"%d"}}' % revision
    )


def test_everything_written_is_loaded_again(tmp_path: Path) -> None:
    """Objects, changes with what was before them, floors and the revision."""
    file = SqliteFile(tmp_path / "mesh.db")
    first, second, gone = stored(1), stored(2), stored(3)
    file.write([Change("ADDED", first, None)], 1, {})
    file.write([Change("MODIFIED", second, first), Change("DELETED", gone, second)], 3, {"configmaps": 1})
    file.close()
    again = SqliteFile(tmp_path / "mesh.db")
    saved = again.load()
    assert saved.revision == 3
    assert list(saved.objects) == []
    assert [(c.type, c.previous) for c in saved.changes] == [("MODIFIED", first.body), ("DELETED", second.body)]
    assert dict(saved.floors) == {"configmaps": 1}
    again.close()


def test_a_batch_is_all_or_nothing(tmp_path: Path) -> None:
    """A failure in the middle leaves the file as it was, and it can be written again."""
    file = SqliteFile(tmp_path / "mesh.db")
    file.write([Change("ADDED", stored(1), None)], 1, {})
    with pytest.raises(sqlite3.IntegrityError):
        file.write([Change("ADDED", stored(2, "b"), None), Change("ADDED", stored(1, "c"), None)], 2, {})
    assert [ref.name for ref, _ in file.load().objects] == ["a"]
    file.write([Change("ADDED", stored(2, "b"), None)], 2, {})
    assert file.load().revision == 2
    file.close()


def test_the_file_is_the_owners_alone(tmp_path: Path) -> None:
    """It holds secrets."""
    file = SqliteFile(tmp_path / "data" / "mesh.db")
    assert (tmp_path / "data" / "mesh.db").stat().st_mode & 0o777 == 0o600
    file.close()


def test_a_second_process_is_told_to_go_away(tmp_path: Path) -> None:
    """Two writers would lose each other's objects."""
    file = SqliteFile(tmp_path / "mesh.db")
    file.write([Change("ADDED", stored(1), None)], 1, {})
    attempt = "import sys; from pathlib import Path; from lateen.sources.sqlite import SqliteFile; SqliteFile(Path(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", attempt, str(tmp_path / "mesh.db")], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    assert "stop the other process" in done.stderr
    file.close()


def test_a_file_that_is_no_database_is_refused_with_a_sentence(tmp_path: Path) -> None:
    """Also one of a newer format."""
    (tmp_path / "mesh.db").write_bytes(b"not a database, but long enough to look like one" * 100)
    with pytest.raises(StoreError, match="cannot be opened"):
        SqliteFile(tmp_path / "mesh.db")
    newer = sqlite3.connect(tmp_path / "newer.db")
    newer.execute("pragma user_version = 99")
    newer.commit()
    newer.close()
    with pytest.raises(StoreError, match="newer Lateen"):
        SqliteFile(tmp_path / "newer.db")


@pytest.mark.parametrize("seed", range(3))
def test_kill_during_writes_loses_nothing_acknowledged(tmp_path: Path, seed: int) -> None:
    """After kill -9 at a random moment exactly the acknowledged writes are there, plus at most one per writer that was under way."""
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    wanted = random.Random(seed).randrange(20, 400)
    lines = [process.stdout.readline() for _ in range(wanted)]
    os.kill(process.pid, signal.SIGKILL)
    lines += process.stdout.readlines()
    process.stdout.close()
    process.wait(timeout=30)
    acknowledged = [line.split() for line in lines if line.endswith("\n")]
    asyncio.run(asyncio.wait_for(check_after_death(tmp_path, acknowledged), 60))


class Lane:
    """What one writer was told, and so what it was about to be told."""

    def __init__(self, number: int, acknowledged: list[list[str]]) -> None:
        mine = [words for words in acknowledged if words[1].startswith(f"c{number}-")]
        created = [words[1] for words in mine if words[0] == "+"]
        self.deleted = {words[1] for words in mine if words[0] == "-"}
        self.present = set(created) - self.deleted
        self.next = f"c{number}-{len(created)}"
        self.last = created[-1] if created and (len(created) - 1) % 3 == 0 else ""


async def check_after_death(folder: Path, acknowledged: list[list[str]]) -> None:
    info: Any = by_kind("ConfigMap")
    lanes = [Lane(number, acknowledged) for number in range(4)]
    async with kube_api(folder) as api:
        listing = await api.client.list(info, "default")
        items: Any = listing.items
        found = {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in items}
        told = {words[1]: words[2] for words in acknowledged if words[0] == "+"}
        assert not found.keys() & set().union(*(lane.deleted for lane in lanes))
        assert found.keys() - told.keys() <= {lane.next for lane in lanes}  # a create whose answer was cut off
        assert set().union(*(lane.present for lane in lanes)) - found.keys() <= {lane.last for lane in lanes}  # a delete, likewise
        assert all(told[name] == found[name] for name in told.keys() & found.keys())
        watch = Watch(api.live.store, "configmaps")
        watch.start_at(FIRST - 1)  # the whole history is there, without a gap
        replayed: set[str] = set()
        revisions = []
        for event in watch.pull():
            revisions.append(event.stored.rv)
            (replayed.discard if event.type == "DELETED" else replayed.add)(event.stored.ref.name)
        assert replayed == found.keys()
        assert revisions == list(range(FIRST, FIRST + len(revisions)))
        made: Any = await api.client.create(info, {"metadata": {"name": "after"}})
        assert int(made["metadata"]["resourceVersion"]) == int(listing.resource_version) + 1


def test_a_full_disk_fails_writes_and_leaves_reads(tmp_path: Path) -> None:
    """The writer is told, nothing changes, and the next write after the cure works."""
    asyncio.run(asyncio.wait_for(check_full_disk(tmp_path), 60))


async def check_full_disk(folder: Path) -> None:
    info: Any = by_kind("ConfigMap")
    async with kube_api(folder) as api:
        await api.client.create(info, {"metadata": {"name": "before"}})
        database: Any = api.live._persistence
        pages = database._db.execute("pragma page_count").fetchone()[0]
        database._db.execute(f"pragma max_page_count = {pages}")
        with pytest.raises(ApiError) as refused:
            await api.client.create(info, {"metadata": {"name": "big"}, "data": {"x": "y" * 500_000}})
        assert refused.value.code == 500
        assert "nothing was changed" in refused.value.message
        assert [item["metadata"]["name"] for item in (await api.client.list(info)).items] == ["before"]  # type: ignore[index]
        database._db.execute("pragma max_page_count = 1000000")
        made = await api.client.create(info, {"metadata": {"name": "after"}})
        assert json.loads(json.dumps(made))["metadata"]["resourceVersion"] == str(FIRST + 1)
