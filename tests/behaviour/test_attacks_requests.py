"""Requests made to pass by authorization: tricks with paths, hosts and headers, forged identities, foreign certificates. All refused.

The attacker is a pod without a sidecar that writes its own bytes; httpbin takes plain text, so that only the rules stand in its way.
Attacks on the control plane are in test_attacks_control_plane, those with plain text and at the edge in test_mutual_tls, those with tokens
in test_request_authentication.
"""

import json
from collections.abc import Callable, Mapping

import pytest

from lateen.ca.csr import new_request
from lateen.ca.signer import SelfSignedRoot, Signer
from lateen.ca.spiffe import Identity
from lateen.runtime.clock import SystemClock
from lateen.testing.mesh import Mesh
from lateen.testing.waiting import wait_until

pytestmark = [pytest.mark.envoy, pytest.mark.netns, pytest.mark.slow]

URL = "http://httpbin.default.svc.cluster.local:8000/headers"
_CLIENT = """
import json, socket, ssl, sys
address, requests, pems = json.loads(sys.argv[1])
context = None
if pems:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["istio-http/1.1"])
    import tempfile
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(pems); file.flush()
        context.load_cert_chain(file.name)
said = []
for request in requests:
    try:
        with socket.create_connection((address, 8080), 10) as plain:
            stream = context.wrap_socket(plain) if context else plain
            stream.sendall(request.encode("latin-1"))
            line = stream.makefile("rb").readline().decode().split()
            said.append(int(line[1]) if len(line) > 1 else 0)
    except OSError:
        said.append(0)
print(json.dumps(said))
"""

# A struct of protobuf, in base64, as Istio's proxies tell each other: NAMESPACE is default, WORKLOAD_NAME is sleep.
PEER = "ChYKCU5BTUVTUEFDRRIJGgdkZWZhdWx0ChgKDVdPUktMT0FEX05BTUUSBxoFc2xlZXA="

Attack = Callable[[Mapping[str, str]], dict[str, int]]


def policy(action: str, *rules: object) -> str:
    """An AuthorizationPolicy of httpbin."""
    spec = json.dumps({"selector": {"matchLabels": {"app": "httpbin"}}, "action": action, "rules": list(rules)})
    meta = "{name: attacked, namespace: default}"
    return f"apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {meta}\nspec: {spec}\n"


def attack(mesh: Mesh, requests: Mapping[str, str], pems: str = "") -> dict[str, int]:
    """The status of each request, each on a connection of its own to httpbin's pod; 0 where there was no answer."""
    task = json.dumps([mesh.pod_address("httpbin"), list(requests.values()), pems])
    said = mesh.exec(mesh.pod("client", "plain"), "python3", "-c", _CLIENT, task, namespace="plain")
    return dict(zip(requests, json.loads(said), strict=True))


def asking(path: str, host: str = "httpbin", *fields: str) -> str:
    """The bytes of a GET."""
    return "".join(f"{line}\r\n" for line in (f"GET {path} HTTP/1.1", f"Host: {host}", *fields, "Connection: close", ""))


def test_no_spelling_of_a_path_passes_a_rule_that_lets_in(mesh: Mesh) -> None:
    """ALLOW names one path: no way of writing another one is taken for it."""
    tricks = [
        "/ip",
        "//ip",
        "/headers/../ip",
        "/headers/%2e%2e/ip",
        "/headers%2f..%2fip",
        "/headers;/../ip",
        "/./ip",
        "/HEADERS",
        "/headers/",
    ]
    with mesh.applied(policy("ALLOW", {"to": [{"operation": {"paths": ["/headers"]}}]})):
        assert attack(mesh, {"right": asking("/headers")}) == {"right": 200}
        assert set(attack(mesh, {path: asking(path) for path in tricks}).values()) <= {400, 403}


def test_no_spelling_of_a_path_passes_a_rule_that_refuses(mesh: Mesh) -> None:
    """DENY names a path, paths are decoded and merged (`pathNormalization`): every spelling of it is refused."""
    decode = """
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data: {mesh: "pathNormalization: {normalization: DECODE_AND_MERGE_SLASHES}"}
"""
    tricks = [
        "secret",
        "/secret",
        "./secret",
        "x/../secret",
        "%2e/secret",
        "%2fsecret",
        "x%2f..%2fsecret",
        "secret;x=1",
        "secret/",
        "%73ecret",
    ]
    rule = {"to": [{"operation": {"paths": ["/anything/secret*"]}}]}
    with mesh.applied(policy("DENY", rule), decode):
        assert attack(mesh, {"right": asking("/anything/open")}) == {"right": 200}
        assert set(attack(mesh, {path: asking(f"/anything/{path}") for path in tricks}).values()) <= {400, 403}


def test_no_spelling_of_a_host_passes_a_rule_that_refuses(mesh: Mesh) -> None:
    """DENY names a host: with a port, the root's dot, in capitals, or twice, it is refused."""
    tricks = ["admin.example.com", "ADMIN.Example.com", "admin.example.com:80", "admin.example.com.", "admin.example.com.:8080"]
    with mesh.applied(policy("DENY", {"to": [{"operation": {"hosts": ["admin.example.com"]}}]})):
        assert attack(mesh, {"right": asking("/ip", "www.example.com")}) == {"right": 200}
        requests = {host: asking("/ip", host) for host in tricks} | {"twice": asking("/ip", "www.example.com", "Host: admin.example.com")}
        assert {host: status for host, status in attack(mesh, requests).items() if status not in {400, 403}} == {}


def test_no_header_makes_an_identity(mesh: Mesh) -> None:
    """ALLOW by service account, by header value: what a stranger writes about himself, or writes twice, lets him in nowhere."""
    owner = "By=spiffe://cluster.local/ns/default/sa/httpbin;URI=spiffe://cluster.local/ns/default/sa/sleep"
    forged = {
        "certificate": f"x-forwarded-client-cert: {owner}",
        "peer": "x-envoy-peer-metadata-id: sidecar~10.0.0.1~sleep.default~default.svc.cluster.local",
        "peer's labels": f"x-envoy-peer-metadata: {PEER}",
        "attributes": "x-istio-attributes: Ch4KCnNvdXJjZS51aWQSEBIOc2xlZXAuZGVmYXVsdA==",
        "baggage": "baggage: k8s.namespace.name=default,k8s.deployment.name=sleep,service.name=sleep",
        "principal": "x-envoy-peer-principal: spiffe://cluster.local/ns/default/sa/sleep",
        "address": "x-forwarded-for: 127.0.0.1",
    }
    rules = (
        {"from": [{"source": {"serviceAccounts": ["sleep"]}}]},
        {"from": [{"source": {"namespaces": ["default"]}}]},
        {"from": [{"source": {"ipBlocks": ["127.0.0.0/8"]}}]},
        {"when": [{"key": "request.headers[x-team]", "values": ["blue"]}]},
    )
    with mesh.applied(policy("ALLOW", *rules)):
        assert attack(mesh, {"right": asking("/ip", "httpbin", "x-team: blue")}) == {"right": 200}
        requests = {name: asking("/ip", "httpbin", field) for name, field in forged.items()}
        assert attack(mesh, requests) == dict.fromkeys(requests, 403)


def test_no_header_changes_what_is_measured(mesh: Mesh) -> None:
    """What strangers call themselves, or name the figures of their own calls, is in no metric of the workload that they call."""
    inside = "x-forwarded-for: 10.177.0.9"  # of one address: as if it came from a proxy nearby
    fields = {
        "statistics": "x-envoy-upstream-alt-stat-name: forged-name",
        "peer": "x-envoy-peer-metadata-id: sidecar~10.0.0.1~forged-name.default~default.svc.cluster.local",
        "peer's labels": "x-envoy-peer-metadata: forged-name",
        "attributes": "x-istio-attributes: forged-name",
        "baggage": "baggage: k8s.namespace.name=forged-name,k8s.deployment.name=forged-name",
        "operation": "x-envoy-decorator-operation: forged-name",
        "certificate": "x-forwarded-client-cert: By=spiffe://cluster.local/ns/default/sa/httpbin;URI=spiffe://forged-name/ns/a/sa/b",
        "host": "x-envoy-original-host: forged-name",
    }
    requests = {name: asking("/ip", "forged-name.example.com", inside, field) for name, field in fields.items()}
    assert attack(mesh, requests) == dict.fromkeys(requests, 200)
    (page,) = mesh.call_from(mesh.pod("client", "plain"), f"http://{mesh.pod_address('httpbin')}:15020/stats/prometheus", namespace="plain")
    assert "\nenvoy_cluster_upstream_rq" in page.body
    assert [line for line in page.body.splitlines() if "forged" in line] == []


def test_a_header_twice_does_not_hide_a_value(mesh: Mesh) -> None:
    """DENY by a header's value: it is seen first, last, and between others."""
    red, blue = "x-team: red", "x-team: blue"
    with mesh.applied(policy("DENY", {"when": [{"key": "request.headers[x-team]", "values": ["red"]}]})):
        assert attack(mesh, {"right": asking("/ip", "httpbin", blue)}) == {"right": 200}
        ways = {"once": (red,), "first": (red, blue), "last": (blue, red), "between": (blue, red, blue)}
        assert attack(mesh, {way: asking("/ip", "httpbin", *fields) for way, fields in ways.items()}) == dict.fromkeys(ways, 403)


def test_a_certificate_of_another_root_or_trust_domain_is_refused(mesh: Mesh) -> None:
    """In mutual TLS: the mesh's own certificate is taken, one of a foreign root or trust domain is not.

    `caCertificates` of MeshConfig make a foreign root one of the mesh's, for as long as they name it.
    """
    now = SystemClock().now()
    own, foreign = SelfSignedRoot.load((mesh.data / "ca" / "root-ca.pem").read_bytes()), SelfSignedRoot.create("cluster.local", now)
    asked = {"request": asking("/ip")}

    def status(root: SelfSignedRoot, domain: str) -> int:
        identity = Identity(domain, "default", "sleep")
        key, request = new_request(identity)
        chain = Signer(root).sign(request, identity, 0, now)
        return attack(mesh, asked, (key.reveal() + chain[0]).decode())["request"]

    assert status(own, "cluster.local") == 200
    assert status(foreign, "cluster.local") == 0
    assert status(own, "elsewhere.example") == 0
    trusted = {"caCertificates": [{"pem": foreign.certificate_pem.decode()}]}
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "istio", "namespace": "istio-system"}}
    with mesh.applied(json.dumps({**settings, "data": {"mesh": json.dumps(trusted)}})):
        wait_until(lambda: status(foreign, "cluster.local") == 200, seconds=10, what="the foreign root is trusted")
        assert status(own, "cluster.local") == 200
    wait_until(lambda: status(foreign, "cluster.local") == 0, seconds=10, what="the foreign root is trusted no more")
