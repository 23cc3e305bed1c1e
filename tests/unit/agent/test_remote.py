"""An agent's token and roots as files: what cannot be one is told, and nobody is asked."""

import asyncio
from pathlib import Path

import pytest

from lateen.agent.remote import RemoteAuthority


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
    authority = RemoteAuthority("127.0.0.1:1", "istiod", tmp_path / "roots.pem", tmp_path / "token")
    with pytest.raises(OSError, match=sentence) as told:
        asyncio.run(authority.sign(b"request", 60))
    assert "good" not in str(told.value)
    assert "aaaa" not in str(told.value)
