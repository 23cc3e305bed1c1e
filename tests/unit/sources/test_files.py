"""A folder of files as a source: what changed is told, once, and a file that cannot be read keeps what it last gave."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from lateen.api.meta import Key
from lateen.sources.files import Folder, follow_file, follow_folder

WEB = b"apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{name: http, port: 80}]}\n"
API = WEB.replace(b"web", b"api")
WEB_KEY, API_KEY = Key("Service", "default", "web"), Key("Service", "default", "api")


class Told:
    """What a folder told, in order, and what stands."""

    def __init__(self) -> None:
        self.events: list[tuple[Key, int]] = []
        self.objects: dict[Key, Any] = {}

    def __call__(self, key: Key, obj: Struct | None, generation: int) -> None:
        self.events.append((key, generation))
        if obj is None:
            self.objects.pop(key)
        else:
            self.objects[key] = obj


@pytest.fixture
def told() -> Told:
    return Told()


def test_each_change_of_an_object_is_a_generation(told: Told) -> None:
    """An object without a namespace is of `default`; a file written again as it was tells nothing."""
    folder = Folder(told)
    assert folder.update("a.yaml", WEB) == ()
    assert folder.update("a.yaml", WEB) == ()
    assert folder.update("a.yaml", WEB.replace(b"80", b"81")) == ()
    assert told.events == [(WEB_KEY, 1), (WEB_KEY, 2)]
    assert told.objects[WEB_KEY].metadata.generation == 2
    folder.update("a.yaml", None)
    folder.update("a.yaml", WEB)
    assert told.events[2:] == [(WEB_KEY, 0), (WEB_KEY, 3)]


@pytest.mark.parametrize("broken", [WEB + b"---\nkind: [", WEB[:40] + b"\t{", b"", b"\xff\xfe\xfd"])
def test_a_half_written_file_keeps_what_it_last_gave(told: Told, broken: bytes) -> None:
    """Cut off within a value, an empty one, one in no known encoding."""
    folder = Folder(told)
    folder.update("a.yaml", WEB + b"---\n" + API)
    assert [problem.code for problem in folder.update("a.yaml", broken)] == ["syntax"]
    assert told.objects.keys() == {WEB_KEY, API_KEY}
    assert len(told.events) == 2


def test_an_object_with_an_error_stays_and_the_others_of_its_file_change(told: Told) -> None:
    """A wrong port leaves its object as it was; its neighbour moves on."""
    folder = Folder(told)
    folder.update("a.yaml", WEB + b"---\n" + API)
    problems = folder.update("a.yaml", WEB.replace(b"80", b"eighty") + b"---\n" + API.replace(b"80", b"81"))
    assert len(problems) == 1 and problems[0].file == "a.yaml"
    assert told.objects[WEB_KEY].spec.ports[0].port == 80
    assert told.objects[API_KEY].spec.ports[0].port == 81


def test_of_two_files_with_one_object_the_first_by_name_counts(told: Told) -> None:
    """Whichever was written first; when it goes the other one counts."""
    folder = Folder(told)
    folder.update("b.yaml", WEB.replace(b"80", b"82"))
    (problem,) = folder.update("a.yaml", WEB)
    assert "b.yaml" in problem.message and "the one in a.yaml counts" in problem.message
    assert told.objects[WEB_KEY].spec.ports[0].port == 80
    folder.update("a.yaml", None)
    assert told.objects[WEB_KEY].spec.ports[0].port == 82


def test_a_folder_is_followed(told: Told, tmp_path: Path) -> None:
    """Written, replaced by rename, in a new subfolder, removed; other files are none of its business."""
    (tmp_path / "web.yaml").write_bytes(WEB)
    (tmp_path / "notes.txt").write_bytes(b"{")

    async def main() -> None:
        synced, moved = asyncio.Event(), asyncio.Event()
        task = asyncio.ensure_future(follow_folder(tmp_path, Folder(told), synced=synced.set, changed=moved.set))
        await synced.wait()
        assert told.objects.keys() == {WEB_KEY}
        (tmp_path / "draft").write_bytes(WEB.replace(b"80", b"81"))
        (tmp_path / "draft").rename(tmp_path / "web.yaml")
        await until(moved, lambda: told.objects[WEB_KEY].spec.ports[0].port == 81)
        (tmp_path / "more").mkdir()
        (tmp_path / "more" / "api.yml").write_bytes(API)
        await until(moved, lambda: API_KEY in told.objects)
        (tmp_path / "web.yaml").unlink()
        await until(moved, lambda: told.objects.keys() == {API_KEY})
        task.cancel()

    asyncio.run(asyncio.wait_for(main(), 60))


def test_a_file_is_followed_and_its_loss_is_not(tmp_path: Path) -> None:
    """Its content is told at the start and at each change; when it is gone nothing is."""
    file, seen = tmp_path / "mesh", list[bytes]()
    file.write_bytes(b"one")

    async def main() -> None:
        moved = asyncio.Event()

        def tell(data: bytes) -> None:
            seen.append(data)
            moved.set()

        task = asyncio.ensure_future(follow_file(file, tell))
        await until(moved, lambda: seen == [b"one"])
        file.unlink()
        (tmp_path / "new").write_bytes(b"two")
        (tmp_path / "new").rename(file)
        await until(moved, lambda: seen == [b"one", b"two"])
        task.cancel()

    asyncio.run(asyncio.wait_for(main(), 60))


async def until(moved: asyncio.Event, holds: Callable[[], bool]) -> None:
    """Wait until `holds()`, which may come true whenever `moved` is set; the caller's time limit ends it."""
    while not holds():
        await moved.wait()
        moved.clear()
