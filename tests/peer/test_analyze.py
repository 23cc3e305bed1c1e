"""What Istio's analysers say of their own test files: codes and objects, each as often as said; the words are ours."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from lateen.analyze.objects import Objects, items_of, part
from lateen.analyze.run import ANALYSERS, analyze
from lateen.api.decode import decode_documents, decode_message
from lateen.api.meshconfig import MeshConfig

pytestmark = pytest.mark.copied_from("istio/istio", "pkg/config/analysis/analyzers", "see shared/cases/analyze/SOURCE.md")

_VALIDATION = "schemaValidation.CollectionValidationAnalyzer($collections."


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per case."""
    file = Path(metafunc.config.getoption("--cases")) / "analyze" / "expected.json"
    cases = json.loads(file.read_text()) if file.exists() else []
    metafunc.parametrize("case", cases, ids=[case["name"] for case in cases])


def said(folder: Path, case: dict[str, Any]) -> Counter[tuple[str, str]]:
    """Codes and origins. An upstream validation analyser is for one kind; ours is for all."""
    files = [*case["inputs"], "default-resources.yaml"]
    items = [item for name in files for item in items_of(decode_documents((folder / name).read_bytes(), name))]
    mesh = decode_message((folder / case["meshConfig"]).read_bytes(), MeshConfig, "mesh")[0] if "meshConfig" in case else None
    networks = decode_documents((folder / case["meshNetworks"]).read_bytes(), "networks")[0].raw if "meshNetworks" in case else None
    name, kind = case["analyzer"], ""
    if name.startswith(_VALIDATION):
        name, kind = "schema.ValidationAnalyzer", name.removeprefix(_VALIDATION).removesuffix(")") + " "
    assert name in ANALYSERS, f"there is no analyser {name}"
    messages = analyze(Objects(items, mesh, part(networks)), [name])
    return Counter((each.code, each.origin) for each in messages if each.origin.startswith(kind))


def test_messages(cases_dir: Path, case: dict[str, Any]) -> None:
    """The same messages about the same objects."""
    assert said(cases_dir / "analyze", case) == Counter((each["code"], each["origin"]) for each in case["expected"])
