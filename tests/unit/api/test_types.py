"""The types themselves: what their annotations promise to those who read the fields."""

import re
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from lateen.api.base import Duration
from lateen.api.meta import Key
from lateen.api.virtualservice import StringMatch
from lateen.util import durations

PATTERN = next(meta.pattern for meta in get_args(Duration)[1:] if isinstance(meta, Meta) and meta.pattern)


@given(st.from_regex(PATTERN, fullmatch=True))
def test_every_duration_that_is_decoded_can_be_read(text: str) -> None:
    """Who holds a `Duration` may parse it without fear."""
    assert isinstance(durations.parse(text), int)


@pytest.mark.parametrize("text", ["1s", "0s", "0", "1.5s", ".5s", "100ms", "1h30m", "86400000ms", "-1s", "315576000s", "87600h"])
def test_usual_durations_are_taken(text: str) -> None:
    """Go's and protobuf's spellings."""
    assert re.search(PATTERN, text)


@pytest.mark.parametrize("text", ["", "1", "5 s", "1d", "1s ", "s", "99999999h", "1s" * 7])
def test_other_texts_are_no_durations(text: str) -> None:
    """No unit, no number, or longer than Envoy takes."""
    assert not re.search(PATTERN, text)


def test_a_oneof_cannot_be_built_with_two_members() -> None:
    """Also not by our own code."""
    with pytest.raises(ValueError, match="only one of exact, prefix, regex may be given"):
        StringMatch(exact="a", prefix="b")


def test_a_key_reads_as_people_write_it() -> None:
    """Kind, namespace/name; what is missing is left out."""
    assert str(Key("Service", "default", "a")) == "Service default/a"
    assert str(Key("Node", "", "a")) == "Node a"
    assert str(Key("Node", "", "")) == "Node"
