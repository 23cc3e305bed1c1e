"""Whether what somebody wrote is in force: conditions `Accepted` and `Programmed` in the object's status.

`Accepted` says what could not be made of it, `Programmed` how many of the proxies concerned hold its newest generation. It is
followed until all do; proxies that come later get it with everything else, so that it is not written again for them. What is said of
an object is written anew when it changes, too. Written at most once a second per object, and a few objects at a time. Must not change
configuration.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping

from lateen.ads.progress import Progress
from lateen.api.meta import Condition, Key
from lateen.kube.errors import ApiError
from lateen.runtime import log, tasks
from lateen.runtime.clock import Clock
from lateen.util.problem import Problem
from lateen.util.times import rfc3339

__all__ = ["ACCEPTED", "PROGRAMMED", "Rollout", "programmed_before"]

ACCEPTED, PROGRAMMED = "Accepted", "Programmed"
_TICK = 0.1  # seconds between looks while something is on its way; twice as long each time that nothing came of it
_LONGEST_TICK = 1.0
_INTERVAL = 1.0  # seconds between two writes of one object's status
_LOOKED_AT = 100  # objects looked after in one look
_MOST = 10  # objects written in one look
_PATIENCE = 10.0  # seconds from the start in which proxies come back, before it is said that there are none
_LONGEST = 1000  # characters of a message
_log = log.get("status")

Conditions = tuple[dict[str, object], ...]
Write = Callable[[Key, Conditions], Awaitable[None]]


def programmed_before(conditions: Iterable[Condition], generation: int) -> bool:
    """Whether the status already says that this generation is in force everywhere, and as a whole."""
    true = {each.type for each in conditions if each.status == "True" and int(each.observed_generation) == generation}
    return {ACCEPTED, PROGRAMMED} <= true


class Rollout:
    """`staged` and `gone` tell of objects, `committed` that what was staged is compiled; the rest is looked up when it is time."""

    def __init__(
        self,
        progress: Callable[[Mapping[Key, int]], Mapping[Key, Progress]],
        problems: Callable[[], Iterable[Problem]],
        write: Write,
        clock: Clock,
    ) -> None:
        self._progress = progress
        self._problems = problems
        self._write = write
        self._clock = clock
        self._done: dict[Key, int] = {}
        self._staged: dict[Key, int] = {}
        self._pending: dict[Key, int] = {}
        self._written: dict[Key, tuple[float, Progress]] = {}
        self._said: Mapping[Key, tuple[Problem, ...]] = {}
        self._wake = asyncio.Event()
        self._begun = 0.0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._begun = self._clock.monotonic()
        self._task = tasks.spawn(self._run(), name="rollout")

    async def stop(self) -> None:
        if self._task is not None:
            await tasks.cancel_all(self._task)

    def staged(self, key: Key, generation: int, *, done: bool) -> None:
        """The object has this generation now; `done`: its status says already that it is in force."""
        if done:
            self._done.setdefault(key, generation)
        if self._done.get(key) != generation and self._pending.get(key) != generation:
            self._staged[key] = generation

    def gone(self, key: Key) -> None:
        """There is no such object any more."""
        for known in (self._done, self._staged, self._pending, self._written):
            known.pop(key, None)

    def committed(self) -> None:
        """What was staged is compiled and on its way."""
        self._pending.update(self._staged)
        self._staged.clear()
        if not (self._pending or self._done):
            return  # nobody is told: the folder alone is the source
        said = _by_object(self._problems())
        for key in said.keys() | self._said.keys():
            if said.get(key) != self._said.get(key) and key in self._done:
                self._pending[key] = self._done.pop(key)
        self._said = said
        if self._pending:
            self._wake.set()

    async def _run(self) -> None:
        tick = _TICK
        while True:
            await self._wake.wait()
            self._wake.clear()
            moved = await self._look()
            if not self._pending:
                continue
            tick = _TICK if moved else min(2 * tick, _LONGEST_TICK)
            await self._clock.sleep(tick)
            self._wake.set()

    async def _look(self) -> bool:
        """Whether anything was written."""
        now = self._clock.monotonic()
        longest_ago = sorted(self._pending, key=lambda key: self._written.get(key, (0.0,))[0])[:_LOOKED_AT]
        found = self._progress({key: self._pending[key] for key in longest_ago})
        due = [key for key in sorted(found) if self._due(key, found[key], now)][:_MOST]
        for key in due:
            generation, progress = self._pending.get(key), found[key]
            if generation is None:
                continue
            try:
                await self._write(key, _conditions(generation, progress, self._said.get(key, ()), self._clock.now()))
            except (OSError, ApiError) as error:
                if isinstance(error, ApiError) and error.code == 404:
                    self.gone(key)
                    continue
                _log.warning("status not written", object=str(key), error=str(error))
            self._written[key] = (now, progress)
            if progress.holding == progress.concerned and self._pending.get(key) == generation:
                self._done[key] = self._pending.pop(key)
                self._written.pop(key)
        return bool(due)

    def _due(self, key: Key, progress: Progress, now: float) -> bool:
        if progress.holding == progress.concerned:
            return bool(progress.concerned) or now - self._begun > _PATIENCE
        written = self._written.get(key)
        return written is None or (written[1] != progress and now - written[0] >= _INTERVAL)


def _by_object(problems: Iterable[Problem]) -> Mapping[Key, tuple[Problem, ...]]:
    found: dict[Key, list[Problem]] = {}
    for problem in problems:
        if problem.name:
            found.setdefault(Key(problem.kind, problem.namespace, problem.name), []).append(problem)
    return {key: tuple(dict.fromkeys(said)) for key, said in found.items()}


def _conditions(generation: int, progress: Progress, problems: tuple[Problem, ...], now: float) -> Conditions:
    common = {"observedGeneration": generation, "lastTransitionTime": rfc3339(now)}
    whole = all(problem.severity == "warning" for problem in problems)
    accepted = {"status": "True", "reason": "Accepted"} if whole else {"status": "False", "reason": "PartlyInvalid"}
    sentences = dict.fromkeys(f"{problem.path}: {problem.message}" if problem.path else problem.message for problem in problems)
    all_hold = progress.holding == progress.concerned
    programmed = {"status": "True", "reason": "Programmed"} if all_hold else {"status": "False", "reason": "Pending"}
    count = f"{progress.holding} of {progress.concerned} proxies hold generation {generation}"
    return (
        {"type": ACCEPTED, **accepted, "message": "; ".join(sentences)[:_LONGEST], **common},
        {"type": PROGRAMMED, **programmed, "message": count if progress.concerned else "no proxy is connected", **common},
    )
