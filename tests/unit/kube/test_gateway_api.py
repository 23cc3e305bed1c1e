"""The Gateway API's kinds: limits, defaults and rules between fields, as the project's definitions have them."""

import json
from typing import Any

import pytest

from lateen.api.decode import decode_documents
from lateen.api.kinds import KINDS, info_of
from lateen.kube.crds import definition
from lateen.kube.definitions import check_definition
from lateen.kube.validation import problems_of_form

BACKEND = "backendRefs: [{name: web, port: 80}]"
REWRITE = "filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}]"
LISTENER = "{name: http, port: 80, protocol: HTTP}"
GROUP = "gateway.networking.k8s.io"
KINDS_OF_GATEWAYS = [info for info in KINDS if info.group == GROUP]


def said(kind: str, spec: str) -> list[str]:
    """What is refused: the field and what is said of it."""
    text = f"apiVersion: {GROUP}/v1\nkind: {kind}\nmetadata: {{name: x, namespace: default}}\nspec: {spec}\n"
    (decoded,) = decode_documents(text.encode(), "file")
    problems = (*decoded.problems, *problems_of_form(decoded))
    assert all(problem.line for problem in problems)
    return [problem.message.partition(" default/x: ")[2] or problem.message.partition(" x: ")[2] for problem in problems]


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("GatewayClass", "{controllerName: example.com/gateways}"),
        ("Gateway", f"{{gatewayClassName: istio, listeners: [{LISTENER}]}}"),
        ("ListenerSet", f"{{parentRef: {{name: gw}}, listeners: [{LISTENER}]}}"),
        ("HTTPRoute", "{}"),
        ("HTTPRoute", f"{{parentRefs: [{{name: a, port: 80}}, {{name: a, port: 81}}], rules: [{{{BACKEND}}}]}}"),
        ("HTTPRoute", f"{{rules: [{{{REWRITE}}}]}}"),
        ("GRPCRoute", "{rules: [{matches: [{method: {service: a.B, method: C}}]}]}"),
        ("TLSRoute", f'{{hostnames: ["*.example.com"], rules: [{{{BACKEND}}}]}}'),
        ("TCPRoute", f"{{rules: [{{{BACKEND}}}]}}"),
        ("ReferenceGrant", f'{{from: [{{group: {GROUP}, kind: Gateway, namespace: a}}], to: [{{group: "", kind: Secret}}]}}'),
        (
            "BackendTLSPolicy",
            '{targetRefs: [{group: "", kind: Service, name: a}], validation: {hostname: a.b, wellKnownCACertificates: System}}',
        ),
    ],
)
def test_what_is_sound_is_taken(kind: str, spec: str) -> None:
    """Each kind, and forms that a rule could mistake."""
    assert said(kind, spec) == []


@pytest.mark.parametrize(
    ("kind", "spec", "words"),
    [
        ("GatewayClass", "{controllerName: nobody}", "spec.controllerName: "),
        ("Gateway", "{gatewayClassName: istio, listeners: []}", "spec.listeners"),
        ("Gateway", f"{{gatewayClassName: istio, listeners: [{LISTENER}, {LISTENER}]}}", "spec.listeners[1]: Duplicate value"),
        (
            "Gateway",
            "{gatewayClassName: istio, listeners: [{name: a, port: 80, protocol: HTTP}, {name: b, port: 80, protocol: HTTP}]}",
            "Combination of port, protocol and hostname must be unique",
        ),
        ("Gateway", "{gatewayClassName: istio, listeners: [{name: a, port: 443, protocol: TLS}]}", "tls mode must be set for protocol TLS"),
        (
            "Gateway",
            "{gatewayClassName: istio, listeners: [{name: a, port: 443, protocol: HTTPS, tls: {mode: Passthrough}}]}",
            "tls mode must be Terminate for protocol HTTPS",
        ),
        ("HTTPRoute", "{rules: [{backendRefs: [{name: web}]}]}", 'spec.rules[0].backendRefs[0]: Invalid value: "object": Must have port'),
        (
            "HTTPRoute",
            f"{{rules: [{{filters: [{{type: RequestRedirect, requestRedirect: {{port: 443}}}}], {BACKEND}}}]}}",
            "RequestRedirect filter must not be used together with backendRefs",
        ),
        (
            "HTTPRoute",
            f"{{rules: [{{matches: [{{path: {{type: Exact, value: /a}}}}], {REWRITE}}}]}}",
            "exactly one PathPrefix match must be specified",
        ),
        ("HTTPRoute", "{rules: [{matches: [{path: {value: a//b}}]}]}", "value must be an absolute path"),
        ("HTTPRoute", "{rules: [{name: a}, {name: a}]}", "Rule name must be unique"),
        ("HTTPRoute", "{rules: [{timeouts: {request: 1s, backendRequest: 2s}}]}", "backendRequest timeout cannot be longer"),
        ("HTTPRoute", "{rules: [{filters: [{type: CORS}]}]}", "filter.cors must be specified for CORS filter.type"),
        ("HTTPRoute", "{parentRefs: [{name: a}, {name: a, sectionName: b}]}", "sectionName or port must be specified"),
        ("GRPCRoute", "{rules: [{matches: [{method: {}}]}]}", "One or both of 'service' or 'method'"),
        ("TLSRoute", f"{{hostnames: [1.2.3.4], rules: [{{{BACKEND}}}]}}", "Hostnames cannot contain an IP"),
        ("TCPRoute", "{rules: [{backendRefs: []}]}", "spec.rules[0].backendRefs"),
        (
            "BackendTLSPolicy",
            '{targetRefs: [{group: "", kind: Service, name: a}], validation: {hostname: a.b}}',
            "must specify either CACertificateRefs or WellKnownCACertificates",
        ),
    ],
)
def test_what_the_definitions_refuse_is_refused(kind: str, spec: str, words: str) -> None:
    """Limits of a field, and rules between fields, at the field."""
    assert any(words in one for one in said(kind, spec)), said(kind, spec)


def test_the_definitions_are_sound_and_all_rules_can_be_asked() -> None:
    """A schema that an API server takes for each kind; the evaluator knows every function."""
    for info in KINDS_OF_GATEWAYS:
        made: Any = json.loads(json.dumps(definition(info)))
        assert list(check_definition(made)) == []
    assert len(KINDS_OF_GATEWAYS) == 10
    assert info_of("KubernetesGateway").type is not info_of("Gateway").type
