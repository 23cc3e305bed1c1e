"""Time as a value that is passed in: the real clock here, a fake one in `lateen.testing`.

Why: whatever decides by time (certificate rotation, debounce, back-off) must be testable without waiting.
"""

import asyncio
import time
from typing import Protocol

__all__ = ["Clock", "SystemClock", "until_set"]

_LOOKS, _MOVED = 10.0, 30.0  # seconds between looks; a clock that moved by less was corrected


class Clock(Protocol):
    """Seconds since the epoch, seconds that never step back, and waiting."""

    def now(self) -> float: ...
    def monotonic(self) -> float: ...
    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def until_set(clock: Clock) -> float:
    """Wait until somebody has set the clock; by how many seconds."""
    now, monotonic = clock.now(), clock.monotonic()
    while True:
        await clock.sleep(_LOOKS)
        before, passed = now, clock.monotonic() - monotonic
        now, monotonic = clock.now(), clock.monotonic()
        if abs(moved := now - before - passed) > _MOVED:
            return moved
