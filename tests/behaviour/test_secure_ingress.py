"""Istio's secure ingress tasks: a gateway that asks for the client's certificate, and one that passes TLS on unopened."""

import base64
import ssl
from typing import NamedTuple

import pytest
from cryptography import x509

from lateen.testing.certificates import self_signed
from lateen.testing.mesh import Mesh
from lateen.testing.waiting import wait_until

pytestmark = [pytest.mark.envoy, pytest.mark.netns, pytest.mark.slow]

HOST, NGINX = "mutual.example.com", "nginx.example.com"
MUTUAL = f"""
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: mutual}}
spec:
  selector: {{istio: ingressgateway}}
  servers:
    - port: {{number: 8443, name: https, protocol: HTTPS}}
      hosts: [{HOST}]
      tls: {{mode: MODE, credentialName: mutual}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: mutual}}
spec:
  hosts: [{HOST}]
  gateways: [mutual]
  http:
    - route: [{{destination: {{host: httpbin, port: {{number: 8000}}}}}}]
"""
PASSTHROUGH = f"""
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: passthrough}}
spec:
  selector: {{istio: ingressgateway}}
  servers:
    - port: {{number: 8443, name: tls, protocol: TLS}}
      hosts: [{NGINX}]
      tls: {{mode: PASSTHROUGH}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: passthrough}}
spec:
  hosts: [{NGINX}]
  gateways: [passthrough]
  tls:
    - match: [{{port: 8443, sniHosts: [{NGINX}]}}]
      route: [{{destination: {{host: nginx, port: {{number: 443}}}}}}]
"""
PROGRAM = (
    "import http.server as h, ssl; s = h.HTTPServer(('', 8443), h.SimpleHTTPRequestHandler); c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); "
    "c.load_cert_chain('/certs/tls.crt', '/certs/tls.key'); s.socket = c.wrap_socket(s.socket, server_side=True); s.serve_forever()"
)
SERVER = f"""
apiVersion: v1
kind: Service
metadata: {{name: nginx}}
spec: {{selector: {{app: nginx}}, ports: [{{name: https, port: 443, targetPort: 8443}}]}}
---
apiVersion: v1
kind: Pod
metadata: {{name: nginx, labels: {{app: nginx}}}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - name: nginx
      image: nginx
      command: [python3, -c, "{PROGRAM}"]
      workingDir: /certs
      volumeMounts: [{{name: certs, mountPath: /certs}}]
      readinessProbe: {{tcpSocket: {{port: 8443}}, periodSeconds: 1}}
  volumes: [{{name: certs, secret: {{secretName: nginx-certs}}}}]
"""


def secret(name: str, namespace: str, **files: bytes) -> str:
    """A Secret of these files."""
    data = "".join(f"  {file.replace('_', '.')}: {base64.b64encode(content).decode()}\n" for file, content in files.items())
    return f"apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: {namespace}}}\ndata:\n{data}---\n"


class Clients(NamedTuple):
    """Clients of the gateway, and the Secret with its certificate and its clients' authority."""

    by_name: dict[str, ssl.SSLContext]
    secret: str


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Clients:
    """With a certificate that the gateway knows, with another, and with none."""
    folder = tmp_path_factory.mktemp("certificates")
    _, chain, key = self_signed(x509.DNSName(HOST))

    def client(certificate: bytes = b"", private: bytes = b"") -> ssl.SSLContext:
        context = ssl.create_default_context(cadata=chain.decode())
        if certificate:
            file = folder / "client.pem"
            file.write_bytes(certificate + private)
            context.load_cert_chain(file)
        return context

    _, other, other_key = self_signed(x509.DNSName(HOST))
    return Clients(
        {"known": client(chain, key), "other": client(other, other_key), "none": client()},
        secret("mutual", "istio-system", tls_crt=chain, tls_key=key, ca_crt=chain),
    )


@pytest.mark.parametrize(
    ("mode", "answers"),
    [("MUTUAL", {"known": 200, "other": 0, "none": 0}), ("OPTIONAL_MUTUAL", {"known": 200, "other": 0, "none": 200})],
)
def test_the_gateway_asks_for_a_certificate(mesh: Mesh, clients: Clients, mode: str, answers: dict[str, int]) -> None:
    """MUTUAL lets in who has a certificate of the authority; OPTIONAL_MUTUAL those as well who have none, but nobody with a wrong one."""

    def status(client: str) -> int:
        return mesh.call("/headers", host=HOST, port=443, tls=clients.by_name[client]).status

    with mesh.applied(clients.secret, MUTUAL.replace("MODE", mode)):
        wait_until(lambda: status("known") == 200, seconds=10, what="the gateway answers a known client")
        assert {client: status(client) for client in answers} == answers


def test_tls_is_passed_on_unopened(mesh: Mesh) -> None:
    """The client sees the certificate of the server in the mesh, which the gateway never had; another name goes nowhere."""
    _, chain, key = self_signed(x509.DNSName(NGINX))
    client = ssl.create_default_context(cadata=chain.decode())
    with mesh.applied(secret("nginx-certs", "default", tls_crt=chain, tls_key=key), SERVER, PASSTHROUGH):
        wait_until(lambda: mesh.ready("nginx"), seconds=30, what="the server with TLS of its own is ready")
        wait_until(
            lambda: mesh.call("/tls.crt", host=NGINX, port=443, tls=client).body == chain.decode(),
            seconds=10,
            what="the server itself answers",
        )
        client.check_hostname = False
        assert mesh.call("/tls.crt", host="other.example.com", port=443, tls=client).status == 0
