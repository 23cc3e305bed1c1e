"""The rules of an AuthorizationPolicy as conditions, for HTTP or for bytes.

What only HTTP has cannot be asked of bytes, and a misspelt address, port or key of nothing: an ALLOW rule with such a field is dropped,
any other action leaves the field out, so that both err towards refusing. Values are exact, `prefix*`, `*suffix` or `*` for any. Must not
know which workload the policy is for.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from msgspec import Struct

from lateen.api import security as api
from lateen.compile.trustdomains import expand_principals
from lateen.model.authz import (
    CLAIMS,
    TOKENS,
    AllOf,
    Always,
    AnyOf,
    AuthzRule,
    Condition,
    Header,
    InRange,
    Match,
    Metadata,
    Not,
    OnPort,
    Path,
    PathTemplate,
    Peer,
    ServerName,
)
from lateen.util import ipnets
from lateen.util.pathtemplates import is_template, template_fault

__all__ = ["RuleContext", "compile_rules", "text_match"]

_PRESENT = Match("regex", ".+")
_EXPERIMENTAL = "experimental."
_CLAIMS, _HEADERS = "request.auth.claims", "request.headers"
_BRACKETS = re.compile(r"\[([^\]]*)\]")
_SPECIAL = re.compile(r"([\\.+*?()|\[\]{}^$])")


class RuleContext(Struct, frozen=True, kw_only=True):
    """For whom rules are compiled. `trust_domains`: the mesh's own and its aliases."""

    namespace: str
    action: str
    tcp: bool = False
    trust_domains: tuple[str, ...] = ("cluster.local",)


class _CannotAsk(Exception):  # noqa: N818 - no error: it ends the compilation of one rule
    """A field that cannot be asked, in a rule that allows."""


_Asked = Condition | None  # None: it cannot be asked
_Maker = Callable[[str], _Asked]
_Group = tuple[Iterable[_Asked], Iterable[_Asked], bool]  # values, not-values, only of HTTP


def compile_rules(rules: Sequence[api.Rule], name: str, context: RuleContext) -> tuple[AuthzRule, ...]:
    """The rules in order, without those that cannot hold; `name` is the policy's, before `-rule[n]`."""
    found = []
    for index, rule in enumerate(rules):
        try:
            found.append(_rule(rule, f"{name}-rule[{index}]", context))
        except _CannotAsk:
            continue
    return tuple(found)


def _rule(rule: api.Rule, name: str, context: RuleContext) -> AuthzRule:
    sources, operations = rule.from_ or (api.From(),), rule.to or (api.To(),)
    asked_of_source = [group for condition in rule.when if (group := _of_source(condition, context)) is not None]
    asked_of_request = [group for condition in rule.when if (group := _of_request(condition, context)) is not None]
    if len(asked_of_source) + len(asked_of_request) < len(rule.when):
        asked_of_source.append(((None,), (), False))  # a key that nobody knows
    return AuthzRule(
        name=name,
        operations=tuple(_all([*_operation(one.operation or api.Operation(), context), *asked_of_request], context) for one in operations),
        sources=tuple(_all([*_source(one.source or api.Source(), context), *asked_of_source], context) for one in sources),
    )


def _all(groups: Iterable[_Group], context: RuleContext) -> Condition:
    conditions: list[Condition] = []
    for values, others, http_only in groups:
        asked, asked_not = tuple(values), tuple(others)
        if http_only and context.tcp:
            asked, asked_not = (None,) * len(asked), (None,) * len(asked_not)
        if context.action == "ALLOW" and (None in asked or None in asked_not):
            raise _CannotAsk
        if wanted := tuple(one for one in asked if one is not None):
            conditions.append(_any(wanted))
        if unwanted := tuple(one for one in asked_not if one is not None):
            conditions.append(Not(_any(unwanted)))
    return AllOf(tuple(conditions) or (Always(),))


def _any(conditions: tuple[Condition, ...]) -> Condition:
    """A value list; what is compound already stands alone."""
    return conditions[0] if len(conditions) == 1 and isinstance(conditions[0], AllOf | Metadata) else AnyOf(conditions)


def _operation(asked: api.Operation, context: RuleContext) -> list[_Group]:
    refusing = context.action == "DENY"
    broken, others_broken = (Always(), Not(Always())) if context.action != "ALLOW" else (Not(Always()), Always())
    return [
        (_hosts(asked.hosts, refusing), _hosts(asked.not_hosts, not refusing), True),
        (_headers(":method", asked.methods), _headers(":method", asked.not_methods), True),
        (_paths(asked.paths, broken), _paths(asked.not_paths, others_broken), True),
        (map(_port, asked.ports), map(_port, asked.not_ports), False),
    ]


def _source(source: api.Source, context: RuleContext) -> list[_Group]:
    def account(text: str) -> Condition:
        return _account(text, context.namespace)

    return [
        (_principals(source.principals, context), _principals(source.not_principals, context), False),
        (map(_token_owner, source.request_principals), map(_token_owner, source.not_request_principals), True),
        (map(account, source.service_accounts), map(account, source.not_service_accounts), False),
        (map(_trust_domain, source.trust_domains), map(_trust_domain, source.not_trust_domains), False),
        (map(_namespace, source.namespaces), map(_namespace, source.not_namespaces), False),
        (_ranges("remote", source.remote_ip_blocks), _ranges("remote", source.not_remote_ip_blocks), False),
        (_ranges("direct", source.ip_blocks), _ranges("direct", source.not_ip_blocks), False),
    ]


def _of_source(condition: api.Condition, context: RuleContext) -> _Group | None:
    """What `when` asks of the caller; None for what it asks of the request's way here."""
    key, values, others = condition.key, condition.values, condition.not_values
    if key in {"source.ip", "remote.ip"}:
        whose: Literal["direct", "remote"] = "direct" if key == "source.ip" else "remote"
        return _ranges(whose, values), _ranges(whose, others), False
    if key == "source.principal":
        return _principals(values, context), _principals(others, context), False
    plain: dict[str, _Maker] = {
        "source.namespace": _namespace,
        "source.serviceAccount": lambda text: _account(text, context.namespace),
        "source.trustDomain": _trust_domain,
    }
    if key in plain:
        return map(plain[key], values), map(plain[key], others), False
    return _of_token(key, values, others)


def _of_token(key: str, values: tuple[str, ...], others: tuple[str, ...]) -> _Group | None:
    if key.startswith(_HEADERS):
        name = key.removeprefix(_HEADERS)[1:-1]
        return _headers(name, values), _headers(name, others), True
    if key == "request.auth.principal":
        return map(_token_owner, values), map(_token_owner, others), True
    claim = {"request.auth.audiences": ("aud",), "request.auth.presenter": ("azp",)}.get(key)
    if claim is None and key.startswith(_CLAIMS):
        claim = tuple(_BRACKETS.findall(key.removeprefix(_CLAIMS)))
    return (_claim(claim, values), _claim(claim, others), True) if claim else None


def _of_request(condition: api.Condition, _context: RuleContext) -> _Group | None:
    key, values, others = condition.key, condition.values, condition.not_values
    if key == "destination.ip":
        return _ranges("destination", values), _ranges("destination", others), False
    if key == "destination.port":
        return map(_port, values), map(_port, others), False
    if key == "connection.sni":
        return map(_server_name, values), map(_server_name, others), False
    if key.startswith(_EXPERIMENTAL):
        return _found_out(key, values), _found_out(key, others), False
    return None


def text_match(text: str, *, ignore_case: bool = False) -> Match:
    """`*`, `prefix*`, `*suffix` or the text itself."""
    if text == "*":
        return _PRESENT
    if text.startswith("*"):
        return Match("suffix", text[1:], ignore_case)
    if text.endswith("*"):
        return Match("prefix", text[:-1], ignore_case)
    return Match("exact", text, ignore_case)


def _quoted(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)


def _headers(name: str, values: Iterable[str]) -> Iterable[Condition]:
    return tuple(Header(name, Match("present") if value == "*" else text_match(value)) for value in values)


def _hosts(values: Iterable[str], refusing: bool) -> Iterable[Condition]:  # noqa: FBT001 - read at two calls, side by side
    """A host that is refused is refused under its other spellings as well: with a port, the root's dot, twice (docs/decisions/013)."""
    for value in values:
        yield Header(":authority", Match("present") if value == "*" else text_match(value, ignore_case=True))
        if refusing and not value.endswith("*"):
            any_name = "[^,]*" if value.startswith("*") else ""
            yield Header(":authority", Match("regex", rf"(?i)(.*,)?{any_name}{_quoted(value.removeprefix('*'))}\.?(:[0-9]+)?(,.*)?"))


def _paths(values: Iterable[str], broken: Condition) -> Iterable[Condition]:
    """`broken` stands for templates that Envoy does not survive, so that the rule errs towards refusing."""
    for value in values:
        if not is_template(value):
            yield Path(text_match(value))
        else:
            yield PathTemplate(value.replace("{**}", "**").replace("{*}", "*")) if not template_fault(value) else broken


def _port(value: str) -> _Asked:
    return OnPort(int(value)) if value.isascii() and value.isdigit() else None


def _ranges(whose: Literal["destination", "direct", "remote"], values: Iterable[str]) -> Iterable[_Asked]:
    for value in values:
        try:
            yield InRange(whose, *ipnets.prefix(value))
        except ValueError:
            yield None


def _server_name(value: str) -> Condition:
    return ServerName(text_match(value))


def _principals(values: Iterable[str], context: RuleContext) -> Iterable[Condition]:
    for value in expand_principals(values, context.trust_domains):
        if value == "*":
            yield Peer(_PRESENT)
        elif value.startswith("*"):
            yield Peer(Match("regex", f"spiffe://.*{_quoted(value[1:])}"))
        else:
            match = text_match(value)
            yield Peer(Match(match.kind, f"spiffe://{match.text}"))


def _account(value: str, own: str) -> Condition:
    namespace, _, name = value.rpartition("/")
    return Peer(Match("regex", f"spiffe://.+/ns/{_quoted(namespace or own)}/(.+/|)sa/{_quoted(name)}(/.+)?"))


def _namespace(value: str) -> Condition:
    return Peer(Match("regex", f".*/ns/{_quoted(value).replace(chr(92) + '*', '.*')}/.*"))


def _trust_domain(value: str) -> Condition:
    if value == "*":
        return Peer(_PRESENT)
    if value.startswith("*"):
        return Peer(Match("regex", f"spiffe://[^/]*{_quoted(value[1:])}/.*"))
    return Peer(Match("prefix", f"spiffe://{value[:-1]}" if value.endswith("*") else f"spiffe://{value}/"))


def _token_owner(value: str) -> Condition:
    """`<issuer>/<subject>`, told apart at the last slash: an issuer is an address, often one that ends in a slash itself.

    A wildcard stands at one end of the whole value, so only the part at that end has it.
    """
    issuer_text, slash, subject_text = value.rpartition("/")
    if value == "*":
        issuer, subject = _PRESENT, _PRESENT
    elif value.startswith("*"):
        issuer = text_match(issuer_text) if slash else _PRESENT
        subject = Match("exact", subject_text) if slash else text_match(value)
    elif value.endswith("*"):
        issuer = Match("exact", issuer_text) if slash else text_match(value)
        subject = text_match(subject_text) if slash else _PRESENT
    else:
        issuer = Match("exact", issuer_text if slash else value)
        subject = Match("exact", subject_text if slash else "")
    return AllOf((Metadata(TOKENS, (CLAIMS, "iss"), (issuer,)), Metadata(TOKENS, (CLAIMS, "sub"), (subject,))))


def _claim(path: tuple[str, ...], values: Iterable[str]) -> Iterable[Condition]:
    matches = tuple(text_match(value) for value in values)
    return (Metadata(TOKENS, (CLAIMS, *path), matches, lists=True),) if matches else ()


def _found_out(key: str, values: Iterable[str]) -> Iterable[Condition]:
    """`experimental.envoy.filters.<filter>[<key>]`; a value in brackets is asked of a list's elements."""
    name, _, path = key.removeprefix(_EXPERIMENTAL).partition("[")
    values = tuple(values)
    lists = bool(values) and all(value.startswith("[") and value.endswith("]") for value in values)
    matches = tuple(text_match(value[1:-1] if lists else value) for value in values)
    return (Metadata(name, (path.removesuffix("]"),), matches, lists=lists),) if matches else ()
