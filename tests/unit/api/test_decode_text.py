"""Text: which YAML and JSON is read, how scalars are understood, and which sentence refuses the rest."""

import json
from typing import Any

import pytest

from lateen.api.decode import decode_documents, read_documents


def read_one(text: str | bytes) -> Any:
    """The plain data of the one document, which must be readable."""
    (document,) = read_documents(text if isinstance(text, bytes) else text.encode(), "f")
    assert document.notes == ()
    return document.raw


def refusal(text: str | bytes) -> str:
    """The sentence that refuses the one document."""
    (document,) = read_documents(text if isinstance(text, bytes) else text.encode(), "f")
    (problem,) = document.problems()
    return problem.message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", 1),
        ("-1", -1),
        ("0644", 0o644),
        ("089", 89.0),
        ("0x1F", 31),
        ("0b11", 3),
        ("0o17", 15),
        ("1_000", 1000),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("18446744073709551615", 2**64 - 1),
        ("18446744073709551616", float(2**64)),
        ("9" * 80, float("9" * 80)),
        ("true", True),
        ("yes", True),
        ("off", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("y", "y"),
        ("n", "n"),
        ("'1'", "1"),
        ('"true"', "true"),
        ("2020-01-01", "2020-01-01"),
        ("1:30", "1:30"),
        ("1.2.3.4", "1.2.3.4"),
        ("-", ["x"]),
        ("0x", "0x"),
        ("100m", "100m"),
        ("!!str 1", "1"),
        ("!!int '1'", 1),
        ("!!float 1", 1.0),
        ("!!binary aGVsbG8=", "hello"),
        ("|\n    a\n    b\n", "a\nb\n"),
    ],
)
def test_scalars_are_understood_as_kubectl_does(text: str, expected: object) -> None:
    """Numbers, octal modes, words for true and false; dates and clock times stay text."""
    value = read_one(f"key: {text}" if text != "-" else "key:\n- x")["key"]
    assert value == expected
    assert type(value) is type(expected)


def test_keys_become_text() -> None:
    """JSON has no other keys: `portLevelMtls: {8080: ...}`."""
    assert read_one("{8080: a, true: b, 1.5: c, 'x': d}") == {"8080": "a", "true": "b", "1.5": "c", "x": "d"}


def test_aliases_are_copies() -> None:
    """What an alias stands for can be changed without changing its origin."""
    raw = read_one("a: &x {b: [1]}\nc: *x\n")
    raw["c"]["b"].append(2)
    assert raw == {"a": {"b": [1]}, "c": {"b": [1, 2]}}


def test_merge_keys_fill_what_is_absent() -> None:
    """`<<` never overrides a key that is written out; of several, the first wins."""
    assert read_one("base: &b {x: 1, y: 1}\nother: &o {y: 2, z: 2}\nmade: {<<: [*b, *o], x: 3}")["made"] == {"x": 3, "y": 1, "z": 2}


def test_bom_and_windows_line_ends_are_read() -> None:
    """As kubectl reads them."""
    assert read_one(b"\xef\xbb\xbfa: 1\r\nb: |\r\n  x\r\n") == {"a": 1, "b": "x\n"}


def test_empty_documents_are_left_out() -> None:
    """Comments and stray separators are no objects."""
    assert decode_documents(b"---\n# nothing\n---\n---\n...\n", "f") == []
    assert decode_documents(b"", "f") == []
    assert decode_documents(b"\n\n", "f") == []


def test_json_is_read_as_json() -> None:
    """Escapes and tabs that YAML refuses are fine; several objects may follow each other; lines are known."""
    one = '{"apiVersion": "v1", "kind": "Service",\n\t"metadata": {"name": "\\ud83d\\ude00",\n"uid": "u"}}'
    text = one + '\n{"apiVersion": "v1",\n"kind": "Nonsense"}'
    first, second = decode_documents(text.encode(), "f")
    assert first.raw["metadata"]["name"] == "\N{GRINNING FACE}"
    assert first.lines[("metadata", "name")] == 2
    assert first.lines[("metadata", "uid")] == 3
    assert second.problems[0].line == 5
    assert read_one(b'\xef\xbb\xbf{"a":\t"\\ud83d\\ude00"}') == {"a": "\N{GRINNING FACE}"}


def test_typed_lists_need_not_repeat_the_kind() -> None:
    """`kubectl get -o json` of old gives such lists."""
    text = json.dumps({"apiVersion": "v1", "kind": "ServiceList", "items": [{"metadata": {"name": "a"}}]})
    (decoded,) = decode_documents(text.encode(), "f")
    assert decoded.key == ("Service", "", "a")
    assert decoded.obj is not None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a:\n\tb: 1", "f:2: a tab is used for indentation; YAML takes spaces only"),
        (b"a: 1\nb: \xff", "f:2: the byte 0xff is not UTF-8; save the file as UTF-8"),
        (b"\xff\xfea\x00", "f:1: the file is UTF-16; save it as UTF-8"),
        ("a: 1\nb: \x00", "f:2: control characters are not allowed in YAML"),
        ("a: [1\n", "f:2: this is not YAML: did not find expected ',' or ']' (while parsing a flow sequence, begun on line 1)"),
        ("a: 'x\n", "f:2: this is not YAML: found unexpected end of stream (while scanning a quoted scalar, begun on line 1)"),
        ("a: *b", 'f:1: the alias "*b" is not defined before this line'),
        ("x: 1\na: &a [*a]", 'f:2: the alias "*a" stands for what it is itself a part of'),
        ("? [a]\n: b", "f:1: a key must be text, not null, a list or a mapping"),
        ("a: !mine b", "f:1: the tag !mine is not known here; only YAML's own tags (!!str, !!int, ...) may be used"),
        ("a: !!int b", "f:1: the value is tagged !!int, but is none"),
        ("a: !!binary x", "f:1: the value is tagged !!binary, but is not UTF-8 text in base64"),
        ("a: .inf", "f:1: .inf is a number that JSON cannot hold; write it in quotes if it is text"),
        ("a: 1e999", "f:1: the number 1e999 is too large"),
        ("<<: 1", 'f:1: "<<" takes a mapping, or a list of mappings'),
        ("? " * 3000 + "a", "f:1: a key must be text, not null, a list or a mapping"),
        ("[" * 101 + "]" * 101, "f:1: the document is nested deeper than 100 levels"),
        ('{"a":' * 101 + "1" + "}" * 101, "f:1: the document is nested deeper than 100 levels"),
        ('{"a": 1, "a": 2}', "f:1: a: the field is given twice; first on line 1"),
        (
            '{"a": "\\ud83d"}',
            "f:1: this is not YAML: found invalid Unicode character escape code (while parsing a quoted scalar, begun on line 1)",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_sentence(text: str | bytes, said: str) -> None:
    """The line, what is wrong, and what to do where that is not obvious."""
    assert refusal(text) == said


def test_a_hundred_levels_are_enough() -> None:
    """The limit itself is allowed."""
    assert read_one("[" * 100 + "]" * 100)
    assert read_one('{"a":' * 99 + "1" + "}" * 99)


def test_a_billion_laughs_are_refused_early() -> None:
    """Aliases of aliases may not stand for more than a bounded number of nodes."""
    text = "l0: &l0 [x]\n" + "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]\n" for n in range(1, 20))
    assert refusal(text) == "f:6: the aliases stand for more than 100000 nodes"


def test_reading_goes_on_after_a_broken_document() -> None:
    """The objects before and after it are decoded, with their own lines."""
    good = "apiVersion: v1\nkind: Service\nmetadata: {name: NAME}\n"
    text = good.replace("NAME", "a") + "---\na: [\n---\n" + good.replace("NAME", "b") + "spec: {x: 1}\n"
    first, broken, last = decode_documents(text.encode(), "f")
    assert first.obj is not None
    assert broken.key is None
    assert broken.problems[0].code == "syntax"
    assert last.problems[0].message.startswith("f:10: Service b: spec.x: unknown field")


def test_a_file_of_rubbish_is_given_up_after_a_hundred_documents() -> None:
    """Bad input costs bounded time."""
    decoded = decode_documents(b"a: [\n---\n" * 500, "f")
    assert len(decoded) == 101
    assert decoded[-1].problems[0].message == "f:200: more than 100 documents cannot be read; the rest is left out"


def test_lines_are_those_of_the_file() -> None:
    """Each field's line counts from the top of the file, whatever stands before its document."""
    head = "apiVersion: v1\nkind: Service\nmetadata:\n  name: "
    text = f"# c\n---\n{head}a\n---\n\n{head}b\nspec:\n  ports:\n  - port: 1\n  - port: 2\n"
    _, second = decode_documents(text.encode(), "f")
    assert second.lines[("metadata", "name")] == 12
    assert second.lines[("spec", "ports", 1, "port")] == 16
    assert second.lines.at(("spec", "ports", 1, "absent")) == 16
    assert ("spec", "absent") not in second.lines
