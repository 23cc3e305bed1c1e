"""Python's cycle collector, put off while much is built at once.

Why: making a million values that hold no cycles, the collector visits them again and again: it doubles the time.
A pause must not be held across an await: it is for one synchronous piece of work.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["keep", "paused"]

_YOUNG = 50_000  # new values before the collector looks; of ours few hold cycles


@contextmanager
def paused() -> Iterator[None]:
    """No collection inside; afterwards as before, also when the work fails or was itself inside a pause."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def keep() -> None:
    """What is alive now lives on: the collector looks at it no more, and at what comes after it seldom."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 20, 50)
