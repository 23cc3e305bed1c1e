"""PeerAuthentication and RequestAuthentication."""

import json
import re
from urllib.parse import urlsplit

from lateen.api.security import JWTRule, PeerAuthentication, RequestAuthentication
from lateen.api.validate.authorization import DRY_RUN
from lateen.api.validate.names import check_port, check_selector
from lateen.api.validate.report import Report
from lateen.api.validate.targets import check_targets
from lateen.util import durations

__all__ = ["check_peer_authentication", "check_request_authentication"]

_HEADER = re.compile(r"[-_A-Za-z0-9]+")
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})  # members of a key that nobody else may have


def check_peer_authentication(report: Report, policy: PeerAuthentication) -> None:
    """All of one policy."""
    spec, at = policy.spec, report.at("spec")
    check_selector(at.at("selector"), spec.selector)
    labelled = spec.selector is not None and bool(spec.selector.match_labels)
    if spec.port_level_mtls and not labelled:
        at.at("selector").error("portLevelMtls requires selector: ports are those of a workload")
    for port in spec.port_level_mtls:
        check_port(at.at("portLevelMtls", str(port)), port)


def check_request_authentication(report: Report, policy: RequestAuthentication) -> None:
    """All of one policy."""
    spec, at = policy.spec, report.at("spec")
    check_targets(at, spec.selector, spec.target_refs, spec.target_ref)
    if policy.metadata.annotations.get(DRY_RUN) == "true":
        report.at("metadata", "annotations", DRY_RUN).error("RequestAuthentication has no dry run")
    for index, rule in enumerate(spec.jwt_rules):
        _rule(at.at("jwtRules", index), rule)


def _rule(report: Report, rule: JWTRule) -> None:
    if not rule.issuer:
        report.at("issuer").error("an issuer is required: the value of the token's iss claim")
    if rule.jwks_uri and (said := _no_address(rule.jwks_uri)):
        report.at("jwksUri").error(said)
    if rule.jwks:
        _keys(report.at("jwks"), rule.jwks)
        if rule.jwks_uri:
            report.at("jwksUri").error("only one of jwks and jwksUri can be set")
    _lists(report, rule)
    if rule.timeout is not None and durations.parse(rule.timeout) < durations.SECOND // 1000:
        report.at("timeout").error(f"{rule.timeout}: must be a valid duration greater than 1ms")


def _lists(report: Report, rule: JWTRule) -> None:
    for field, values in (
        ("audiences", rule.audiences),
        ("fromParams", rule.from_params),
        ("fromCookies", rule.from_cookies),
        ("spaceDelimitedClaims", rule.space_delimited_claims),
    ):
        for index, value in enumerate(values):
            if not value:
                report.at(field, index).error(f"{field}[{index}] in body should be at least 1 chars long: it is empty")
    for index, header in enumerate(rule.from_headers):
        if not header.name:
            report.at("fromHeaders", index, "name").error("a header needs a name")
    for index, each in enumerate(rule.output_claim_to_headers):
        where = report.at("outputClaimToHeaders", index)
        if not each.claim or not each.header:
            where.error("a claim and the header it goes to are both required")
        elif not _HEADER.fullmatch(each.header):
            where.at("header").error(f'"{each.header}" is not a name of a header: letters, digits, "-" and "_"')


def _no_address(text: str) -> str:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        return f'"{text}" is not an address: {error}'
    if parts.scheme not in {"http", "https"}:
        return f'"{text}": url must have scheme http:// or https://'
    return "" if parts.hostname else f'"{text}" names no host'


def _keys(report: Report, text: str) -> None:
    try:
        keys = json.loads(text)["keys"]
        members = [set(key) for key in keys]
    except (ValueError, KeyError, TypeError):
        report.error('not a set of keys: write a JSON object with the list "keys" (RFC 7517)')
        return
    if not all(isinstance(key, dict) and isinstance(key.get("kty"), str) for key in keys):
        report.error('not a set of keys: each needs "kty" (RFC 7517)')
    elif any(each & _PRIVATE for each in members):
        report.warn(
            "a key in it is private: everybody who reads this object can make tokens; write the public part only, and make a new key"
        )
