"""`lateen authz`: rules in words, and refusals explained from Envoy's own details."""

import pytest
from click import UsageError

from lateen.api.decode import decode_documents
from lateen.api.security import AuthorizationPolicy
from lateen.cli.authz import asked_of, explain, judged, rows_of, told

POLICIES = b"""
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: let, namespace: default}
spec:
  rules:
    - from: [{source: {serviceAccounts: [sleep, curl]}}]
      to: [{operation: {methods: [GET], notPaths: [/admin]}}]
      when: [{key: "request.headers[x]", values: [a], notValues: [b]}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: refuse, namespace: istio-system}
spec: {action: DENY, rules: [{}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: tried, namespace: default, annotations: {istio.io/dry-run: "true"}}
spec: {}
"""


def policies() -> list[AuthorizationPolicy]:
    return [one.obj for one in decode_documents(POLICIES, "test") if isinstance(one.obj, AuthorizationPolicy)]


def test_rules_are_listed_as_they_are_asked() -> None:
    """DENY first, then ALLOW; each rule in words."""
    assert list(rows_of(policies())) == [
        ("DENY", "istio-system/refuse", "0", "everything"),
        (
            "ALLOW",
            "default/let",
            "0",
            "from service accounts sleep|curl, to methods GET and not paths /admin, when request.headers[x] a but not b",
        ),
        ("ALLOW (dry run)", "default/tried", "-", "nothing"),
    ]


def test_a_refusal_names_policy_and_rule() -> None:
    """From the response code details: the rule, that none let it in, or the authorizer; other lines say nothing."""
    known = policies()
    denied = "rbac_access_denied_matched_policy[ns[istio-system]-policy[refuse]-rule[0]]"
    assert explain(denied, known) == "DENY policy istio-system/refuse, rule 0: everything"
    assert "no rule lets it in (ALLOW: default/let" in explain("rbac_access_denied_matched_policy[none]", known)
    assert "gone by now" in explain("rbac_access_denied_matched_policy[ns[a]-policy[b]-rule[3]]", known)
    assert "CUSTOM" in explain("ext_authz_denied", known)
    line = f'[2026-01-01T00:00:00.000Z] "GET /admin HTTP/1.1" 403 - {denied} - "-" 0 19'
    assert list(told([line, '"GET / HTTP/1.1" 200 - via_upstream'], known)) == [
        "GET /admin HTTP/1.1: DENY policy istio-system/refuse, rule 0: everything"
    ]


def judge(**options: object) -> str:
    """The sentence about a request from default/sleep, but for what `options` say otherwise."""
    plain = {
        "method": "GET",
        "path": "/",
        "host": "",
        "headers": ("x:a",),
        "caller": "default/sleep",
        "claims": "",
        "source": "",
        "port": 0,
    }
    asked = asked_of(**{**plain, **options}, domain="td")  # type: ignore[arg-type]  # options by name
    let, refuse, tried = policies()
    known = [let, tried] if options.get("path") != "/shut" else [let, refuse, tried]
    return judged(asked, known, ("td", "old"))


def test_a_described_request_is_judged_by_the_same_rules() -> None:
    """Who lets it in, who refuses it, and that nobody does; a rule of HTTP lets in no connection of bytes."""
    let_in = "let in by ALLOW policy default/let, rule 0: from service accounts sleep|curl"
    assert judge().startswith(let_in)
    assert judge(caller="default/curl", path="/a?b=c").startswith(let_in)
    assert judge(path="/shut") == "refused: DENY policy istio-system/refuse, rule 0: everything"
    for other in (
        {"path": "/admin"},
        {"method": "post"},
        {"headers": ("X: b",)},
        {"headers": ()},
        {"caller": ""},
        {"caller": "other/sleep"},
    ):
        assert judge(**other).startswith("refused: no rule lets it in"), other
    assert judge(path="", port=80).startswith("refused: no rule lets it in")
    for wrong in ({"caller": "sleep"}, {"headers": ("x",)}, {"claims": "[]"}, {"claims": "{"}):
        with pytest.raises(UsageError):
            judge(**wrong)
