"""Rules of AuthorizationPolicies, value by value."""

import json

import pytest

from lateen.api.decode import decode_message
from lateen.api.security import Rule
from lateen.compile.authzrules import RuleContext, compile_rules
from lateen.model.authz import AllOf, AnyOf, AuthzRule, Condition, Match, Metadata, OnPort


def rules_of(raw: object, action: str = "ALLOW") -> tuple[AuthzRule, ...]:
    """What one rule compiles to for HTTP."""
    rule, problems = decode_message(json.dumps(raw).encode(), Rule, "test")
    assert rule is not None and not problems
    return compile_rules((rule,), "p", RuleContext(namespace="default", action=action))


def owner_of(principal: str) -> tuple[Match, Match]:
    """Issuer and subject that a `requestPrincipals` value asks for."""
    (rule,) = rules_of({"from": [{"source": {"requestPrincipals": [principal]}}]})
    (source,) = rule.sources
    found: list[Match] = []
    pending: list[Condition] = [source]
    while pending:
        one = pending.pop(0)
        if isinstance(one, AllOf | AnyOf):
            pending[:0] = one.conditions
        elif isinstance(one, Metadata):
            found += one.matches
    issuer, subject = found
    return issuer, subject


ANY = Match("regex", ".+")


@pytest.mark.parametrize(
    ("principal", "issuer", "subject"),
    [
        ("https://shop.example/alice", Match("exact", "https://shop.example"), Match("exact", "alice")),
        ("https://shop.example//alice", Match("exact", "https://shop.example/"), Match("exact", "alice")),
        ("https://shop.example//*", Match("exact", "https://shop.example/"), ANY),
        ("https://shop.example/a*", Match("exact", "https://shop.example"), Match("prefix", "a")),
        ("*.example/alice", Match("suffix", ".example"), Match("exact", "alice")),
        ("*/alice", ANY, Match("exact", "alice")),
        ("*alice", ANY, Match("suffix", "alice")),
        ("shop*", Match("prefix", "shop"), ANY),
        ("*", ANY, ANY),
    ],
)
def test_a_request_principal_is_told_apart_at_its_last_slash(principal: str, issuer: Match, subject: Match) -> None:
    """An issuer may end in a slash itself, as those of Auth0 do."""
    assert owner_of(principal) == (issuer, subject)


UNASKABLE = [
    {"from": [{"source": {"notIpBlocks": ["10.0.0.256"]}}]},
    {"to": [{"operation": {"notPorts": ["http"]}}]},
    {"when": [{"key": "request.auth.claim[group]", "values": ["admin"]}]},
    {"when": [{"key": "request.auth.claims", "values": ["admin"]}]},
]


@pytest.mark.parametrize("rule", UNASKABLE)
def test_a_rule_that_allows_by_what_cannot_be_asked_is_left_out(rule: object) -> None:
    """Left in without the field it would allow more than was meant."""
    assert rules_of(rule) == ()


def test_a_rule_that_denies_leaves_out_what_cannot_be_asked() -> None:
    """The other values stay."""
    (rule,) = rules_of({"to": [{"operation": {"ports": ["http", "80"]}}]}, "DENY")
    assert rule.operations == (AllOf((AnyOf((OnPort(80),)),)),)
