"""Whatever comes in, problems or objects come out, never an exception."""

import json

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lateen.api.decode import Decoded, decode_documents, decode_message, decode_object, to_json
from lateen.api.kinds import KINDS
from lateen.api.meshconfig import MeshConfig

HEAD = b"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n  name: &n a\n"
SAMPLES = (
    HEAD + b"spec:\n  hosts: [*n]\n  http:\n  - route:\n    - weight: 5\n",
    b"apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: aGVsbG8=}\n---\n{}\n",
    b'{"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "\\u00e4"}}]}',
)
MARKS = ("\n", "---\n", ": ", "- ", "&a ", "*a", "<<: ", "{", "}", "[", "]", '"', "'", "|\n", "\t", "!!int ", "? ", "%YAML 1.1\n", "#")
WHOLE = ("\x00", "\x85", "\u2028", "\r", "spec", "items", "null", "1e9", "0o9", ".inf", "\\ud800")
FRAGMENTS = st.sampled_from([*(text.encode() for text in MARKS + WHOLE), b"\xff"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5)
FIELDS = sorted({field.encode_name for info in KINDS if info.type for field in msgspec.structs.fields(info.type)})
WORDS = st.sampled_from(
    ["http", "match", "route", "uri", "exact", "port", "number", "name", "labels", "servers", "tls", "mode", "ports", *FIELDS]
)
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=3), inner, max_size=4))


def check(results: list[Decoded]) -> None:
    """Each is an object, or says why not; every problem is a sentence; every line is a number."""
    for one in results:
        errors = [problem for problem in one.problems if problem.severity == "error"]
        assert (one.obj is None) == bool(errors) or (one.key is not None and one.obj is None)
        assert all(problem.message for problem in one.problems)
        assert all(line >= 1 for line in one.lines.values())
        json.dumps(one.raw)
        if one.obj is not None:
            json.dumps(to_json(one.obj))


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    """Rubbish is refused with a sentence."""
    check(decode_documents(data, "f"))


@given(st.sampled_from(SAMPLES), st.lists(st.tuples(st.integers(0, 200), st.integers(0, 5), FRAGMENTS), max_size=4))
@settings(max_examples=300)
def test_good_files_with_damage(sample: bytes, damage: list[tuple[int, int, bytes]]) -> None:
    """Pieces cut out and others put in, where a real file would be hurt."""
    for at, cut, fragment in damage:
        sample = sample[:at] + fragment + sample[at + cut :]
    check(decode_documents(sample, "f"))


@given(st.text(alphabet=":-[]{}&*!|>'\"%@`#,?~<\n\t ab01", max_size=60))
@settings(max_examples=300)
def test_yamls_own_marks_in_any_order(text: str) -> None:
    """The parser's corners."""
    check(decode_documents(text.encode(), "f"))


@given(st.sampled_from(KINDS), JSON, JSON, st.booleans())
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
def test_any_json_of_a_known_kind(info: object, metadata: object, spec: object, lenient: bool) -> None:  # noqa: FBT001
    """An object from the API with anything in its fields; what is accepted can be written and read again."""
    assert hasattr(info, "api_version")
    assert hasattr(info, "kind")
    raw = {"apiVersion": info.api_version, "kind": info.kind, "metadata": metadata, "spec": spec, "data": spec}
    obj, problems = decode_object(raw, lenient=lenient)
    assert all(problem.message for problem in problems)
    if obj is not None:
        assert decode_object(to_json(obj)) == (obj, ())


@given(JSON)
def test_any_mesh_config(raw: object) -> None:
    """Settings from a file, too."""
    mesh, problems = decode_message(json.dumps(raw).encode(), MeshConfig, "mesh")
    assert mesh is not None or problems
