"""Containers' logs: kept, rotated, followed."""

import asyncio
import os
from pathlib import Path

from lateen.local.podlogs import ContainerLog, log_folder, remove_logs

SECONDS = 5.0


async def _read(log: ContainerLog, *, follow: bool = False, tail: int | None = None) -> bytes:
    return b"".join([chunk async for chunk in log.read(follow=follow, tail=tail)])


def test_log_keeps_what_was_said_before(tmp_path: Path) -> None:
    """A new run adds to the log; the last lines can be asked for."""

    async def case() -> None:
        path = log_folder(tmp_path, "shop", "web") / "main.log"
        for text in (b"one\ntwo\n", b"three\n"):
            log = ContainerLog(path)
            writer = log.pipe()
            os.write(writer, text)
            os.close(writer)
            log.close()
        assert await _read(ContainerLog(path)) == b"one\ntwo\nthree\n"
        assert await _read(ContainerLog(path), tail=2) == b"two\nthree\n"
        assert await _read(ContainerLog(path), tail=0) == b""
        remove_logs(tmp_path, "shop", "web")
        assert not path.exists()

    asyncio.run(case())


def test_full_log_is_put_aside(tmp_path: Path) -> None:
    """Two files at most, and a reader sees both."""

    async def case() -> None:
        log = ContainerLog(tmp_path / "main.log", largest=10)
        for word in ("first", "second", "third", "fourth"):
            log.say(word)
        log.close()
        assert log.older.read_text() == "third\n"
        assert (tmp_path / "main.log").read_text() == "fourth\n"
        assert await _read(log) == b"third\nfourth\n"

    asyncio.run(case())


def test_follower_hears_everything_once(tmp_path: Path) -> None:
    """What is said while somebody follows arrives in order, over a rotation, until the log is closed."""

    async def case() -> None:
        log = ContainerLog(tmp_path / "main.log", largest=64)
        log.say("before")
        following = asyncio.get_running_loop().create_task(_read(log, follow=True))
        await asyncio.sleep(0)
        words = [f"line {number}" for number in range(40)]
        for word in words:
            log.say(word)
            for _ in range(5):
                await asyncio.sleep(0)
        log.close()
        async with asyncio.timeout(SECONDS):
            assert (await following).decode().split("\n")[:-1] == ["before", *words]

    asyncio.run(case())
