"""`lateen authz`: which rules count for a pod, and which of them refused a request.

Both say what the objects say, read at that moment; Envoy's own words (`RESPONSE_CODE_DETAILS` in the access log) name policy and rule.
A request that is described is judged by the same rules without being sent.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from msgspec.structs import asdict

from lateen.api.decode import decode_message, decode_object
from lateen.api.kinds import info_of
from lateen.api.meshconfig import MeshConfig
from lateen.api.security import AuthorizationPolicy, Rule
from lateen.cli.access import fail, kubeconfig_option, namespace_option, with_client
from lateen.cli.tables import print_rows
from lateen.compile.authn import selector_of
from lateen.compile.authz import AuthzContext, is_dry_run, plan_authz
from lateen.compile.security import counting
from lateen.compile.subjects import Subject
from lateen.kube.records import JsonObject, section
from lateen.model.authz import ExtAuthzPlan
from lateen.simulate.authorize import Asked, authorize
from lateen.sources.kubeclient import KubeClient
from lateen.sources.kubereflect import Listing
from lateen.util.selectors import matches

__all__ = ["asked_of", "authz", "explain", "judged", "rows_of", "told", "trust_domains"]

_ROOT = "istio-system"
_GATEWAY = "gateway.networking.k8s.io/gateway-name"
_ORDER = ("CUSTOM", "AUDIT", "DENY", "ALLOW")
_REFUSED = re.compile(r"rbac_access_denied_matched_policy\[(none|\S*?ns\[([^\]]*)\]-policy\[([^\]]*)\]-rule\[(\d+)\]\S*?)\]")
_REQUEST = re.compile(r'"([A-Z]+ [^"]*)"')
_ASKED = "ext_authz_denied"
_TAIL = 1000
_MESH = "istio"
_CONFIG_MAP = info_of("ConfigMap")


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
@click.option("--method", default="GET", help="Method of the request to judge.")
@click.option("--path", default="", help="Path of the request; without it the access log is read.")
@click.option("--host", default="", help="Host of the request.")
@click.option("--header", "headers", multiple=True, metavar="NAME:VALUE", help="A header of the request; may be repeated.")
@click.option("--from", "caller", default="", metavar="NAMESPACE/ACCOUNT", help="Service account of the caller; none is plain text.")
@click.option("--claims", default="", metavar="JSON", help="Claims of the caller's token.")
@click.option("--source", default="", metavar="ADDRESS", help="Address of the caller.")
@click.option("--port", default=0, help="Port of the pod; alone, a connection of bytes is judged.")
@namespace_option
@kubeconfig_option
def why(pod: str, namespace: str, kubeconfig: Path | None, port: int, **described: Any) -> None:  # noqa: ANN401 - click's options
    """Name the policy and rule that refused.

    From the access log of POD; or, with --path or --port, of a request or connection that is described.
    """

    async def work(client: KubeClient) -> int:
        name, place = pod.removeprefix("pod/"), namespace or "default"
        policies, container = await _of_pod(client, name, place)
        if described["path"] or port:
            domains = trust_domains(await client.list(_CONFIG_MAP, _ROOT))
            asked = asked_of(port=port, domain=domains[0], **described)
            click.echo(judged(asked, policies, domains))
            return 0
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


def trust_domains(listed: Listing) -> tuple[str, ...]:
    """The mesh's own and its aliases, from the ConfigMap of MeshConfig."""
    texts = [section(one, "data").get("mesh") for one in listed.items if section(one, "metadata").get("name") == _MESH]
    mesh = decode_message(str(texts[0]).encode(), MeshConfig, _MESH)[0] if texts else None
    mesh = mesh or MeshConfig()
    return (mesh.trust_domain or "cluster.local", *mesh.trust_domain_aliases)


def asked_of(
    *, method: str, path: str, host: str, headers: Sequence[str], caller: str, claims: str, source: str, port: int, domain: str
) -> Asked:
    """The request that the options describe; a usage error says which of them cannot be read."""
    space, slash, account = caller.partition("/")
    if caller and not (space and slash and account):
        raise click.UsageError("--from is NAMESPACE/ACCOUNT")
    fields = [one.partition(":") for one in headers]
    if not all(name and colon for name, colon, _ in fields):
        raise click.UsageError("--header is NAME:VALUE")
    try:
        told = json.loads(claims or "{}")
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise click.UsageError("--claims is a JSON object")
    return Asked(
        bytes=not path,
        method=method.upper(),
        path=path,
        host=host,
        headers={name.strip().lower(): value.strip() for name, _, value in fields},
        peer=f"spiffe://{domain}/ns/{space}/sa/{account}" if caller else "",
        claims=told,
        source=source,
        remote=source,
        port=port,
    )


def judged(asked: Asked, policies: Sequence[AuthorizationPolicy], domains: tuple[str, ...]) -> str:
    """What becomes of it, in a sentence."""
    plan, _ = plan_authz(policies, AuthzContext(provider=_service, trust_domains=domains))
    verdict = authorize(plan, asked)
    named = f"rbac_access_denied_matched_policy[{verdict.rule or 'none'}]"
    if verdict.outcome == "refused":
        return f"refused: {explain(named, policies)}"
    if not verdict.rule:
        return "let in: no rule is against it"
    said = explain(named, policies)
    return f"let in by {said}" if verdict.outcome == "allowed" else f"the service of a CUSTOM policy is asked: {said}"


def _service(name: str) -> ExtAuthzPlan:
    return ExtAuthzPlan(asked_when=name, cluster="", authority="", timeout=0)


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
