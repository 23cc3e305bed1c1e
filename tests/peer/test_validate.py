"""What Istio's CustomResourceDefinitions and its webhook take and refuse, document by document: verdicts and warnings, not words."""

import json
from pathlib import Path
from typing import Any

import pytest

from lateen.api.decode import Decoded, decode_documents
from lateen.api.validate.run import problems_of

pytestmark = pytest.mark.copied_from("istio/istio", "pkg/config/validation", "see shared/cases/validate/SOURCE.md")

_TABLES = {"crd": "expected.json", "webhook": "webhook-expected.json", "dataset": "dataset-expected.json"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per row of each table."""
    folder = Path(metafunc.config.getoption("--cases")) / "validate"
    rows = [
        pytest.param(folder / row["file"], row, id=f"{row['file']}#{row.get('document', 0)}-{row.get('name', '')}")
        for file in _TABLES.values()
        for row in (json.loads((folder / file).read_text()) if (folder / file).exists() else [])
    ]
    metafunc.parametrize(("file", "row"), rows)


def documents(file: Path, row: dict[str, Any]) -> tuple[Decoded, ...]:
    """The row's document, or all of a file whose row names none."""
    found = tuple(decode_documents(file.read_bytes(), file.name))
    return found[row["document"] :][:1] if "document" in row else found


def test_verdict(file: Path, row: dict[str, Any]) -> None:
    """Refused or taken, and warned of or not where the row says which."""
    problems = [problem for decoded in documents(file, row) for problem in problems_of(decoded)]
    said = [problem.message for problem in problems]
    assert (not any(problem.severity == "error" for problem in problems)) == row["valid"], said
    if "warning" in row:
        assert any(problem.severity == "warning" for problem in problems) == row["warning"], said
