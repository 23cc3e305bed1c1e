"""What validation says: where, and that it never fails itself."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lateen.api.decode import decode_documents, decode_object
from lateen.api.kinds import KINDS
from lateen.api.validate.run import problems_of, validate

RULE = """apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
    - match:
        - headers: {x-user: {regex: "(a"}}
      route:
        - destination: {host: reviews}
          weight: -1
"""
POLICY = """apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: all}
spec:
  rules:
    - to: [{operation: {paths: ["/a/{*}/b{**}"]}}]
"""


def said(text: str) -> list[tuple[str, int, str]]:
    """Path, line and severity of everything found."""
    return [(each.path, each.line, each.severity) for one in decode_documents(text.encode(), "rules.yaml") for each in problems_of(one)]


def test_each_mistake_is_told_with_its_field_and_line() -> None:
    """Several mistakes of one object are all told."""
    assert said(RULE) == [
        ('spec.http[0].match[0].headers["x-user"].regex', 8, "error"),
        ("spec.http[0].route[0].weight", 11, "error"),
    ]
    assert said(POLICY) == [("spec.rules[0].to[0].operation.paths[0]", 6, "error")]


def test_regular_expressions_are_read_as_envoy_reads_them() -> None:
    """Python takes a back reference, RE2 does not; RE2 takes classes of Unicode, Python does not."""
    assert len(said(RULE.replace('"(a"', '"(a)\\\\1"'))) == 2
    assert len(said(RULE.replace('"(a"', '"\\\\pL{1,500}"'))) == 1


def test_a_regular_expression_too_large_for_envoy_is_an_error() -> None:
    """Told soon, whatever its size; the message quotes its beginning only."""
    regex = "|".join(["[^x]{1,999}"] * 40)
    found = [problem for one in decode_documents(RULE.replace("(a", regex).encode(), "rules.yaml") for problem in problems_of(one)]
    assert "more than 32768 steps" in found[0].message
    assert len(found[0].message) < 400


@pytest.mark.parametrize("path", ["/a/{*}", "/{**}", "/a/{*}/b/{**}", "/a*", "*"])
def test_templates_of_paths(path: str) -> None:
    """As Istio takes them: {*} for a segment, {**} for the rest."""
    assert said(POLICY.replace("/a/{*}/b{**}", path)) == []


@pytest.mark.parametrize("path", ["/a{*}", "/{**}/{**}", "/{**}/{*}", "/a*/{*}", "/{a}/{*}"])
def test_templates_that_cannot_match(path: str) -> None:
    """Braces within a segment, stars beside templates, two of {**}."""
    assert said(POLICY.replace("/a/{*}/b{**}", path)) != []


def test_samples_are_valid(shared_cases: Path) -> None:
    """Every file of Istio's samples."""
    errors = [
        problem.message
        for file in sorted((shared_cases / "samples").rglob("*.yaml"))
        for decoded in decode_documents(file.read_bytes(), str(file))
        if decoded.obj is not None
        for problem in problems_of(decoded)
        if problem.severity == "error"
    ]
    assert errors == []


SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**33), 2**33) | st.text(max_size=8) | st.sampled_from(["*", "~/*", "1s", "a.b", "/", "0"])
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3), max_leaves=8
)


@given(st.sampled_from([info for info in KINDS if info.is_istio]), st.data())
def test_any_object_that_decodes_is_judged(info: Any, data: st.DataObject) -> None:
    """Values of every shape in fields that exist: a verdict, never an exception."""
    fields = {field.encode_name for field in _fields(info.type)}
    spec = data.draw(st.dictionaries(st.sampled_from(sorted(fields)), VALUES, max_size=4))
    raw = {"apiVersion": info.api_version, "kind": info.kind, "metadata": {"name": "x"}, "spec": spec}
    obj, _ = decode_object(raw, lenient=True)
    if obj is not None:
        validate(obj, raw)


def _fields(kind: Any) -> Any:
    spec = next(field for field in msgspec.structs.fields(kind) if field.name == "spec")
    return msgspec.structs.fields(spec.type)
