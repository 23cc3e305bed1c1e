"""Definitions of custom kinds: what their schemas take and refuse, and what a client reads of them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cel
import jsonschema_rs
import pytest
from click.testing import CliRunner

from lateen.api.decode import decode_documents
from lateen.api.kinds import by_kind
from lateen.cli.crds import crds
from lateen.kube.crds import CUSTOM, definition
from lateen.kube.definitions import served

ISTIO = [info for info in CUSTOM if info.is_istio]


def schemas() -> dict[tuple[str, str], dict[str, Any]]:
    """The schema of each kind of Istio's, by group and kind."""
    found: dict[tuple[str, str], Any] = {(info.group, info.kind): definition(info)["spec"] for info in ISTIO}
    return {key: spec["versions"][0]["schema"]["openAPIV3Schema"] for key, spec in found.items()}


def plain(schema: Any) -> Any:
    """The schema as JSON Schema has it."""
    if isinstance(schema, dict):
        own = {"anyOf": [{"type": "integer"}, {"type": "string"}]} if "x-kubernetes-int-or-string" in schema else {}
        return {key: plain(value) for key, value in schema.items() if key != "x-kubernetes-int-or-string"} | own
    return [plain(value) for value in schema] if isinstance(schema, list) else schema


def broken_rules(schema: dict[str, Any], value: Any) -> Iterator[str]:
    """The rules between fields that a value breaks, in it and below it."""
    for rule in schema.get("x-kubernetes-validations", ()):
        try:
            holds = cel.evaluate(rule["rule"], {"self": value})
        except RuntimeError as error:  # a number that is none
            holds = str(error)
        if holds is not True:
            yield rule["message"]
    inner = schema.get("properties", {})
    if isinstance(value, dict):
        for name, child in value.items():
            below = inner.get(name, schema.get("additionalProperties"))
            if isinstance(below, dict):
                yield from broken_rules(below, child)
    for child in value if isinstance(value, list) else ():
        yield from broken_rules(schema.get("items", {}), child)


def test_they_refuse_what_istios_refuse(shared_cases: Path) -> None:
    """Every document of Istio's own tests of its definitions, by schema and by rules between fields."""
    folder = shared_cases / "validate"
    rows = json.loads((folder / "expected.json").read_text())
    known = schemas()
    wrong = []
    for row in rows:
        raw = decode_documents((folder / row["file"]).read_bytes(), row["file"])[row["document"]].raw
        raw = json.loads(json.dumps(raw))
        spec = raw.get("spec") or {}
        if any(isinstance(address, dict) for address in spec.get("addresses", ())):
            continue  # an IPv6 address without quotes: YAML reads a mapping, which no API server takes
        schema = known[(raw["apiVersion"].partition("/")[0], raw["kind"])]
        said = [error.message for error in jsonschema_rs.Draft7Validator(plain(schema)).iter_errors(raw)]
        said += broken_rules(schema, raw)
        if (not said) != row["valid"]:
            wrong.append((row["file"], row["name"], said))
    assert len(rows) > 60
    assert wrong == []


@pytest.mark.parametrize("info", ISTIO, ids=lambda info: info.kind)
def test_schemas_are_structural(info: Any) -> None:
    """Every value that is not free has a type; one version is stored; the choice of versions is the table's."""

    def untyped(schema: dict[str, Any], path: str) -> Iterator[str]:
        if not {"type", "x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields"} & schema.keys():
            yield path
        for name, child in schema.get("properties", {}).items():
            yield from untyped(child, f"{path}.{name}")
        for name in ("items", "additionalProperties"):
            if isinstance(schema.get(name), dict):
                yield from untyped(schema[name], f"{path}[]")

    spec: Any = definition(info)["spec"]
    assert [version["name"] for version in spec["versions"]] == list(info.versions)
    assert sum(version["storage"] for version in spec["versions"]) == 1
    assert list(untyped(spec["versions"][0]["schema"]["openAPIV3Schema"], "")) == []


def test_the_command_prints_them_all() -> None:
    """One document a kind, as it can be applied."""
    said = CliRunner().invoke(crds)
    assert said.exit_code == 0
    documents = decode_documents(said.output.encode(), "crds")
    assert sorted(one.raw["metadata"]["name"] for one in documents) == sorted(f"{info.plural}.{info.group}" for info in ISTIO)
    assert [problem for one in documents for problem in one.problems] == []


def test_the_served_ones_say_that_they_are_established() -> None:
    """As clients wait for."""
    info = by_kind("VirtualService")
    assert info is not None
    status: Any = served(info, "2026-01-01T00:00:00Z")["status"]
    assert {each["type"]: each["status"] for each in status["conditions"]} == {"NamesAccepted": "True", "Established": "True"}
    assert status["storedVersions"] == ["v1"]
