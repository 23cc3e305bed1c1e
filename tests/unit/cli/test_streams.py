"""Standard streams that the caller closed."""

import subprocess
import sys
from pathlib import Path

import pytest

LATEEN = str(Path(sys.executable).with_name("lateen"))
EMPTY = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}


def run(shell: str, *words: str) -> subprocess.CompletedProcess[str]:
    """`lateen WORDS` with these redirections of the shell."""
    command = ["sh", "-c", f'"$@" {shell}', "sh", LATEEN, *words]
    return subprocess.run(command, env=EMPTY, capture_output=True, text=True, timeout=60, check=False)


def test_a_closed_input_is_an_empty_one() -> None:
    """`apply -f - <&-` says that there is nothing in it, with the exit code for bad data."""
    ran = run("<&-", "apply", "-f", "-")
    assert (ran.returncode, ran.stderr) == (65, "lateen: there are no objects in what was given to -f\n")


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_failure(closed: str) -> None:
    """What nobody can read is lost; the exit code is the same."""
    ran = run(closed, "version")
    assert ran.returncode == 0
    assert "Traceback" not in ran.stderr
