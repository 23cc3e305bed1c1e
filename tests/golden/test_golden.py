"""What Lateen makes of small cases, kept word for word: a diff shows what a change means to an Envoy. `--update-golden` writes."""

from pathlib import Path

import pytest

from lateen.testing.golden import cases_in, expected_files, print_case, stale_files

_FOLDER = Path(__file__).parent


@pytest.mark.parametrize("case", cases_in(_FOLDER), ids=lambda case: str(case.relative_to(_FOLDER)).removesuffix(".in.yaml"))
def test_case(case: Path, request: pytest.FixtureRequest) -> None:
    """Plans and configuration are those that were kept."""
    for printed, expected in zip(print_case(case), expected_files(case), strict=True):
        if request.config.getoption("--update-golden"):
            expected.write_text(printed)
        assert expected.exists(), f"{expected.name} is missing: run with --update-golden and read what it writes"
        assert printed == expected.read_text(), f"{expected.name} says otherwise"


def test_no_expected_file_is_left_without_a_case() -> None:
    """A file that nothing compares says nothing."""
    assert stale_files(_FOLDER) == []
