"""An Envoy process is kept running with back-off and ended for good."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence

import pytest

from lateen.agent.envoy import Envoy, how_it_ended


class Clock:
    """Each wait is written down and over at once; `runs` seconds pass while a process runs."""

    def __init__(self) -> None:
        self.time = 0.0
        self.waits: list[float] = []
        self.hold = False
        self.held = asyncio.Event()

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        if self.hold:
            self.held.set()
            await asyncio.Event().wait()


class Program:
    """A process that ends when told by the test, or by a signal that it does not ignore."""

    def __init__(self, ignores: frozenset[int]) -> None:
        self.pid = 4711
        self.exit: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.signals: list[int] = []
        self._ignores = ignores

    async def wait(self) -> int:
        return await asyncio.shield(self.exit)

    async def send_signal(self, number: int) -> None:
        self.signals.append(number)
        if not self.exit.done() and number not in self._ignores:
            self.exit.set_result(-number)


class Launcher:
    """Hands out programs; while `refuses`, says so."""

    def __init__(self) -> None:
        self.programs: asyncio.Queue[Program] = asyncio.Queue()
        self.refuses = 0
        self.ignores: frozenset[int] = frozenset()
        self.gate: asyncio.Event | None = None

    async def launch(self, argv: Sequence[str], env: Mapping[str, str], uid: int, gid: int) -> Program:
        if self.gate is not None:
            await self.gate.wait()
        if self.refuses:
            self.refuses -= 1
            raise RuntimeError("there is no program envoy")
        program = Program(self.ignores)
        self.programs.put_nowait(program)
        return program


class World:
    """One kept Envoy and all that it told."""

    def __init__(self) -> None:
        self.clock, self.launcher = Clock(), Launcher()
        self.told: list[str] = []
        self.envoy = Envoy(
            ("envoy",), {}, (1337, 1337), self.launcher, self.clock,
            on_start=lambda pid: self.told.append(f"started {pid}"), on_end=self.told.append,
        )  # fmt: skip

    async def program(self) -> Program:
        return await self.launcher.programs.get()


def run(test: Callable[[World], Awaitable[None]]) -> None:
    async def all_of_it() -> None:
        async with asyncio.timeout(5):
            await test(World())

    asyncio.run(all_of_it())


def test_crashes_in_a_row_wait_longer() -> None:
    """0.1 s, 0.2 s, ... between starts; a program that cannot be started counts as well."""

    async def test(world: World) -> None:
        world.envoy.start()
        (await world.program()).exit.set_result(1)
        world.launcher.refuses = 1
        (await world.program()).exit.set_result(-11)
        await world.program()
        assert world.clock.waits == [0.1, 0.2, 0.4]
        assert world.told[:4] == [
            "started 4711",
            "Envoy exited with code 1",
            "Envoy cannot be started: there is no program envoy",
            "started 4711",
        ]
        assert world.told[4] == "Envoy was ended by SIGSEGV"
        await world.envoy.end()

    run(test)


def test_long_run_forgets_earlier_crashes() -> None:
    """After a minute of running the next crash is the first."""

    async def test(world: World) -> None:
        world.envoy.start()
        for seconds in (0, 0, 61, 0):
            program = await world.program()
            world.clock.time += seconds
            program.exit.set_result(1)
        await world.program()
        assert world.clock.waits == [0.1, 0.2, 0.1, 0.2]
        await world.envoy.end()

    run(test)


def test_end_asks_first_and_does_not_start_again() -> None:
    """SIGTERM, and nothing is told: it was asked for."""

    async def test(world: World) -> None:
        world.envoy.start()
        program = await world.program()
        await world.envoy.end()
        assert program.signals == [signal.SIGTERM] and world.told == ["started 4711"]
        assert world.launcher.programs.empty() and world.envoy.pid == 0

    run(test)


def test_deaf_program_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that ignores SIGTERM gets SIGKILL."""

    async def test(world: World) -> None:
        world.launcher.ignores = frozenset({signal.SIGTERM})
        world.envoy.start()
        program = await world.program()
        await world.envoy.end()
        assert program.signals == [signal.SIGTERM, signal.SIGKILL]

    monkeypatch.setattr("lateen.agent.envoy._TERM_SECONDS", 0.01)
    run(test)


def test_end_during_back_off_is_immediate() -> None:
    """Nobody waits for a start that is not wanted."""

    async def test(world: World) -> None:
        world.clock.hold = True
        world.envoy.start()
        (await world.program()).exit.set_result(1)
        await world.clock.held.wait()
        await world.envoy.end()
        assert world.launcher.programs.empty()

    run(test)


def test_program_that_is_just_being_started_is_ended_too() -> None:
    """An end that comes between fork and answer leaves no process behind."""

    async def test(world: World) -> None:
        world.launcher.gate = asyncio.Event()
        world.envoy.start()
        ending = asyncio.get_running_loop().create_task(world.envoy.end())
        await asyncio.sleep(0)
        world.launcher.gate.set()
        program = await world.program()
        await ending
        assert program.signals == [signal.SIGTERM] and world.told == []

    run(test)


def test_ends_are_said_in_words() -> None:
    """Exit codes and signals, known or not."""
    assert [how_it_ended(code) for code in (0, -9, -62)] == ["exited with code 0", "was ended by SIGKILL", "was ended by signal 62"]
