"""Every mistake is told once, by a sentence that names file, line, object, field and what was expected."""

import pytest

from lateen.api.decode import decode_documents, decode_object
from lateen.util.problem import Problem

VIRTUAL_SERVICE = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
  namespace: default
spec:
  hosts: [reviews]
  http:
  - {rule}
"""
GATEWAY_VERSIONS = "networking.istio.io/v1, networking.istio.io/v1beta1, networking.istio.io/v1alpha3"


def problems_of(text: str) -> tuple[Problem, ...]:
    """The problems of the one object in the text."""
    (decoded,) = decode_documents(text.encode(), "f.yaml")
    assert decoded.obj is None
    return decoded.problems


@pytest.mark.parametrize(
    ("rule", "code", "path", "said"),
    [
        ("rote: []", "unknown-field", "spec.http[0].rote", 'unknown field; did you mean "route"?'),
        ("rewrite: {url: /}", "unknown-field", "spec.http[0].rewrite.url", 'unknown field; did you mean "uri"?'),
        (
            "delegate: {xxxxx: y}",
            "unknown-field",
            "spec.http[0].delegate.xxxxx",
            "unknown field; known here: name, namespace",
        ),
        ("match: {}", "wrong-type", "spec.http[0].match", "expected a list, found a mapping"),
        ("match: [null]", "wrong-type", "spec.http[0].match[0]", "expected a mapping, found nothing"),
        ("name: 5", "wrong-type", "spec.http[0].name", "expected text, found the number 5; write it in quotes"),
        ("name: on", "wrong-type", "spec.http[0].name", "expected text, found true; write it in quotes"),
        ("route: [{weight: half}]", "wrong-type", "spec.http[0].route[0].weight", "expected a whole number, found text"),
        (
            "route: [{weight: 3000000000}]",
            "wrong-value",
            "spec.http[0].route[0].weight",
            "expected a whole number from -2147483648 to 2147483647, found 3000000000",
        ),
        (
            "timeout: 5",
            "wrong-type",
            "spec.http[0].timeout",
            'expected a duration such as "1s", "100ms" or "1h30m", found the number 5',
        ),
        (
            "timeout: 5 s",
            "wrong-value",
            "spec.http[0].timeout",
            'expected a duration such as "1s", "100ms" or "1h30m", found "5 s"',
        ),
        (
            "redirect: {derivePort: FROM_REQUEST}",
            "wrong-value",
            "spec.http[0].redirect.derivePort",
            '"FROM_REQUEST" is not one of FROM_PROTOCOL_DEFAULT, FROM_REQUEST_PORT; did you mean "FROM_REQUEST_PORT"?',
        ),
        (
            "match: [{uri: {exact: /a, prefix: /b}}]",
            "one-of",
            "spec.http[0].match[0].uri.prefix",
            "only one of exact, prefix may be given",
        ),
        (
            'match: [{headers: {"end-user": {exact: 1}}}]',
            "wrong-type",
            'spec.http[0].match[0].headers["end-user"].exact',
            "expected text, found the number 1; write it in quotes",
        ),
        (
            "mirrorPercentage: {value: lots}",
            "wrong-type",
            "spec.http[0].mirrorPercentage.value",
            "expected a number, found text",
        ),
        (
            "corsPolicy: {allowCredentials: maybe}",
            "wrong-type",
            "spec.http[0].corsPolicy.allowCredentials",
            "expected true or false, found text",
        ),
    ],
)
def test_a_mistake_in_a_field_is_told_with_its_place(rule: str, code: str, path: str, said: str) -> None:
    """File, line, object, path and expectation stand in one sentence, and apart in the problem's fields."""
    (problem,) = problems_of(VIRTUAL_SERVICE.replace("{rule}", rule))
    assert problem.message == f"f.yaml:9: VirtualService default/reviews: {path}: {said}"
    assert (problem.code, problem.path, problem.file, problem.line) == (code, path, "f.yaml", 9)
    assert (problem.kind, problem.namespace, problem.name) == ("VirtualService", "default", "reviews")
    assert problem.severity == "error"


def test_all_mistakes_of_an_object_are_told() -> None:
    """Not only the first one."""
    text = VIRTUAL_SERVICE.replace("{rule}", "rote: []\n    timeout: 5\n    name: 1").replace(
        "name: reviews", "lables: {}\n  name: reviews"
    )
    assert [(problem.path, problem.line) for problem in problems_of(text)] == [
        ("metadata.lables", 4),
        ("spec.http[0].rote", 10),
        ("spec.http[0].timeout", 11),
        ("spec.http[0].name", 12),
    ]


def test_a_misspelt_field_of_metadata_is_told() -> None:
    """Also where nothing else is wrong: such a label would be lost in silence."""
    (problem,) = problems_of("apiVersion: v1\nkind: Service\nmetadata:\n  name: a\n  lables: {a: b}\n")
    assert problem.message == 'f.yaml:5: Service a: metadata.lables: unknown field; did you mean "labels"?'


def test_a_field_given_twice_is_refused() -> None:
    """The second occurrence is told, with the line of the first."""
    (problem,) = problems_of(VIRTUAL_SERVICE.replace("{rule}", "name: a\n    timeout: 1s\n    name: b"))
    expected = "f.yaml:11: VirtualService default/reviews: spec.http[0].name: the field is given twice; first on line 9"
    assert problem.message == expected
    assert problem.code == "duplicate-field"


def test_one_field_in_two_spellings_is_refused() -> None:
    """`ignore_uri_case` and `ignoreUriCase` are the same field."""
    (problem,) = problems_of(VIRTUAL_SERVICE.replace("{rule}", "match: [{ignoreUriCase: true, ignore_uri_case: true}]"))
    assert problem.code == "duplicate-field"


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        (
            "apiVersion: v1\nkind: Servce\nmetadata: {name: x}",
            "unknown-kind",
            'f:2: Servce x: kind: the kind "Servce" of "v1" is unknown; did you mean "Service"?',
        ),
        (
            "apiVersion: networking.istio.io/v9\nkind: Gateway\nmetadata: {name: x}",
            "unknown-kind",
            f'f:1: Gateway x: apiVersion: Gateway has no version "networking.istio.io/v9"; expected {GATEWAY_VERSIONS}',
        ),
        (
            "apiVersion: apps/v1\nkind: Service\nmetadata: {name: x}",
            "unknown-kind",
            'f:1: Service x: apiVersion: Service of "apps/v1" is unknown; expected v1',
        ),
        ("kind: Service", "missing-field", "f:1: Service: apiVersion: expected text, such as apiVersion: v1, kind: Service"),
        ("apiVersion: v1\nkind: [a]", "missing-field", "f:2: kind: expected text, such as apiVersion: v1, kind: Service"),
        ("apiVersion: v1\nkind: Service\nspec: {}", "missing-field", "f:1: Service: metadata.name: the object needs a name"),
        ("apiVersion: v1\nkind: Service\nmetadata: a", "wrong-type", "f:3: Service: metadata: expected a mapping, found text"),
        ("just text", "wrong-type", "f:1: expected an object with apiVersion, kind and metadata"),
        ("- a\n- b", "wrong-type", "f:1: expected an object with apiVersion, kind and metadata"),
    ],
)
def test_what_is_no_known_object_is_told(text: str, code: str, said: str) -> None:
    """Unknown kind, unknown version, and what is no object at all."""
    (decoded,) = decode_documents(text.encode(), "f")
    assert [(problem.code, problem.message) for problem in decoded.problems] == [(code, said)]
    assert decoded.obj is None


def test_a_problem_in_a_list_item_has_the_items_line() -> None:
    """Items of `kind: List` are objects of their own."""
    text = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Service\n  metadata:\n    name: a\n  spec:\n    prots: []\n"
    (problem,) = problems_of(text)
    assert problem.message == 'f.yaml:9: Service a: spec.prots: unknown field; did you mean "ports"?'


def test_a_good_object_beside_a_bad_one_is_decoded() -> None:
    """Objects are judged each for itself; the order of the file is kept."""
    text = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {x: 1}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: b}\n"
    bad, good = decode_documents(text.encode(), "f")
    assert bad.obj is None
    assert good.obj is not None
    assert good.problems == ()


def test_a_secrets_value_is_never_printed() -> None:
    """Neither in problems nor in what a decoded object prints."""
    text = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: 's3cr3t!', b: 424242}\nstringData: {c: 424242}\n"
    (decoded,) = decode_documents(text.encode(), "f")
    assert [problem.path for problem in decoded.problems] == ["data.a", "data.b", "stringData.c"]
    printed = repr(decoded) + repr(decoded.problems)
    assert "s3cr3t" not in printed
    assert "424242" not in printed


def test_an_object_of_the_api_has_no_file() -> None:
    """The sentence begins with the object."""
    obj, (problem,) = decode_object({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"x": 1}})
    assert obj is None
    assert problem.message.startswith("Service a: spec.x: unknown field; known here: ports, selector, ")


def test_a_newer_apis_fields_are_left_out_where_asked() -> None:
    """With `lenient` an unknown field is a warning and the object is decoded; a wrong type is still an error."""
    raw = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a", "newer": 1}, "spec": {"newer": 1, "clusterIP": "None"}}
    obj, problems = decode_object(raw, lenient=True)
    assert obj is not None
    assert {problem.severity for problem in problems} <= {"warning"}
    raw["spec"] = {"newer": 1, "clusterIP": 5}
    obj, problems = decode_object(raw, lenient=True)
    assert obj is None
    assert {problem.severity for problem in problems} == {"warning", "error"}
