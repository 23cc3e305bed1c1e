"""AuthorizationPolicy: which policies cannot mean what their writer wants."""

import re
from collections.abc import Callable, Sequence

from lateen.api.security import AuthorizationPolicy, Condition, From, Operation, Rule, Source, To
from lateen.api.validate.report import Report
from lateen.api.validate.targets import check_targets
from lateen.util import ipnets
from lateen.util.pathtemplates import template_fault

__all__ = ["check_authorization_policy"]

DRY_RUN = "istio.io/dry-run"
_MOST_RULES, _MOST_ACCOUNTS = 512, 16
_ATTRIBUTES = frozenset(
    {
        "source.ip",
        "remote.ip",
        "source.namespace",
        "source.principal",
        "source.serviceAccount",
        "source.trustDomain",
        "request.auth.principal",
        "request.auth.audiences",
        "request.auth.presenter",
        "destination.ip",
        "destination.port",
        "connection.sni",
    }
)
_KEYED = re.compile(r"(request\.headers\[[^\]]+\]|request\.auth\.claims(\[[^\]]+\])+|experimental\.envoy\.filters\.[^\[]+(\[.+\])?)")
# A provider is asked before a token or a peer is known by these means.
_NOT_FOR_CUSTOM = ("namespaces", "principals", "request_principals", "service_accounts", "trust_domains")
_KEYS_NOT_FOR_CUSTOM = ("source.namespace", "source.principal", "source.serviceAccount", "source.trustDomain", "request.auth.")


def check_authorization_policy(report: Report, policy: AuthorizationPolicy) -> None:
    """All of one policy."""
    spec, at = policy.spec, report.at("spec")
    check_targets(at, spec.selector, spec.target_refs, spec.target_ref)
    if spec.action == "CUSTOM":
        if spec.provider is None or not spec.provider.name:
            at.at("provider", "name").error("action CUSTOM needs the name of an extension provider")
        if not spec.rules:
            at.at("rules").error("action CUSTOM without rules asks for nothing; one empty rule asks for every request")
    elif spec.provider is not None:
        at.at("provider").error(f"a provider is for action CUSTOM only; the action is {spec.action}")
    if spec.action == "DENY" and not spec.rules:
        at.at("rules").error("action DENY without rules denies nothing; write one rule that is empty to deny everything")
    if policy.metadata.annotations.get(DRY_RUN) == "true" and spec.action not in {"ALLOW", "DENY"}:
        report.at("metadata", "annotations", DRY_RUN).error(f"a dry run is for ALLOW and DENY; the action is {spec.action}")
    if len(spec.rules) > _MOST_RULES:
        at.at("rules").error(f"{len(spec.rules)} rules are more than {_MOST_RULES}")
    for index, rule in enumerate(spec.rules):
        _rule(at.at("rules", index), rule, spec.action)


def _rule(report: Report, rule: Rule, action: str) -> None:
    if rule.from_ is not None and not rule.from_:
        report.at("from").error("the list is empty, so nothing matches; leave it out to match every caller")
    if rule.to is not None and not rule.to:
        report.at("to").error("the list is empty, so nothing matches; leave it out to match every request")
    for index, source in enumerate(rule.from_ or ()):
        _from(report.at("from", index, "source"), source, action)
    for index, operation in enumerate(rule.to or ()):
        _to(report.at("to", index, "operation"), operation, action)
    for index, condition in enumerate(rule.when):
        _when(report.at("when", index), condition, action)


def _from(report: Report, given: From, action: str) -> None:
    source = given.source
    if source is None or source == Source():
        report.error("a source without any field matches nothing; leave `from` out to match every caller")
        return
    if (source.service_accounts or source.not_service_accounts) and (
        source.principals or source.not_principals or source.namespaces or source.not_namespaces
    ):
        report.error("Cannot set serviceAccounts with namespaces or principals: they say the same in two ways; write two sources")
    for name, json_name in _LISTS:
        values = getattr(source, name)
        _filled(report.at(json_name), values)
        if action == "CUSTOM" and values and name.removeprefix("not_") in _NOT_FOR_CUSTOM:
            report.at(json_name).error("action CUSTOM is decided before the caller's identity is known; use DENY or ALLOW for it")
    for name, json_name in (("service_accounts", "serviceAccounts"), ("not_service_accounts", "notServiceAccounts")):
        _accounts(report.at(json_name), getattr(source, name))
    for name, json_name in _BLOCKS:
        _each(report.at(json_name), getattr(source, name), _is_range, "an address or a range, such as 10.1.2.3 or 10.0.0.0/8")
    if action == "DENY" and (source.request_principals or source.not_request_principals):
        _http_only(report)


_LISTS = (
    ("principals", "principals"),
    ("not_principals", "notPrincipals"),
    ("request_principals", "requestPrincipals"),
    ("not_request_principals", "notRequestPrincipals"),
    ("namespaces", "namespaces"),
    ("not_namespaces", "notNamespaces"),
    ("service_accounts", "serviceAccounts"),
    ("not_service_accounts", "notServiceAccounts"),
    ("trust_domains", "trustDomains"),
    ("not_trust_domains", "notTrustDomains"),
)
_BLOCKS = (
    ("ip_blocks", "ipBlocks"),
    ("not_ip_blocks", "notIpBlocks"),
    ("remote_ip_blocks", "remoteIpBlocks"),
    ("not_remote_ip_blocks", "notRemoteIpBlocks"),
)
_OPERATIONS = (
    ("hosts", "hosts"),
    ("not_hosts", "notHosts"),
    ("methods", "methods"),
    ("not_methods", "notMethods"),
    ("paths", "paths"),
    ("not_paths", "notPaths"),
)


def _to(report: Report, given: To, action: str) -> None:
    operation = given.operation
    if operation is None or operation == Operation():
        report.error("an operation without any field matches nothing; leave `to` out to match every request")
        return
    for name, json_name in _OPERATIONS:
        _filled(report.at(json_name), getattr(operation, name))
    for name, json_name in (("ports", "ports"), ("not_ports", "notPorts")):
        _each(report.at(json_name), getattr(operation, name), _is_port, "a port's number, from 1 to 65535")
    for json_name, paths in (("paths", operation.paths), ("notPaths", operation.not_paths)):
        for index, path in enumerate(paths):
            if ("{" in path or "}" in path) and (fault := template_fault(path)):
                report.at(json_name).at(index).error(f'"{path}" is no template of paths: it {fault}')
    ports = operation.ports or operation.not_ports
    if action == "DENY" and not ports and any(getattr(operation, name) for name, _ in _OPERATIONS):
        _http_only(report)


def _when(report: Report, condition: Condition, action: str) -> None:
    key = condition.key
    if not key:
        report.at("key").error("a condition needs the attribute it is about, such as request.headers[x-user]")
    elif key not in _ATTRIBUTES and not _KEYED.fullmatch(key):
        report.at("key").error(
            f'"{key}" is no attribute; known are {", ".join(sorted(_ATTRIBUTES))}, request.headers[..] and request.auth.claims[..]'
        )
    if not condition.values and not condition.not_values:
        report.error("a condition needs values or notValues")
    if action == "CUSTOM" and key.startswith(_KEYS_NOT_FOR_CUSTOM):
        report.at("key").error("action CUSTOM is decided before the caller's identity is known; use DENY or ALLOW for it")
    for field, values in (("values", condition.values), ("notValues", condition.not_values)):
        where = report.at(field)
        if key in {"source.ip", "remote.ip", "destination.ip"}:
            _each(where, values, _is_range, "an address or a range, such as 10.1.2.3 or 10.0.0.0/8")
        elif key == "destination.port":
            _each(where, values, _is_port, "a port's number, from 1 to 65535")
        elif key == "source.serviceAccount":
            _accounts(where, values)
        else:
            _filled(where, values)
    if action == "DENY" and key.startswith("request."):
        _http_only(report)


def _http_only(report: Report) -> None:
    report.warn(
        "what is asked of HTTP does not exist for TCP, so action DENY denies all TCP connections of the workload; name ports as well"
    )


def _filled(report: Report, values: Sequence[str]) -> None:
    for index, value in enumerate(values):
        if not value:
            report.at(index).error("the value is empty, which nothing equals")


def _each(report: Report, values: Sequence[str], right: Callable[[str], bool], expected: str) -> None:
    for index, value in enumerate(values):
        if not right(value):
            report.at(index).error(f'"{value}" is not {expected}')


def _accounts(report: Report, values: Sequence[str]) -> None:
    if len(values) > _MOST_ACCOUNTS:
        report.error(f"{len(values)} service accounts are more than {_MOST_ACCOUNTS}")
    for index, value in enumerate(values):
        if not value or value.count("/") > 1 or not all(value.split("/")) or "*" in value:
            report.at(index).error(f'"{value}" is not a service account: write name or namespace/name, without wildcards')


def _is_range(text: str) -> bool:
    try:
        ipnets.parse(text)
    except ValueError:
        return False
    return True


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) <= 65535
