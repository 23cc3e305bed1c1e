"""What a workload's authorization says of one request or connection: which rule decides, without any proxy.

Reads the same plan that the proxy's rules are printed from, in the order in which they are asked. What the request does not tell (a
claim, an address) is absent, as it would be for the proxy. Must not know policies, only rules by name.
"""

from collections.abc import Mapping
from typing import Literal

import re2
from msgspec import Struct

from lateen.model.authz import (
    ASKED_PREFIX,
    CLAIMS,
    TOKENS,
    AllOf,
    Always,
    AnyOf,
    AuthzPlan,
    AuthzRule,
    AuthzStep,
    Condition,
    ExtAuthzPlan,
    Header,
    InRange,
    Match,
    Metadata,
    Not,
    OnPort,
    Path,
    PathTemplate,
    Peer,
    RbacPlan,
    ServerName,
)
from lateen.util import ipnets

__all__ = ["Asked", "Verdict", "authorize"]


class Asked(Struct, frozen=True, kw_only=True):
    """A request, or with `bytes` a connection. `headers` have lower-case names; `claims` are the token's, {} without a good one."""

    bytes: bool = False
    method: str = "GET"
    path: str = "/"
    host: str = ""
    headers: Mapping[str, str] = {}
    peer: str = ""  # SPIFFE URI; "" in plain text
    claims: Mapping[str, object] = {}
    source: str = ""  # addresses
    remote: str = ""
    destination: str = ""
    port: int = 0
    server_name: str = ""


class Verdict(Struct, frozen=True):
    """`rule` is the one that decided: "" where no rule of those that let in matched, or where there are none."""

    outcome: Literal["allowed", "refused", "asked"]
    rule: str = ""


def authorize(plan: AuthzPlan | None, asked: Asked) -> Verdict:
    """The first refusal in order; a service that would be asked is told where nothing else refuses."""
    if plan is None:
        return Verdict("allowed")
    service = Verdict("allowed")
    last = Verdict("allowed")
    for step in plan.tcp if asked.bytes else (*plan.custom, *plan.rules):
        found = _step(step, asked)
        if isinstance(step, RbacPlan) and step.rules is None and found.rule:
            service = Verdict("asked", found.rule)
        elif found.outcome == "refused":
            return found
        elif isinstance(step, RbacPlan) and step.rules is not None:
            last = found
    return service if service.outcome == "asked" else last


def _step(step: AuthzStep, asked: Asked) -> Verdict:
    if isinstance(step, ExtAuthzPlan):
        return Verdict("allowed")
    if step.rules is None:  # what a service is asked about; rules that are tried have another prefix
        first = _first(step.shadow.rules, asked) if step.shadow is not None and step.shadow_prefix == ASKED_PREFIX else ""
        return Verdict("allowed", first)
    first = _first(step.rules.rules, asked)
    if step.rules.action == "ALLOW":
        return Verdict("allowed", first) if first else Verdict("refused")
    return Verdict("refused", first) if first and step.rules.action == "DENY" else Verdict("allowed")


def _first(rules: tuple[AuthzRule, ...], asked: Asked) -> str:
    """The name of the first that matches; Envoy asks them in the order of their names."""
    for rule in sorted(rules, key=lambda one: one.name):
        if any(_holds(one, asked) for one in rule.operations) and any(_holds(one, asked) for one in rule.sources):
            return rule.name
    return ""


def _holds(condition: Condition, asked: Asked) -> bool:
    match condition:
        case AllOf(conditions):
            return all(_holds(one, asked) for one in conditions)
        case AnyOf(conditions):
            return any(_holds(one, asked) for one in conditions)
        case Not(inner):
            return not _holds(inner, asked)
        case Always():
            return True
        case InRange(whose, address, length):
            return _in_range({"direct": asked.source, "remote": asked.remote, "destination": asked.destination}[whose], address, length)
        case OnPort(number):
            return asked.port == number
        case Metadata():
            return _told(condition, asked)
        case _:
            return _text_holds(condition, asked)


def _text_holds(condition: Condition, asked: Asked) -> bool:
    match condition:
        case Header(name, match):
            value = {":method": asked.method, ":path": asked.path, ":authority": asked.host}.get(name, asked.headers.get(name.lower()))
            return value is not None and (match.kind == "present" or _matches(match, value))
        case Path(match):
            return _matches(match, asked.path.partition("?")[0])
        case PathTemplate(template):
            return _fits(template, asked.path.partition("?")[0])
        case Peer(match):
            return bool(asked.peer) and _matches(match, asked.peer)
        case ServerName(match):
            return _matches(match, asked.server_name)
    raise TypeError(f"{condition} is no condition")


def _matches(match: Match, text: str) -> bool:
    wanted, text = (match.text.lower(), text.lower()) if match.ignore_case else (match.text, text)
    if match.kind == "regex":
        return re2.fullmatch(match.text, text) is not None
    return {
        "exact": text == wanted,
        "prefix": text.startswith(wanted),
        "suffix": text.endswith(wanted),
        "present": text != "",
    }[match.kind]


def _fits(template: str, path: str) -> bool:
    parts = ["[^/]+" if part == "*" else ".*" if part == "**" else re2.escape(part) for part in template.split("/")]
    return re2.fullmatch("/".join(parts), path) is not None


def _in_range(address: str, network: str, length: int) -> bool:
    return ipnets.is_address(address) and ipnets.contains(f"{network}/{length}", address)


def _told(condition: Metadata, asked: Asked) -> bool:
    """Of other filters' findings only a token's are known here."""
    if condition.filter != TOKENS or condition.path[:1] != (CLAIMS,):
        return False
    value: object = asked.claims
    for name in condition.path[1:]:
        value = value.get(name) if isinstance(value, Mapping) else None
    values = value if isinstance(value, list) and condition.lists else [value]
    return any(isinstance(one, str) and _matches(match, one) for one in values for match in condition.matches)
