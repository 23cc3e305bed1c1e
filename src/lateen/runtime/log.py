"""Structured logs: `get("scope")` returns a logger; `configure` is called once by a composition root.

Why: one format (console for people, JSON for machines), one level setting per scope. Must not be imported by the core.
"""

import logging
import sys
from typing import Any

import structlog

__all__ = ["configure", "get"]


def configure(level: str = "info", *, as_json: bool = False) -> None:
    """Set the process's log level (debug, info, warning, error) and format; writes to standard error."""
    renderer: Any = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )


def get(scope: str) -> Any:
    """A logger whose lines carry `scope`."""
    return structlog.get_logger(scope=scope)
