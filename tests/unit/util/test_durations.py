"""Durations: exact nanoseconds out of Go's and protobuf's text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lateen.util import durations


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1s", 10**9),
        ("0s", 0),
        ("0", 0),
        ("1h30m", 5400 * 10**9),
        ("0.5s", 5 * 10**8),
        (".5s", 5 * 10**8),
        ("1.s", 10**9),
        ("100ms", 10**8),
        ("1us", 1000),
        ("1µs", 1000),
        ("3ns", 3),
        ("-1.5s", -15 * 10**8),
        ("+2s", 2 * 10**9),
        ("0.1234567891s", 123456789),
        ("1m0.5s", 60_500_000_000),
    ],
)
def test_go_and_protobuf_spellings_are_read(text: str, expected: int) -> None:
    """Both spellings give whole nanoseconds; finer digits are cut off."""
    assert durations.parse(text) == expected


@pytest.mark.parametrize("text", ["", "1", "s", ".s", "1 s", "1d", "1s2", "-", "--1s", "1e3s", "a" * 1000, "\u0661s"])
def test_a_text_without_number_or_unit_is_refused(text: str) -> None:
    """The message names the text and shows how durations are written."""
    with pytest.raises(ValueError, match="is not a duration"):
        durations.parse(text)


def test_a_duration_beyond_protobuf_is_refused() -> None:
    """Ten thousand years is the most that Envoy's Duration holds."""
    assert durations.parse("315576000000s")
    with pytest.raises(ValueError, match="10,000 years"):
        durations.parse("315576000001s")


@given(st.integers(min_value=-(10**20), max_value=10**20))
def test_what_is_written_reads_back(nanoseconds: int) -> None:
    """`to_text` and `parse` are inverse."""
    assert durations.parse(durations.to_text(nanoseconds)) == nanoseconds
    assert durations.to_text(1_500_000_000) == "1.5s"
