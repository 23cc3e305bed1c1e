"""One container: start it, probe it, restart it with back-off, stop it.

Why a class with a state: the pod's status, its log and `exec` all look at it. The rules (when to restart, how long to wait, what a
probe's failure means) are the kubelet's. Must not know other containers of the pod.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable

from msgspec import Struct

from lateen.api.pods import Container, LifecycleHandler, Probe
from lateen.kube.errors import ApiError
from lateen.local.podlogs import ContainerLog
from lateen.local.probes import check_of, follow
from lateen.local.sandbox import CannotStartError, Launch, Recorder, Sandbox
from lateen.local.spawner import Process, SpawnError
from lateen.runtime import tasks
from lateen.runtime.clock import Clock
from lateen.sources.kubeclient import UnreachableError

__all__ = ["Backoff", "ContainerRunner", "Ended", "Waiting"]

_FIRST_BACKOFF, _LONGEST_BACKOFF, _FORGIVEN_AFTER = 10.0, 300.0, 600.0
_RETRY_SECONDS = 2.0
_START_ERROR = 128


class Waiting(Struct, frozen=True):
    """Not running, and why."""

    reason: str
    message: str = ""


class Ended(Struct, frozen=True, kw_only=True):
    """How a run ended; times in seconds since the epoch."""

    code: int
    reason: str
    started: float
    finished: float
    message: str = ""


class Backoff:
    """How long to wait before each restart: not at all, then 10 s doubling to 5 minutes; forgotten after a run of 10 minutes."""

    def __init__(self) -> None:
        self._next = 0.0

    def after(self, ran: float) -> float:
        """The wait after a run of that many seconds."""
        if ran >= _FORGIVEN_AFTER:
            self._next = 0.0
        wait, self._next = self._next, min(max(_FIRST_BACKOFF, self._next * 2), _LONGEST_BACKOFF)
        return wait


class ContainerRunner:
    """A container of a pod. `restart` is the policy (Always, OnFailure, Never); `prepare` finds what to start, each time anew."""

    def __init__(
        self,
        spec: Container,
        sandbox: Sandbox,
        log: ContainerLog,
        prepare: Callable[[], Awaitable[Launch]],
        *,
        restart: str,
        grace: int,
        title: str,
        changed: Callable[[], None],
        record: Recorder,
        clock: Clock,
        restarts: int = 0,
    ) -> None:
        self.spec = spec
        self.log = log
        self.restarts = restarts
        self.state: Waiting | Ended | None = Waiting("ContainerCreating")  # None: it runs
        self.last: Ended | None = None
        self.started_at = 0.0
        self.ready = False
        self.started = False
        self.process: Process | None = None
        self.launch: Launch | None = None
        self._sandbox = sandbox
        self._prepare = prepare
        self._restart = restart
        self._grace = grace
        self._title = title
        self._changed = changed
        self._record = record
        self._clock = clock
        self._stopping = asyncio.Event()
        self._killing: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        """The container's name."""
        return self.spec.name

    @property
    def image(self) -> str:
        """Its image, as written."""
        return self.spec.image

    @property
    def running(self) -> bool:
        """Whether its program runs."""
        return self.state is None

    async def run(self) -> int:
        """Run it until it has ended for good; its last exit code."""
        backoff = Backoff()
        while True:
            ended = await self._run_once()
            if ended is None:
                return 0  # stopped before it could start
            self.state, self.ready, self.started = ended, False, False
            self._changed()
            if self._stopping.is_set() or self._restart == "Never" or (self._restart == "OnFailure" and ended.code == 0):
                return ended.code
            self.last = ended
            wait = backoff.after(ended.finished - ended.started)
            if wait:
                text = f"back-off {_duration(wait)} restarting failed container={self.name} pod={self._title}"
                self._wait("CrashLoopBackOff", text)
                self._record("Warning", "BackOff", f"Back-off restarting failed container {self.name} in pod {self._title}")
                if await self._stopped_within(wait):
                    self.state = ended
                    return ended.code
            self.restarts += 1

    async def stop(self, grace: float) -> None:
        """Ask it to end, wait for `grace` seconds, then end it; `run` returns."""
        self._stopping.set()
        if self.process is not None:
            await self._end(self.process, grace)

    def kill_later(self, why: str) -> None:
        """End this run, as a failed probe asks; `run` starts the next one."""
        if self.process is not None and self._killing is None:
            self._record("Normal", "Killing", f"Container {self.name} {why}, will be restarted")
            self._killing = tasks.spawn(self._end(self.process, self._grace), name=f"restart {self._title}/{self.name}")

    async def run_command(self, command: tuple[str, ...]) -> int:
        """Run a command beside the container's program; its exit code."""
        process, launch = self.process, self.launch
        if process is None or launch is None:
            raise OSError("the container does not run")
        try:
            other = await self._sandbox.popen(command, env=launch.env, user=launch.user, cwd=launch.cwd, beside=process)
        except SpawnError as error:
            raise OSError(str(error)) from None
        try:
            return await other.wait()
        except asyncio.CancelledError:
            await other.kill()
            raise

    def _wait(self, reason: str, message: str) -> None:
        state = Waiting(reason, message)
        if self.state != state:
            self.state = state
            self._changed()

    async def _stopped_within(self, seconds: float) -> bool:
        waiting = tasks.spawn(self._clock.sleep(seconds), name=f"wait {self._title}/{self.name}")
        stopping = tasks.spawn(self._stopping.wait(), name=f"stop {self._title}/{self.name}")
        try:
            await asyncio.wait([waiting, stopping], return_when=asyncio.FIRST_COMPLETED)
        finally:
            await tasks.cancel_all(waiting, stopping)
        return self._stopping.is_set()

    async def _run_once(self) -> Ended | None:
        launch = await self._launch()
        if launch is None:
            return None
        started = self._clock.now()
        writer = self.log.pipe()
        try:
            process = await self._sandbox.popen(
                launch.argv, env=launch.env, user=launch.user, cwd=launch.cwd, mounts=launch.mounts, stdout=writer, stderr=writer
            )
        except SpawnError as error:
            self._record("Warning", "Failed", f"Error: {error}")
            self.log.say(f"lateen: {error}")
            self.log.close()
            return Ended(code=_START_ERROR, reason="StartError", message=str(error), started=started, finished=self._clock.now())
        finally:
            os.close(writer)
        self.process, self.launch, self._killing = process, launch, None
        if self._stopping.is_set():
            await process.kill()
        self._record("Normal", "Pulled", f'Image "{self.image}" is run as {" ".join(launch.argv[:6])}')
        self._record("Normal", "Started", f"Started container {self.name}")
        self._runs(started)
        probes = tasks.spawn(self._probe(), name=f"probes {self._title}/{self.name}")
        try:
            code = await process.wait()
        finally:
            self.process = None
            await tasks.cancel_all(probes)
            process.end_rest()
            self.log.close()
        shown = code if code >= 0 else 128 - code
        return Ended(code=shown, reason="Completed" if shown == 0 else "Error", started=started, finished=self._clock.now())

    async def _launch(self) -> Launch | None:
        """What to start, when it can be; None when it is stopped before."""
        told = ""
        while not self._stopping.is_set():
            try:
                return await self._prepare()
            except (CannotStartError, ApiError, UnreachableError, OSError, ValueError) as error:
                reason = error.reason if isinstance(error, CannotStartError) else "CreateContainerConfigError"
                self._wait(reason, str(error))
                if told != str(error):
                    self._record("Warning", "Failed", f"Error: {reason}: {error}")
                    told = str(error)
            await self._stopped_within(_RETRY_SECONDS)
        return None

    def _runs(self, started: float) -> None:
        self.state = None
        self.started_at = started
        self.started = self.spec.startup_probe is None
        self.ready = self.started and self.spec.readiness_probe is None
        self._changed()

    async def _probe(self) -> None:
        hook = self.spec.lifecycle.post_start if self.spec.lifecycle else None
        if hook is not None and not await self._hook(hook):
            self.kill_later("failed its postStart hook")
            return
        if self.spec.startup_probe is not None:
            if not await self._startup(self.spec.startup_probe):
                self.kill_later("failed startup probe")
                return
            self.started = True
            self.ready = self.spec.readiness_probe is None
            self._changed()
        following = []
        if self.spec.readiness_probe is not None:
            following.append(tasks.spawn(self._readiness(self.spec.readiness_probe), name=f"readiness {self._title}/{self.name}"))
        if self.spec.liveness_probe is not None:
            following.append(tasks.spawn(self._liveness(self.spec.liveness_probe), name=f"liveness {self._title}/{self.name}"))
        try:
            await asyncio.gather(*following)
        finally:
            await tasks.cancel_all(*following)

    async def _startup(self, probe: Probe) -> bool:
        """Whether the program has started; the other probes wait for this."""
        check = check_of(probe, self.spec, self._sandbox, self.run_command)
        await self._clock.sleep(probe.initial_delay_seconds)
        for _ in range(probe.failure_threshold):
            good, why = await check()
            if good:
                return True
            self._unhealthy("Startup", why)
            await self._clock.sleep(max(1, probe.period_seconds))
        return False

    async def _readiness(self, probe: Probe) -> None:
        def changed(good: bool, _why: str) -> None:  # noqa: FBT001
            self.ready = good
            self._changed()

        check = check_of(probe, self.spec, self._sandbox, self.run_command)
        await follow(probe, check, self._clock, changed, lambda why: self._unhealthy("Readiness", why), well=False, eager=True)

    async def _liveness(self, probe: Probe) -> None:
        def changed(good: bool, _why: str) -> None:  # noqa: FBT001
            if not good:
                self.kill_later("failed liveness probe")

        check = check_of(probe, self.spec, self._sandbox, self.run_command)
        await follow(probe, check, self._clock, changed, lambda why: self._unhealthy("Liveness", why), well=True, eager=False)

    def _unhealthy(self, which: str, why: str) -> None:
        self._record("Warning", "Unhealthy", f"{which} probe failed: {why}")

    async def _hook(self, hook: LifecycleHandler) -> bool:
        """Whether the hook did what it should."""
        probe = Probe(exec=hook.exec, http_get=hook.http_get, tcp_socket=hook.tcp_socket, timeout_seconds=max(1, self._grace))
        if hook.sleep is not None:
            await self._clock.sleep(hook.sleep.seconds)
            return True
        good, why = await check_of(probe, self.spec, self._sandbox, self.run_command)()
        if not good:
            self._record("Warning", "FailedPostStartHook", why)
        return good

    async def _end(self, process: Process, grace: float) -> None:
        try:
            async with asyncio.timeout(grace):
                hook = self.spec.lifecycle.pre_stop if self.spec.lifecycle else None
                if hook is not None and grace > 0:
                    with contextlib.suppress(OSError):
                        await self._hook(hook)
                await process.send_signal(self._stop_signal())
                await process.wait()
        except TimeoutError:
            await process.kill()
            await process.wait()

    def _stop_signal(self) -> int:
        name = self.spec.lifecycle.stop_signal if self.spec.lifecycle else ""
        return int(getattr(signal, name, signal.SIGTERM)) if name.startswith("SIG") else int(signal.SIGTERM)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
