"""Waiting for a condition in a test: asked again and again, never for longer than said.

Must not be used where the thing waited for can tell by itself.
"""

import threading
from collections.abc import Callable
from typing import Literal, TypeVar

from lateen.runtime.clock import SystemClock

__all__ = ["wait_until"]

T = TypeVar("T")
_CLOCK = SystemClock()


def wait_until(condition: Callable[[], T | Literal[False]], *, seconds: float, what: str, every: float = 0.05) -> T:
    """The condition's first answer that is true; AssertionError says `what` was waited for, and the last answer."""
    end = _CLOCK.monotonic() + seconds
    pause = threading.Event()
    while not (answer := condition()):
        if _CLOCK.monotonic() >= end:
            raise AssertionError(f"After {seconds:g} s still not: {what}. The last answer was {answer!r}.")
        pause.wait(every)
    return answer
