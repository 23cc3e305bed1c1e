"""One Envoy process: started, started again with back-off when it ends by itself, ended when asked.

Must not know whether Envoy is ready, nor drain it.
"""

import asyncio
import signal
from collections.abc import Callable, Mapping, Sequence

from lateen.agent.protocols import Launcher, Process
from lateen.runtime import log, tasks
from lateen.runtime.clock import Clock

__all__ = ["Envoy", "how_it_ended"]

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 30.0
_STABLE_SECONDS = 60.0  # having run so long, the next end counts as the first
_TERM_SECONDS = 3.0
_log = log.get("envoy")


class Envoy:
    """Keeps one Envoy running. `on_start(pid)` and `on_end(reason)` tell each start and each end that nobody asked for."""

    def __init__(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        user: tuple[int, int],
        launcher: Launcher,
        clock: Clock,
        *,
        on_start: Callable[[int], None],
        on_end: Callable[[str], None],
    ) -> None:
        self._argv = tuple(argv)
        self._env = dict(env)
        self._user = user
        self._launcher = launcher
        self._clock = clock
        self._on_start = on_start
        self._on_end = on_end
        self._process: Process | None = None
        self._wanted = True
        self._wake = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self.starts = 0

    def start(self) -> None:
        """Start it, and keep it running."""
        self._keeper = tasks.spawn(self._keep(), name="envoy")

    @property
    def pid(self) -> int:
        """Of the running process, or 0."""
        return 0 if self._process is None else self._process.pid

    async def ended(self) -> None:
        """Returns when it has ended for good."""
        if self._keeper is not None:
            await asyncio.wait([self._keeper])

    async def end(self) -> None:
        """Ask it to end, kill it when it does not, and wait until it is gone; it is not started again."""
        self._wanted = False
        self._wake.set()
        if self._process is not None:
            await self._process.send_signal(signal.SIGTERM)
        if self._keeper is None:
            return
        while not self._keeper.done():
            await asyncio.wait([self._keeper], timeout=_TERM_SECONDS)
            if self._process is not None:
                await self._process.send_signal(signal.SIGKILL)

    async def _keep(self) -> None:
        failures = 0
        while self._wanted:
            began = self._clock.monotonic()
            reason = await self._run_once()
            if not self._wanted:
                return
            failures = 1 if self._clock.monotonic() - began > _STABLE_SECONDS else failures + 1
            pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(failures - 1, 16))
            _log.error("ended", reason=reason, again_in=pause)
            self._on_end(reason)
            await self._pause(pause)

    async def _run_once(self) -> str:
        self.starts += 1
        try:
            process = await self._launcher.launch(self._argv, self._env, *self._user)
        except Exception as error:  # noqa: BLE001  (whatever a launcher raises, the pod must say that its proxy does not run)
            return f"Envoy cannot be started: {error}"
        self._process = process
        if self._wanted:
            self._on_start(process.pid)
        else:
            await process.send_signal(signal.SIGTERM)
        code = await process.wait()
        self._process = None
        return f"Envoy {how_it_ended(code)}"

    async def _pause(self, seconds: float) -> None:
        """Until then, or until it is to end."""
        sleeping = tasks.spawn(self._clock.sleep(seconds), name="envoy back-off")
        waking = tasks.spawn(self._wake.wait(), name="envoy end")
        try:
            await asyncio.wait([sleeping, waking], return_when=asyncio.FIRST_COMPLETED)
        finally:
            await tasks.cancel_all(sleeping, waking)


def how_it_ended(code: int) -> str:
    """`exited with code 1` or `was ended by SIGKILL`."""
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
