"""An agent's token and roots as files: what cannot be one is told, and nobody is asked."""

import asyncio
from pathlib import Path

import pytest

from lateen.agent.remote import RemoteAuthority
from lateen.runtime.clock import SystemClock


@pytest.mark.parametrize(
    ("token", "sentence"),
    [
        (None, "the token of the service account cannot be read"),
        (b"", "expected the token of a service account"),
        (b"\n", "expected the token of a service account"),
        (b"\xff\xfe", "expected the token of a service account"),
        (b"two\nlines", "expected the token of a service account"),
        (b"a" * 20_000, "expected the token of a service account"),
        (b"good", "the roots of the control plane cannot be read"),
    ],
    ids=["none", "empty", "a line's end", "bytes", "two", "huge", "no roots"],
)
def test_what_cannot_be_a_token_is_told(tmp_path: Path, token: bytes | None, sentence: str) -> None:
    """The file and what belongs there; the text of the file is in no error."""
    if token is not None:
        (tmp_path / "token").write_bytes(token)
    authority = RemoteAuthority("127.0.0.1:1", "istiod", tmp_path / "roots.pem", tmp_path / "token", SystemClock())
    with pytest.raises(OSError, match=sentence) as told:
        asyncio.run(authority.sign(b"request", 60))
    assert "good" not in str(told.value)
    assert "aaaa" not in str(told.value)


class Set(SystemClock):
    """Each wait takes its time at once; after the third the clock is an hour further on, or behind."""

    def __init__(self, by: float) -> None:
        self.waits, self.passed, self._by = 0, 0.0, by

    def now(self) -> float:
        return 1_800_000_000.0 + self.passed + (self._by if self.waits >= 3 else 0)

    def monotonic(self) -> float:
        return self.passed

    async def sleep(self, seconds: float) -> None:
        self.waits += 1
        self.passed += seconds


@pytest.mark.parametrize("by", [3600.0, -3600.0])
def test_a_clock_that_was_set_renews_the_certificate(tmp_path: Path, by: float) -> None:
    """At the next look after that, not before."""
    clock = Set(by)
    authority = RemoteAuthority("127.0.0.1:1", "istiod", tmp_path / "roots.pem", tmp_path / "token", clock)
    asyncio.run(asyncio.wait_for(authority.changed(), 5))
    assert clock.waits == 3
