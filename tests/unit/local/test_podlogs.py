"""Containers' logs: kept, rotated, followed."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from lateen.kube.options import LogOptions
from lateen.local.podlogs import ContainerLog, container_log, remove_logs
from lateen.runtime.clock import SystemClock

SECONDS = 5.0


class Hours(SystemClock):
    """An hour passes with each look."""

    def __init__(self) -> None:
        self.looks = 0

    def now(self) -> float:
        self.looks += 1
        return self.looks * 3600.0


async def _read(log: ContainerLog, **options: Any) -> bytes:
    return b"".join([chunk async for chunk in log.read(LogOptions(**options))])


def run_once(log: ContainerLog, text: bytes) -> None:
    """A program that says this, and ends."""
    writer = log.pipe()
    os.write(writer, text)
    os.close(writer)
    log.close()


def test_log_is_of_the_present_run_and_of_the_one_before(tmp_path: Path) -> None:
    """Kept when nobody runs; a third run ends what is known of the first."""

    async def case() -> None:
        for text in (b"one\ntwo\n", b"three\nfour", b"five\n"):
            log = container_log(tmp_path, "shop", "web", "main", Hours())
            run_once(log, text)
            if text.startswith(b"one"):
                with pytest.raises(FileNotFoundError):
                    await _read(log, previous=True)
        log = container_log(tmp_path, "shop", "web", "main", Hours())
        assert (await _read(log), await _read(log, previous=True)) == (b"five\n", b"three\nfour")
        remove_logs(tmp_path, "shop", "web")
        assert not log.there

    asyncio.run(case())


def test_a_part_of_a_log(tmp_path: Path) -> None:
    """The last lines, those since a time, so many bytes, with their times; a line that came in parts is one."""

    async def case() -> None:
        log = ContainerLog(tmp_path / "main.log", Hours())
        writer = log.pipe()
        for text in (b"one\ntwo", b" and a half\n", b"three"):
            os.write(writer, text)
            for _ in range(3):
                await asyncio.sleep(0)  # the pipe is read
        os.close(writer)
        log.close()
        assert await _read(log) == b"one\ntwo and a half\nthree"
        assert [await _read(log, tail=count) for count in (0, 1, 2)] == [b"", b"three", b"two and a half\nthree"]
        assert await _read(log, since=7200.0) == b" and a half\nthree"
        assert await _read(log, limit=5) == b"one\nt"
        times = b"1970-01-01T01:00:00.000000000Z ", b"1970-01-01T03:00:00.000000000Z "
        assert await _read(log, timestamps=True) == times[0] + b"one\n" + times[0] + b"two and a half\n" + times[1] + b"three"

    asyncio.run(case())


def test_full_log_is_put_aside(tmp_path: Path) -> None:
    """Two files at most, and a reader sees both."""

    async def case() -> None:
        log = ContainerLog(tmp_path / "main.log", Hours(), largest=60)
        for word in ("first", "second", "third", "fourth"):
            log.say(word)
        log.close()
        assert log.older.read_text().endswith(" third\n")
        assert (tmp_path / "main.log").read_text().endswith(" fourth\n")
        assert await _read(log) == b"third\nfourth\n"

    asyncio.run(case())


def test_follower_hears_everything_once(tmp_path: Path) -> None:
    """What is said while somebody follows arrives in order, over a rotation, until the log is closed."""

    async def case() -> None:
        log = ContainerLog(tmp_path / "main.log", Hours(), largest=200)
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
