"""A container's restarts, told with a clock that does not wait and programs that end when the test says so."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import cast

from lateen.api.pods import Container, Probe, TCPSocketAction
from lateen.kube.options import LogOptions
from lateen.local.containers import Backoff, ContainerRunner, Ended, Waiting
from lateen.local.podlogs import ContainerLog
from lateen.local.sandbox import CannotStartError, Launch
from lateen.local.spawner import Mount, Process, SpawnError, User
from lateen.runtime.clock import SystemClock
from lateen.sources.kubeclient import UnreachableError

SECONDS = 5.0


class Clock:
    """Time that passes when somebody sleeps; it remembers for how long."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.slept: list[float] = []

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds
        await asyncio.sleep(0)


class Program:
    """A program that ends when it is told to, or at once."""

    pid = 7

    def __init__(self, code: int | None) -> None:
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.signals: list[int] = []
        self.swept = False
        if code is not None:
            self.ended.set_result(code)

    @property
    def returncode(self) -> int | None:
        return self.ended.result() if self.ended.done() else None

    async def wait(self) -> int:
        return await asyncio.shield(self.ended)

    async def send_signal(self, number: int) -> None:
        self.signals.append(number)
        if not self.ended.done():
            self.ended.set_result(-number)

    async def kill(self) -> None:
        await self.send_signal(9)

    def end_rest(self) -> None:
        self.swept = True


class Pod:
    """A sandbox whose programs end with the given codes, one after the other; None runs until it is told."""

    address = "127.0.0.1"

    def __init__(self, *codes: int | str | None) -> None:
        self.codes = list(codes)
        self.programs: list[Program] = []

    def socket(
        self, family: int = socket.AF_INET, kind: int = socket.SOCK_STREAM, *, bind: tuple[str, int] | None = None, listen: int = 0
    ) -> socket.socket:
        made = socket.socket(family, kind)
        made.setblocking(False)
        return made

    async def popen(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        user: User,
        cwd: str = "/",
        mounts: Sequence[Mount] = (),
        stdin: int | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
        terminal: bool = False,
        beside: Process | None = None,
    ) -> Process:
        code = self.codes.pop(0)
        if isinstance(code, str):
            raise SpawnError(code)
        if stdout is not None:
            os.write(stdout, b"said\n")
        self.programs.append(Program(code))
        return cast("Process", self.programs[-1])


async def _prepared() -> Launch:
    return Launch(argv=("program",), env={}, user=User(uid=1, gid=1))


class Case:
    """One container and what it told."""

    def __init__(
        self,
        folder: Path,
        pod: Pod,
        restart: str = "Always",
        prepare: Callable[[], Awaitable[Launch]] = _prepared,
        **fields: Probe,
    ) -> None:
        self.clock = Clock()
        self.events: list[tuple[str, str]] = []
        self.states: list[object] = []
        self.log = ContainerLog(folder / "main.log", SystemClock())
        self.runner = ContainerRunner(
            Container(name="main", image="x", **fields),  # type: ignore[arg-type]
            pod,
            self.log,
            prepare,
            restart=restart,
            grace=1,
            title="shop_default",
            changed=lambda: self.states.append(self.runner.state),
            record=lambda _kind, reason, message: self.events.append((reason, message)),
            clock=self.clock,
        )


def run(work: Callable[[], Awaitable[None]]) -> None:
    """Run a case, with a limit."""

    async def limited() -> None:
        async with asyncio.timeout(SECONDS):
            await work()

    asyncio.run(limited())


def test_backoff_is_kubernetes() -> None:
    """The first restart is immediate; then 10 s doubling to 5 minutes; a run of ten minutes is forgiven."""
    backoff = Backoff()
    assert [backoff.after(1.0) for _ in range(8)] == [0, 10, 20, 40, 80, 160, 300, 300]
    assert backoff.after(600.0) == 0
    assert backoff.after(1.0) == 10


def test_crashes_are_counted_and_waited_out(tmp_path: Path) -> None:
    """Each crash is a restart; between them the state is CrashLoopBackOff; the last end is remembered."""

    async def case() -> None:
        one = Case(tmp_path, Pod(1, 1, 1, 0), restart="OnFailure")
        assert await one.runner.run() == 0
        assert one.runner.restarts == 3
        assert one.clock.slept == [10.0, 20.0]
        reasons = [state.reason for state in one.states if isinstance(state, Waiting)]
        assert reasons == ["CrashLoopBackOff", "CrashLoopBackOff"]
        assert one.runner.last is not None
        assert one.runner.last.code == 1
        assert isinstance(one.runner.state, Ended)

    run(case)


def test_never_means_never(tmp_path: Path) -> None:
    """With the policy Never a failure is final."""

    async def case() -> None:
        one = Case(tmp_path, Pod(-9), restart="Never")
        assert await one.runner.run() == 137
        assert one.runner.state == Ended(code=137, reason="Error", started=1000.0, finished=1000.0)

    run(case)


def test_program_that_cannot_be_started_is_a_failed_run(tmp_path: Path) -> None:
    """What the sandbox says goes to the log, the events and the state."""

    async def case() -> None:
        one = Case(tmp_path, Pod("There is no program x in the pod."), restart="Never")
        assert await one.runner.run() == 128
        assert isinstance(one.runner.state, Ended)
        assert one.runner.state.message == "There is no program x in the pod."
        assert (tmp_path / "main.log").read_text().endswith(" lateen: There is no program x in the pod.\n")
        assert ("Failed", "Error: There is no program x in the pod.") in one.events

    run(case)


def test_container_waits_for_what_it_needs(tmp_path: Path) -> None:
    """While it cannot be prepared it waits with the reason, told once; then it runs."""
    refusals = [CannotStartError("CreateContainerConfigError", "secret is missing"), UnreachableError("the API is away")]

    async def prepare() -> Launch:
        if refusals:
            raise refusals.pop()
        return await _prepared()

    async def case() -> None:
        one = Case(tmp_path, Pod(0), restart="Never", prepare=prepare)
        assert await one.runner.run() == 0
        told = ["the API is away", "secret is missing"]
        assert one.states[:2] == [Waiting("CreateContainerConfigError", each) for each in told]
        assert [reason for reason, _ in one.events] == ["Failed", "Failed", "Pulled", "Started"]

    run(case)


def test_follower_of_the_log_hears_the_end(tmp_path: Path) -> None:
    """Whoever follows a container's log is let go when the container has ended."""

    async def case() -> None:
        one = Case(tmp_path, Pod(None), restart="Never")
        running = asyncio.get_running_loop().create_task(one.runner.run())
        while not one.runner.running:  # noqa: ASYNC110  (the state has no event of its own)
            await asyncio.sleep(0)
        following = asyncio.get_running_loop().create_task(read(one.log))
        await asyncio.sleep(0)
        await one.runner.stop(1.0)
        assert await running == 143
        assert await following == b"said\n"

    async def read(log: ContainerLog) -> bytes:
        return b"".join([chunk async for chunk in log.read(LogOptions(follow=True))])

    run(case)


def test_stop_ends_a_container_in_its_backoff(tmp_path: Path) -> None:
    """A container that waits for its next start is stopped at once, with the state of its last run."""

    class Patient(Clock):
        async def sleep(self, seconds: float) -> None:
            sleeping.set()
            await asyncio.Event().wait()

    sleeping = asyncio.Event()

    async def case() -> None:
        one = Case(tmp_path, Pod(1, 1))
        one.runner._clock = Patient()
        running = asyncio.get_running_loop().create_task(one.runner.run())
        await sleeping.wait()
        await one.runner.stop(1.0)
        assert await running == 1
        assert isinstance(one.runner.state, Ended)

    run(case)


def test_liveness_ends_the_program_and_it_is_started_again(tmp_path: Path) -> None:
    """Failures up to the threshold are told; then the program is ended and the next one started."""

    async def case() -> None:
        pod = Pod(None, 0)
        nobody = socket.create_server(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        nobody.close()
        probe = Probe(tcp_socket=TCPSocketAction(port=port), failure_threshold=2, period_seconds=3)
        one = Case(tmp_path, pod, restart="OnFailure", liveness_probe=probe)
        assert await one.runner.run() == 0
        assert one.runner.restarts == 1
        assert pod.programs[0].signals == [15]
        assert pod.programs[0].swept
        reasons = [reason for reason, _ in one.events if reason != "Pulled"]
        assert reasons == ["Started", "Unhealthy", "Unhealthy", "Killing", "Started"]

    run(case)
