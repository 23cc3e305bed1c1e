"""Log lines that cannot be written."""

import io
from collections.abc import Iterator

import pytest
import structlog

from lateen.runtime import log


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """What logs write to is the process's."""
    yield
    structlog.reset_defaults()


class Full(io.StringIO):
    """A file on a full disk."""

    def write(self, _text: str) -> int:
        raise OSError(28, "No space left on device")


def test_a_line_that_cannot_be_written_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who logs goes on: the disk that is full is often the log's own."""
    monkeypatch.setattr("sys.stderr", Full())
    log.configure("info")
    log.get("test").error("not told", why="full")


def test_a_line_carries_scope_level_and_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    """What can be written is."""
    told = io.StringIO()
    monkeypatch.setattr("sys.stderr", told)
    log.configure("info", as_json=True)
    log.get("test").warning("told", port=1)
    assert '"scope": "test"' in told.getvalue()
    assert '"level": "warning"' in told.getvalue()
    assert '"port": 1' in told.getvalue()
