"""`lateen authz`: which rules count for a pod, and which of them refused a request.

Both say what the objects say, read at that moment; Envoy's own words (`RESPONSE_CODE_DETAILS` in the access log) name policy and rule.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import click
from msgspec.structs import asdict

from lateen.api.decode import decode_object
from lateen.api.kinds import info_of
from lateen.api.security import AuthorizationPolicy, Rule
from lateen.cli.access import fail, kubeconfig_option, namespace_option, with_client
from lateen.cli.tables import print_rows
from lateen.compile.authn import selector_of
from lateen.compile.authz import is_dry_run
from lateen.compile.security import Subject, counting
from lateen.kube.records import JsonObject, section
from lateen.sources.kubeclient import KubeClient
from lateen.util.selectors import matches

__all__ = ["authz", "explain", "rows_of", "told"]

_ROOT = "istio-system"
_GATEWAY = "gateway.networking.k8s.io/gateway-name"
_ORDER = ("CUSTOM", "AUDIT", "DENY", "ALLOW")
_REFUSED = re.compile(r"rbac_access_denied_matched_policy\[(none|\S*?ns\[([^\]]*)\]-policy\[([^\]]*)\]-rule\[(\d+)\]\S*?)\]")
_REQUEST = re.compile(r'"([A-Z]+ [^"]*)"')
_ASKED = "ext_authz_denied"
_TAIL = 1000


@click.group()
def authz() -> None:
    """Who may call a pod, and why a call was refused."""


@authz.command()
@click.argument("pod")
@namespace_option
@kubeconfig_option
def check(pod: str, namespace: str, kubeconfig: Path | None) -> None:
    """List the rules that count for POD, in the order in which they are asked."""

    async def work(client: KubeClient) -> int:
        policies, _ = await _of_pod(client, pod.removeprefix("pod/"), namespace or "default")
        if not policies:
            click.echo("No AuthorizationPolicy counts for this pod: every caller is let in.")
            return 0
        print_rows([("ACTION", "POLICY", "RULE", "WHAT IT MATCHES"), *rows_of(policies)])
        if any(one.spec.action == "ALLOW" and not is_dry_run(one) for one in policies):
            click.echo("What no ALLOW rule matches is refused.")
        return 0

    with_client(kubeconfig, work)


@authz.command()
@click.argument("pod")
@namespace_option
@kubeconfig_option
def why(pod: str, namespace: str, kubeconfig: Path | None) -> None:
    """Name the policy and rule of each request that POD refused, from its access log."""

    async def work(client: KubeClient) -> int:
        name, place = pod.removeprefix("pod/"), namespace or "default"
        policies, container = await _of_pod(client, name, place)
        text = b"".join([chunk async for chunk in client.logs(place, name, container, follow=False, tail=_TAIL)])
        found = list(told(text.decode(errors="replace").splitlines(), policies))
        for line in found:
            click.echo(line)
        if not found:
            click.echo(
                f"No refused request in the last {_TAIL} lines of its access log (MeshConfig accessLogFile switches it on).", err=True
            )
        return 0

    with_client(kubeconfig, work)


async def _of_pod(client: KubeClient, name: str, namespace: str) -> tuple[tuple[AuthorizationPolicy, ...], str]:
    """The policies that count for a pod, and its container with the access log."""
    pod = await client.get(info_of("Pod"), name, namespace)
    containers = [one.get("name") for one in _dicts(section(pod, "spec").get("containers"))]
    labels = {str(key): str(value) for key, value in section(section(pod, "metadata"), "labels").items()}
    listed = await client.list(info_of("AuthorizationPolicy"))
    policies = [obj for one in listed.items if isinstance(obj := decode_object(one, lenient=True)[0], AuthorizationPolicy)]
    selectors = tuple(selector for one in policies if (selector := selector_of(one)) and matches(selector, labels))
    gateway = labels.get(_GATEWAY, "") if not containers or containers == ["istio-proxy"] else None
    subject = Subject(namespace=namespace, selectors=selectors, gateway=gateway)
    if not containers:
        fail(f"lateen: pod {namespace}/{name} has no containers", 1)
    return counting(policies, subject, _ROOT), "istio-proxy"


def _dicts(value: object) -> list[JsonObject]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def rows_of(policies: Iterable[AuthorizationPolicy]) -> Iterator[tuple[str, str, str, str]]:
    """A row for each rule, in the order in which Envoy asks."""
    for policy in sorted(policies, key=lambda one: _ORDER.index(one.spec.action)):
        spec, meta = policy.spec, policy.metadata
        action = f"{spec.action} (dry run)" if is_dry_run(policy) else spec.action
        name = f"{meta.namespace}/{meta.name}"
        if not spec.rules:
            yield action, name, "-", "nothing"
        for index, rule in enumerate(spec.rules):
            yield action, name, str(index), _words(rule)


def _words(rule: Rule) -> str:
    sources = " or ".join(_fields(asdict(one.source)) for one in rule.from_ or () if one.source is not None)
    asked = " or ".join(_fields(asdict(one.operation)) for one in rule.to or () if one.operation is not None)
    conditions = [f"{one.key} {_values(one.values)}{_without(one.not_values)}" for one in rule.when]
    parts = [f"from {sources}" if sources else "", f"to {asked}" if asked else "", *(f"when {one}" for one in conditions)]
    return ", ".join(part for part in parts if part) or "everything"


def _fields(values: Mapping[str, Sequence[str]]) -> str:
    return " and ".join(f"{name.replace('_', ' ')} {_values(listed)}" for name, listed in values.items() if listed)


def _values(values: Sequence[str]) -> str:
    return "|".join(values)


def _without(values: Sequence[str]) -> str:
    return f" but not {_values(values)}" if values else ""


def told(lines: Iterable[str], policies: Sequence[AuthorizationPolicy]) -> Iterator[str]:
    """A sentence for each line of an access log that tells of a refusal."""
    for line in lines:
        reason = explain(line, policies)
        if reason:
            request = _REQUEST.search(line)
            yield f"{request[1] if request else 'A connection'}: {reason}"


def explain(details: str, policies: Sequence[AuthorizationPolicy]) -> str:
    """Why a request was refused, from Envoy's response code details; "" when authorization did not refuse it."""
    found = _REFUSED.search(details)
    if found is None:
        return "the service of a CUSTOM policy refused it" if _ASKED in details else ""
    if found[1] == "none":
        allowing = sorted(f"{one.metadata.namespace}/{one.metadata.name}" for one in policies if one.spec.action == "ALLOW")
        return f"no rule lets it in (ALLOW: {', '.join(allowing) or 'a policy that is gone by now'})"
    namespace, name, index = found[2], found[3], int(found[4])
    policy = next((one for one in policies if (one.metadata.namespace, one.metadata.name) == (namespace, name)), None)
    rule = policy.spec.rules[index] if policy is not None and index < len(policy.spec.rules) else None
    said = f": {_words(rule)}" if rule is not None else ", which is gone by now"
    action = policy.spec.action if policy is not None else "refusing"
    return f"{action} policy {namespace}/{name}, rule {index}{said}"
