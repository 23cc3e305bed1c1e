"""Structured logs: `get("scope")` returns a logger; `configure` is called once by a composition root.

Why: one format (console for people, JSON for machines), one level setting per scope. structlog is loaded with the first line or
setting: most commands log nothing, and it takes a quarter of their start. Must not be imported by the core.
"""

import contextlib
import logging
import sys
from collections.abc import Iterator
from typing import Any

__all__ = ["configure", "get"]


@contextlib.contextmanager
def _plain_tracebacks() -> Iterator[None]:
    """structlog, imported inside, finds no `rich` for its tracebacks: that takes five megabytes, and minutes for a deep one."""
    hidden = "rich" not in sys.modules and "structlog" not in sys.modules
    if hidden:
        sys.modules["rich"] = None  # type: ignore[assignment]  # an import of it fails
    try:
        yield
    finally:
        if hidden:
            del sys.modules["rich"]


class _Logger:
    """A logger of one scope."""

    def __init__(self, scope: str) -> None:
        self._scope = scope

    def __getattr__(self, name: str) -> Any:
        with _plain_tracebacks():
            import structlog

        return getattr(structlog.get_logger(scope=self._scope), name)


def configure(level: str = "info", *, as_json: bool = False) -> None:
    """Set the process's log level (debug, info, warning, error) and format; writes to standard error."""
    with _plain_tracebacks():
        import structlog

    class Unfailing(structlog.PrintLogger):
        """A line that cannot be written (a full disk, a reader gone away) is lost: who has something to say must not fail for it."""

        def msg(self, message: str) -> None:
            with contextlib.suppress(OSError, ValueError):
                super().msg(message)

        log = debug = info = warn = warning = msg
        fatal = failure = err = error = critical = exception = msg

    renderer: Any = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=lambda *_: Unfailing(sys.stderr),
        cache_logger_on_first_use=False,
    )


def get(scope: str) -> Any:
    """A logger whose lines carry `scope`."""
    return _Logger(scope)
