"""Who may call what: every action and source of rules, on real sidecars."""

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from lateen.testing.mesh import Mesh, Reply
from lateen.testing.waiting import wait_until

pytestmark = [pytest.mark.envoy, pytest.mark.netns, pytest.mark.slow]

URL = "http://httpbin.default.svc.cluster.local:8000"
POLICY = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: {name}, namespace: {namespace}{annotations}}}
spec: {spec}
"""
PROVIDERS = """
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: |
    extensionProviders:
      - name: over-http
        envoyExtAuthzHttp:
          service: ext-authz.default.svc.cluster.local
          port: 8000
          includeRequestHeadersInCheck: [x-ext-authz]
          headersToUpstreamOnAllow: [x-ext-authz-check-result]
      - name: over-grpc
        envoyExtAuthzGrpc: {service: ext-authz.default.svc.cluster.local, port: 9000}
"""


def policy(name: str, spec: object, *, namespace: str = "default", dry: bool = False) -> str:
    """The text of an AuthorizationPolicy."""
    annotations = ', annotations: {istio.io/dry-run: "true"}' if dry else ""
    return POLICY.format(name=name, namespace=namespace, spec=json.dumps(spec), annotations=annotations)


def of_httpbin(action: str, *rules: object, **more: object) -> dict[str, object]:
    """What httpbin's policy says."""
    return {"selector": {"matchLabels": {"app": "httpbin"}}, "action": action, "rules": list(rules), **more}


def in_force(mesh: Mesh, *policies: str) -> AbstractContextManager[None]:
    """The policies count for httpbin's callers inside the block."""
    return mesh.applied(*policies)


def get(mesh: Mesh, app: str, path: str, *headers: str, method: str = "GET") -> Reply:
    """A call of httpbin from the pod of `app`."""
    return mesh.call_from(mesh.pod(app), URL + path, headers=headers, method=method)[0]


def test_only_those_named_are_let_in(mesh: Mesh) -> None:
    """ALLOW by service account, by namespace, by path template with method and header: any other call gets 403."""
    rules = (
        {"from": [{"source": {"serviceAccounts": ["sleep"]}}]},
        {"to": [{"operation": {"paths": ["/anything/{*}/end"], "methods": ["GET"]}}]},
        {"to": [{"operation": {"paths": ["/ip"]}}], "when": [{"key": "request.headers[x-team]", "values": ["blue*"]}]},
        {"from": [{"source": {"principals": ["cluster.local/ns/default/sa/curl"]}}], "to": [{"operation": {"paths": ["/uuid"]}}]},
        {"from": [{"source": {"notNamespaces": ["default"]}}], "to": [{"operation": {"paths": ["/base64*"]}}]},
    )
    with in_force(mesh, policy("only", of_httpbin("ALLOW", *rules))):
        assert get(mesh, "sleep", "/headers").status == 200
        refused = get(mesh, "curl", "/headers")
        assert (refused.status, refused.body) == (403, "RBAC: access denied")
        asked = {
            "/anything/a/end": 200,
            "/anything/a/b/end": 403,
            "/ip": 403,
            "/uuid": 200,
            "/base64/aGVsbG8=": 403,
        }
        assert {path: get(mesh, "curl", path).status for path in asked} == asked
        assert get(mesh, "curl", "/ip", "x-team:bluebird").status == 200
        assert get(mesh, "curl", "/anything/a/end", method="POST").status == 403


def test_refusing_goes_before_letting_in(mesh: Mesh) -> None:
    """DENY wins over ALLOW, AUDIT and a dry run refuse nothing, and a policy without rules lets nothing in."""
    everything = policy("all", of_httpbin("ALLOW", {}))
    refused = policy("some", of_httpbin("DENY", {"to": [{"operation": {"paths": ["/status/*"]}}]}))
    audited = policy("seen", of_httpbin("AUDIT", {}))
    tried = policy("tried", of_httpbin("DENY", {}), dry=True)
    with in_force(mesh, everything, refused, audited, tried):
        assert [get(mesh, "curl", path).status for path in ("/headers", "/status/200")] == [200, 403]
    with in_force(mesh, policy("none", {"selector": {"matchLabels": {"app": "httpbin"}}})):
        assert get(mesh, "curl", "/headers").status == 403


def test_a_policy_of_the_root_namespace_counts_everywhere(mesh: Mesh) -> None:
    """What istio-system refuses is refused in default, and only what it names."""
    rule = {"to": [{"operation": {"paths": ["/ip"], "ports": ["8080"]}}]}
    with in_force(mesh, policy("everywhere", {"action": "DENY", "rules": [rule]}, namespace="istio-system")):
        assert [get(mesh, "curl", path).status for path in ("/ip", "/headers")] == [403, 200]


def test_connections_are_let_in_by_port_and_caller(mesh: Mesh) -> None:
    """A TCP port that no rule names is closed; a rule with an HTTP field lets no connection in."""
    rules = [{"to": [{"operation": {"ports": ["9000"]}}]}, {"to": [{"operation": {"methods": ["GET"], "ports": ["9001"]}}]}]
    with mesh.applied(policy("echo", {"selector": {"matchLabels": {"app": "tcp-echo"}}, "rules": rules})):
        assert echoed(mesh, 9000).endswith(" world")
        assert echoed(mesh, 9001) == ""


def echoed(mesh: Mesh, port: int, app: str = "curl") -> str:
    """What tcp-echo sends back to the pod of `app`; "" where the connection is cut."""
    script = (
        "import socket; s = socket.create_connection(('tcp-echo', %d), 10); s.sendall(b'world\\n')\n"
        "try: print(s.makefile().readline().strip())\nexcept OSError: print()"
    )
    return mesh.exec(mesh.pod(app), "python3", "-c", script % port).strip()


def test_a_gateway_refuses_before_it_forwards(mesh: Mesh) -> None:
    """A policy on the ingress gateway's pods: what it denies never reaches the product page."""
    rule = {"to": [{"operation": {"paths": ["/api/v1/products/0"]}}]}
    spec = {"selector": {"matchLabels": {"istio": "ingressgateway"}}, "action": "DENY", "rules": [rule]}
    with mesh.applied(policy("edge", spec, namespace="istio-system")):
        assert mesh.call("/api/v1/products/0").status == 403
        assert mesh.call("/api/v1/products/1").status != 403


@pytest.fixture(scope="module")
def authorizer(mesh: Mesh, samples: Path) -> Iterator[Mesh]:
    """Istio's sample authorizer runs, and MeshConfig names it. Over gRPC it lets in the service account `sleep` as well."""
    container = "        name: ext-authz\n        ports:"
    text = (samples / "extauthz" / "ext-authz.yaml").read_text()
    assert container in text
    sample = text.replace(container, "        args: [-allow_service_account, sleep]\n" + container)
    mesh.apply(sample, PROVIDERS)
    try:
        wait_until(lambda: mesh.ready("ext-authz"), seconds=30, what="the authorizer is ready")
        yield mesh
    finally:
        mesh.delete(sample, PROVIDERS)


@pytest.mark.parametrize("provider", ["over-http", "over-grpc"])
def test_a_service_of_the_users_decides(authorizer: Mesh, provider: str) -> None:
    """CUSTOM: the sample authorizer is asked about what the rule names, and only about that."""
    rule = {"to": [{"operation": {"paths": ["/headers"]}}]}
    with in_force(authorizer, policy("ask", of_httpbin("CUSTOM", rule, provider={"name": provider}))):
        denied = get(authorizer, "curl", "/headers")
        assert denied.status == 403
        assert "denied by ext_authz" in denied.body
        assert get(authorizer, "curl", "/headers", "x-ext-authz:allow").status == 200
        assert get(authorizer, "curl", "/ip").status == 200


def test_a_service_of_the_users_decides_about_connections(authorizer: Mesh) -> None:
    """CUSTOM over gRPC for bytes: the authorizer is told who calls, at the port of the rule and at no other."""
    rules = [{"to": [{"operation": {"ports": ["9000"]}}]}]
    spec = {"selector": {"matchLabels": {"app": "tcp-echo"}}, "action": "CUSTOM", "provider": {"name": "over-grpc"}, "rules": rules}
    with authorizer.applied(policy("ask", spec)):
        assert echoed(authorizer, 9000, "sleep").endswith(" world")
        assert echoed(authorizer, 9000) == ""
        assert echoed(authorizer, 9001).endswith(" world")


def test_a_service_that_is_not_there_refuses(mesh: Mesh) -> None:
    """CUSTOM with a provider that nobody declared: what the rule names is refused, the rest goes on."""
    rule = {"to": [{"operation": {"paths": ["/headers"]}}]}
    with in_force(mesh, policy("ask", of_httpbin("CUSTOM", rule, provider={"name": "nobody"}))):
        assert [get(mesh, "curl", path).status for path in ("/headers", "/ip")] == [403, 200]


def test_the_command_line_says_which_rules_count_and_which_refused(mesh: Mesh) -> None:
    """`authz check` lists them in order, `authz why` explains the refusals of the access log."""
    logged = """
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data: {mesh: "accessLogFile: /dev/stdout"}
"""
    refused = policy("closed", of_httpbin("DENY", {"to": [{"operation": {"paths": ["/uuid"]}}]}))
    with mesh.in_force(logged, refused, policy("open", of_httpbin("ALLOW", {})), url=f"{URL}/headers"):
        pod = mesh.pod("httpbin")
        rows = [line.split() for line in mesh.must("authz", "check", pod).splitlines()[1:3]]
        assert rows == [["DENY", "default/closed", "0", "to", "paths", "/uuid"], ["ALLOW", "default/open", "0", "everything"]]
        assert get(mesh, "curl", "/uuid").status == 403
        said = "GET /uuid HTTP/1.1: DENY policy default/closed, rule 0: to paths /uuid"
        described = mesh.must("authz", "why", pod, "--path", "/uuid", "--from", "default/curl")
        assert described == "refused: DENY policy default/closed, rule 0: to paths /uuid\n"
        wait_until(lambda: said in mesh.must("authz", "why", pod), seconds=10, what="the access log is written and explained")
    assert "every caller is let in" in mesh.must("authz", "check", pod)
