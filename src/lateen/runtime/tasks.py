"""The only place that creates asyncio tasks.

Why: a bare `asyncio.create_task` can be garbage collected and loses its exception. Tasks here are held until
they end, carry a name, and an exception nobody awaits is logged. Must not decide what to do about a failure.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from lateen.runtime import log

__all__ = ["cancel_all", "spawn"]

T = TypeVar("T")
_running: set[asyncio.Task[Any]] = set()


def spawn(coro: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
    """Start `coro` as a task that is kept alive and whose failure is logged under `name`."""
    task = asyncio.get_running_loop().create_task(coro, name=name)
    _running.add(task)
    task.add_done_callback(_finished)
    return task


def _finished(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        log.get("tasks").error("task failed", task=task.get_name(), error=repr(error), exc_info=error)


async def cancel_all(*tasks: asyncio.Task[Any]) -> None:
    """Cancel the tasks and wait until each has ended; their exceptions stay with them."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
