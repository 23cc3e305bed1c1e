"""What is written into the status of an object, and when."""

import asyncio
from collections.abc import Mapping

from lateen.ads.progress import Progress
from lateen.api.meta import Condition, Key
from lateen.runtime.clock import SystemClock
from lateen.server.rollout import Conditions, Rollout, programmed_before
from lateen.util.problem import Problem, Severity

REVIEWS, RATINGS = (Key("VirtualService", "default", name) for name in ("reviews", "ratings"))


class Quick(SystemClock):
    """Time runs a hundred times as fast."""

    def monotonic(self) -> float:
        return super().monotonic() * 100

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds / 100)


class World:
    """What a rollout is told, and what it wrote: status and message of each condition by object."""

    def __init__(self) -> None:
        self.progress: dict[Key, Progress] = {}
        self.problems: tuple[Problem, ...] = ()
        self.written: dict[Key, dict[str, tuple[object, object]]] = {}
        self.writes = 0
        self.wrote = asyncio.Event()
        self.rollout = Rollout(self._look, lambda: self.problems, self._write, Quick())

    def _look(self, wanted: Mapping[Key, int]) -> Mapping[Key, Progress]:
        return {key: self.progress[key] for key in wanted}

    async def _write(self, key: Key, conditions: Conditions) -> None:
        self.writes += 1
        self.written[key] = {str(each["type"]): (each["status"], each["message"]) for each in conditions}
        self.wrote.set()

    async def until(self, key: Key, kind: str, status: str, message: str) -> None:
        async with asyncio.timeout(5):
            while self.written.get(key, {}).get(kind) != (status, message):
                self.wrote.clear()
                await self.wrote.wait()


def problem(severity: Severity) -> Problem:
    """A problem of reviews."""
    return Problem(
        code="x",
        message="no such host",
        kind="VirtualService",
        namespace="default",
        name="reviews",
        path="spec.http[0]",
        severity=severity,
    )


def test_each_proxy_that_takes_it_is_counted() -> None:
    """False with the count while one lacks it, True when all hold it, and no further write after that."""

    async def test() -> None:
        world = World()
        world.rollout.start()
        world.progress[REVIEWS] = Progress(1, 2)
        world.rollout.staged(REVIEWS, 3, done=False)
        world.rollout.committed()
        await world.until(REVIEWS, "Programmed", "False", "1 of 2 proxies hold generation 3")
        world.progress[REVIEWS] = Progress(2, 2)
        await world.until(REVIEWS, "Programmed", "True", "2 of 2 proxies hold generation 3")
        assert world.written[REVIEWS]["Accepted"] == ("True", "")
        writes = world.writes
        world.rollout.committed()
        world.progress[RATINGS] = Progress(1, 1)
        world.rollout.staged(RATINGS, 1, done=False)
        world.rollout.committed()
        await world.until(RATINGS, "Programmed", "True", "1 of 1 proxies hold generation 1")
        assert world.writes == writes + 1
        await world.rollout.stop()

    asyncio.run(test())


def test_what_is_said_of_an_object_is_written_when_it_changes() -> None:
    """An error that comes up after the object was in force is told, a warning leaves it accepted, and its end is told, too."""

    async def test() -> None:
        world = World()
        world.rollout.start()
        world.progress[REVIEWS] = Progress(1, 1)
        world.rollout.staged(REVIEWS, 1, done=True)
        world.rollout.committed()
        told: tuple[tuple[Severity, str], ...] = (("error", "False"), ("warning", "True"))
        for severity, status in told:
            world.problems = (problem(severity),)
            world.rollout.committed()
            await world.until(REVIEWS, "Accepted", status, "spec.http[0]: no such host")
        world.problems = ()
        world.rollout.committed()
        await world.until(REVIEWS, "Accepted", "True", "")
        await world.rollout.stop()

    asyncio.run(test())


def test_only_what_was_whole_and_in_force_is_done() -> None:
    """After a restart: of this generation, and accepted as a whole."""

    def condition(kind: str, status: str, generation: int) -> Condition:
        return Condition(type=kind, status=status, observed_generation=str(generation))

    both = (condition("Accepted", "True", 2), condition("Programmed", "True", 2))
    assert programmed_before(both, 2)
    assert not programmed_before(both, 3)
    assert not programmed_before((condition("Accepted", "False", 2), both[1]), 2)
