"""docs/features.md names what works and the tests that prove it, and leaves out no row of Istio's behaviour that a caller sees."""

import re
from collections import Counter
from pathlib import Path

import pytest

ROW_BY_ROW = "## Istio's behaviour, row by row"
SECTIONS = ("1.2", "1.4", "1.5", "1.6", "1.7", "1.9", "4.1", "4.2", "4.3", "4.4", "4.5", "4.6", "8")
HEADS = ("| capability |", "|---")


def rows(text: str) -> list[str]:
    """The rows of a page's tables, without their heads."""
    return [line for line in text.splitlines() if line.startswith("|") and not line.startswith(HEADS)]


def by_section(text: str) -> dict[str, list[str]]:
    """The first cells of a page's tables, by the number of the section that they are in."""
    found: dict[str, list[str]] = {}
    for part in re.split(r"^#{2,} (?=\d)", text, flags=re.MULTILINE)[1:]:
        table = [line for line in part.splitlines() if line.startswith("|")][2:]
        found[part.split()[0].rstrip(".")] = [line.split("|")[1].strip() for line in table]
    return found


@pytest.fixture(scope="session")
def features(root: Path) -> str:
    """The page."""
    return (root / "docs" / "features.md").read_text()


def test_each_row_names_tests_that_exist(root: Path, features: str, test_functions: dict[str, object]) -> None:
    """Only in the part that goes row by row may a row be open, with its reason."""
    plain, _, listed = features.partition(ROW_BY_ROW)
    named = [*rows(plain), *(row for row in rows(listed) if not re.search(r"\*open\*: \S", row))]
    tests = [(row, re.findall(r"`(tests/[^`]+)`", row)) for row in named]
    assert tests
    assert [row for row, found in tests if not found] == []
    every = [test for _, found in tests for test in found]
    assert [test for test in every if test not in test_functions and ("::" in test or not (root / test).is_file())] == []


def test_no_row_of_the_reference_is_left_out(root: Path, features: str) -> None:
    """Each row of the sections that callers see is in the same section here, once, by the words that it begins with."""
    reference = root.parent / "shared" / "reference" / "istio-behaviour.md"
    if not reference.is_file():
        pytest.skip(f"no list of Istio's behaviour at {reference}")
    there, here = by_section(reference.read_text()), by_section(features.partition(ROW_BY_ROW)[2])
    assert sorted(here) == sorted(SECTIONS)
    for section in SECTIONS:
        assert there[section], section
        found = Counter(next((row for row in there[section] if row.startswith(cell)), cell) for cell in here[section])
        assert found == Counter(there[section]), section
