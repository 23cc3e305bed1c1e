"""Every key that a rule of an AuthorizationPolicy may ask for, each way its values are written, at one sidecar and at the gateway."""

import json
from collections.abc import Iterator

import pytest

from lateen.api.decode import decode_object
from lateen.api.security import AuthorizationPolicy
from lateen.cli.authz import judged
from lateen.simulate.authorize import Asked
from lateen.testing.mesh import Ask, Mesh
from lateen.testing.tokens import Issuer

pytestmark = [pytest.mark.envoy, pytest.mark.netns, pytest.mark.slow]

URL = "http://httpbin.default.svc.cluster.local:8000"
ISSUER = Issuer("https://shop.example")
CALLERS = {"curl": "default", "sleep": "default", "client": "plain"}  # the last has no sidecar, and so no identity
CURL, OTHERS, ALL, MESHED, PLAIN = {"curl"}, {"sleep", "client"}, set(CALLERS), {"curl", "sleep"}, {"client"}
ID = "cluster.local/ns/default/sa/curl"
SNI = "outbound_.8000_._.httpbin.default.svc.cluster.local"


def keys(curl: str, server: str) -> dict[str, tuple[dict[str, object], set[str]]]:
    """A rule for each, and who is let in by it; `curl` and `server` are addresses of pods."""

    def source(**fields: list[str]) -> dict[str, object]:
        return {"from": [{"source": fields}]}

    def when(key: str, *values: str, without: tuple[str, ...] = ()) -> dict[str, object]:
        return {"when": [{"key": key, **({"values": values} if values else {}), **({"notValues": without} if without else {})}]}

    of_curl: dict[str, tuple[dict[str, object], set[str]]] = {}
    for name, value in {
        "principals": ID,
        "serviceAccounts": "curl",
        "ipBlocks": f"{curl}/32",
        "remoteIpBlocks": curl,
        "requestPrincipals": f"{ISSUER.name}/alice",
    }.items():
        of_curl[name] = source(**{name: [value]}), CURL
        of_curl[f"not-{name}"] = source(**{f"not{name[0].upper()}{name[1:]}": [value]}), OTHERS
    for key, value in {
        "request.headers[x-team]": "bluebird",
        "source.ip": curl,
        "remote.ip": f"{curl}/32",
        "source.principal": ID,
        "source.serviceAccount": "default/curl",
        "request.auth.principal": f"{ISSUER.name}/alice",
        "request.auth.audiences": "shop",
        "request.auth.presenter": "web",
        "request.auth.claims[groups]": "admin",
        "request.auth.claims[nested][key]": "value",
        "experimental.envoy.filters.http.rbac[istio_dry_run_deny_shadow_engine_result]": "denied",  # by the policy that is tried
    }.items():
        of_curl[f"when-{key}"] = when(key, value), CURL
        of_curl[f"when-not-{key}"] = when(key, without=(value,)), OTHERS
    return {
        **of_curl,
        "namespaces": (source(namespaces=["default"]), MESHED),
        "notNamespaces": (source(notNamespaces=["default"]), PLAIN),
        "trustDomains": (source(trustDomains=["cluster.local"]), MESHED),
        "notTrustDomains": (source(notTrustDomains=["cluster.local"]), PLAIN),
        "both": (source(namespaces=["default"], notPrincipals=[ID]), {"sleep"}),
        "when-source.namespace": (when("source.namespace", "def*"), MESHED),
        "when-source.trustDomain": (when("source.trustDomain", "other", "cluster.local"), MESHED),
        "when-destination.ip": (when("destination.ip", server), ALL),
        "when-not-destination.ip": (when("destination.ip", without=(f"{server}/32",)), set()),
        "when-destination.port": (when("destination.port", "8080"), ALL),
        "when-not-destination.port": (when("destination.port", without=("8080",)), set()),
        "when-connection.sni": (when("connection.sni", SNI), MESHED),
        "prefix": (when("request.headers[x-team]", "blue*"), CURL),
        "suffix": (when("request.headers[x-team]", "*bird"), CURL),
        "present": (when("request.headers[x-team]", "*"), CURL),
        "suffix-of-principal": (source(principals=["*/sa/curl"]), CURL),
        "any-principal": (source(principals=["*"]), MESHED),
        "any-token": (source(requestPrincipals=["*"]), CURL),
    }


def operations() -> dict[str, tuple[dict[str, list[str]], set[str]]]:
    """The same for what is asked for; curl alone asks, by GET, and the last parts of paths are let in."""
    host = "httpbin.default.svc.cluster.local"
    return {
        "hosts": ({"hosts": [f"{host}:*", host]}, {"a", "b"}),
        "notHosts": ({"notHosts": [f"{host}:*", host]}, set()),
        "ports": ({"ports": ["8080"]}, {"a", "b"}),
        "notPorts": ({"notPorts": ["8080"]}, set()),
        "methods": ({"methods": ["GET"]}, {"a", "b"}),
        "notMethods": ({"notMethods": ["GET"]}, set()),
        "notPaths": ({"notPaths": ["/anything/op-notPaths/a"]}, {"b"}),
        "template": ({"paths": ["/{*}/op-template/{**}"], "methods": ["GET"]}, {"a", "b"}),
    }


@pytest.fixture(scope="module")
def asked(mesh: Mesh) -> Iterator[dict[str, set[str]]]:
    """Who was let in by each rule: one policy with all of them."""
    pods = {app: mesh.pod(app, namespace) for app, namespace in CALLERS.items()}
    by_key = keys(mesh.pod_address("curl"), mesh.pod_address("httpbin"))
    rules: list[dict[str, object]] = []
    for index, (rule, _) in enumerate(by_key.values()):
        rules.append({**rule, "to": [{"operation": {"paths": [f"/anything/{index}"]}}]})
    for name, (operation, _) in operations().items():
        rules.append({"to": [{"operation": {"paths": [f"/anything/op-{name}/*"], **operation}}]})
    selector = {"selector": {"matchLabels": {"app": "httpbin"}}}
    meta = {"name": "keys", "namespace": "default"}
    tokens = {**selector, "jwtRules": [{"issuer": ISSUER.name, "jwks": ISSUER.jwks}]}
    kinds = {"AuthorizationPolicy": {**selector, "rules": rules}, "RequestAuthentication": tokens}
    version = "security.istio.io/v1"
    tried = {**selector, "action": "DENY", "rules": [{"when": [{"key": "request.headers[x-team]", "values": ["*"]}]}]}
    dry = {"name": "tried", "namespace": "default", "annotations": {"istio.io/dry-run": "true"}}
    objects = [json.dumps({"apiVersion": version, "kind": kind, "metadata": meta, "spec": spec}) for kind, spec in kinds.items()]
    objects.append(json.dumps({"apiVersion": version, "kind": "AuthorizationPolicy", "metadata": dry, "spec": tried}))
    token = ISSUER.token(aud="shop", azp="web", groups=["user", "admin"], nested={"key": "value"})
    with mesh.applied(*objects):
        found: dict[str, set[str]] = {}
        for app, namespace in CALLERS.items():
            headers = ("x-team:bluebird", f"Authorization:Bearer {token}") if app == "curl" else ()
            paths = {name: f"/anything/{index}" for index, name in enumerate(by_key)}
            replies = mesh.calls_from(pods[app], [Ask(URL + path, "GET", headers) for path in paths.values()], namespace=namespace)
            for name, reply in zip(paths, replies, strict=True):
                found.setdefault(name, set()).update({app} if reply.status == 200 else set())
                assert reply.status in {200, 403}, (name, app, reply)
        paths = {f"{name}/{last}": f"/anything/op-{name}/{last}" for name in operations() for last in ("a", "b")}
        replies = mesh.calls_from(pods["curl"], [Ask(URL + path) for path in paths.values()])
        for name, reply in zip(paths, replies, strict=True):
            what, _, last = name.partition("/")
            found.setdefault(f"op-{what}", set()).update({last} if reply.status == 200 else set())
        yield found


def test_sources_and_conditions(mesh: Mesh, asked: dict[str, set[str]]) -> None:
    """`from` and `when`, each key with its values and without them: exactly those are let in whom the rule means."""
    expected = {name: who for name, (_, who) in keys(mesh.pod_address("curl"), mesh.pod_address("httpbin")).items()}
    assert {name: asked[name] for name in expected} == expected


def test_the_judge_of_described_requests_agrees_with_envoy(mesh: Mesh, asked: dict[str, set[str]]) -> None:
    """`lateen authz why` of a described request: the same rule lets the same callers in, but for what other filters found out."""
    addresses, server = {app: mesh.pod_address(app, namespace) for app, namespace in CALLERS.items()}, mesh.pod_address("httpbin")
    claims = {"iss": ISSUER.name, "sub": "alice", "aud": "shop", "azp": "web", "groups": ["user", "admin"], "nested": {"key": "value"}}
    for name, (rule, _) in keys(addresses["curl"], server).items():
        if "experimental" in name:
            continue
        spec = {"selector": {"matchLabels": {"app": "httpbin"}}, "rules": [rule]}
        meta = {"name": "keys", "namespace": "default"}
        raw = {"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy", "metadata": meta, "spec": spec}
        policy = decode_object(raw)[0]
        assert isinstance(policy, AuthorizationPolicy)
        let_in = set()
        for app, namespace in CALLERS.items():
            meshed = namespace == "default"
            request = Asked(
                headers={"x-team": "bluebird"} if app == "curl" else {},
                peer=f"spiffe://cluster.local/ns/default/sa/{app}" if meshed else "",
                claims=claims if app == "curl" else {},
                source=addresses[app],
                remote=addresses[app],
                destination=server,
                port=8080,
                server_name=SNI if meshed else "",
            )
            if judged(request, [policy], ("cluster.local",)).startswith("let in"):
                let_in.add(app)
        assert let_in == asked[name], name


def test_operations(asked: dict[str, set[str]]) -> None:
    """`to`, each key."""
    expected = {f"op-{name}": let_in for name, (_, let_in) in operations().items()}
    assert {name: asked[name] for name in expected} == expected


TRUSTED = """
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data: {mesh: "defaultConfig: {gatewayTopology: {numTrustedProxies: 1}}"}
"""
FAR = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: far, namespace: istio-system}
spec:
  selector: {matchLabels: {istio: ingressgateway}}
  action: DENY
  rules: [{from: [{source: {remoteIpBlocks: [203.0.113.0/24]}}]}]
"""


def test_what_is_tried_is_counted(mesh: Mesh, asked: dict[str, set[str]]) -> None:
    """A dry run refuses nothing and counts what it would have refused."""
    wanted = "istio_dry_run_deny_.shadow_denied"
    stats = mesh.must("exec", mesh.pod("httpbin"), "-c", "istio-proxy", "--", "pilot-agent", "request", "GET", f"stats?filter={wanted}")
    assert sum(int(line.rpartition(": ")[2]) for line in stats.splitlines()) >= len(asked) // 2


def test_a_gateway_knows_clients_behind_proxies(mesh: Mesh) -> None:
    """`remoteIpBlocks` with numTrustedProxies: what the trusted proxy saw counts, and nothing that the client wrote."""
    with mesh.applied(TRUSTED, FAR):

        def status(forwarded: str) -> int:
            return mesh.call("/api/v1/products", headers={"X-Forwarded-For": forwarded}).status

        assert status("203.0.113.7") == 403
        assert status("198.51.100.1, 203.0.113.7") == 403
        assert [status("198.51.100.1"), status("203.0.113.7, 198.51.100.1")] == [200, 200]
