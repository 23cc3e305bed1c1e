"""A sidecar that speaks TLS for its program, to a server outside the mesh, with certificates from files of its own pod.

The server is the ingress gateway, reached by its address as any server is: it asks for a client's certificate and shows its own.
"""

import base64
from collections.abc import Iterator

import pytest
from cryptography import x509

from lateen.testing.certificates import self_signed
from lateen.testing.mesh import Mesh
from lateen.testing.waiting import wait_until

pytestmark = [pytest.mark.envoy, pytest.mark.netns, pytest.mark.slow]

HOST = "secure.example.com"
SERVER = f"""
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: secure}}
spec:
  selector: {{istio: ingressgateway}}
  servers:
    - port: {{number: 8443, name: https, protocol: HTTPS}}
      hosts: [{HOST}]
      tls: {{mode: MUTUAL, credentialName: secure}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: secure}}
spec:
  hosts: [{HOST}]
  gateways: [secure]
  http:
    - route: [{{destination: {{host: httpbin, port: {{number: 8000}}}}}}]
"""
CALLER = """
apiVersion: v1
kind: Pod
metadata:
  name: originator
  labels: {app: originator}
  annotations:
    sidecar.istio.io/userVolume: '{"certs": {"secret": {"secretName": "originator-certs"}}}'
    sidecar.istio.io/userVolumeMount: '{"certs": {"mountPath": "/etc/certs", "readOnly": true}}'
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: curl, image: curlimages/curl, command: [/bin/sleep, infinity]}]
"""


def secret(name: str, namespace: str, **files: bytes) -> str:
    """A Secret of these files."""
    data = "".join(f"  {file.replace('_', '.')}: {base64.b64encode(content).decode()}\n" for file, content in files.items())
    return f"apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: {namespace}}}\ndata:\n{data}---\n"


def origination(address: str, tls: str) -> str:
    """The server as a host of the mesh, to which plain HTTP is sent as TLS."""
    return f"""
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: secure}}
spec:
  hosts: [{HOST}]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP, targetPort: 8443}}]
  endpoints: [{{address: {address}}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: secure}}
spec:
  host: {HOST}
  trafficPolicy:
    tls: {tls}
"""


@pytest.fixture(scope="module")
def originator(mesh: Mesh) -> Iterator[str]:
    """A server that wants a certificate, and a pod whose sidecar has one; the server's address."""
    _, chain, key = self_signed(x509.DNSName(HOST))
    _, other, other_key = self_signed(x509.DNSName(HOST))
    server = secret("secure", "istio-system", tls_crt=chain, tls_key=key, ca_crt=chain)
    files = secret("originator-certs", "default", client_crt=chain, client_key=key, ca_crt=chain, other_crt=other, other_key=other_key)
    with mesh.applied(server, SERVER, files, CALLER):
        wait_until(lambda: mesh.ready("originator"), seconds=30, what="the pod with certificates is ready")
        yield mesh.pod_address("istio-ingressgateway", "istio-system")


def status(mesh: Mesh) -> int:
    """What the pod is answered over plain HTTP."""
    return mesh.call_from("originator", f"http://{HOST}/status/418")[0].status


def test_mutual_tls_with_certificates_from_files(mesh: Mesh, originator: str) -> None:
    """The program speaks plain HTTP; the server sees the sidecar's certificate and is checked by the authority in a file."""
    tls = "{mode: MUTUAL, clientCertificate: /etc/certs/client.crt, privateKey: /etc/certs/client.key, caCertificates: /etc/certs/ca.crt}"
    with mesh.applied(origination(originator, tls)):
        wait_until(lambda: status(mesh) == 418, seconds=10, what="the server answers over mutual TLS")


@pytest.mark.parametrize(
    ("files", "why"),
    [
        (
            "clientCertificate: /etc/certs/other.crt, privateKey: /etc/certs/other.key, caCertificates: /etc/certs/ca.crt",
            "reset reason: connection termination",
        ),
        (
            "clientCertificate: /etc/certs/client.crt, privateKey: /etc/certs/client.key, caCertificates: /etc/certs/other.crt",
            "reset reason: remote connection failure",
        ),
        ("clientCertificate: /etc/certs/client.crt, privateKey: /etc/certs/client.key", "reset reason: remote connection failure"),
    ],
)
def test_a_wrong_certificate_is_refused_on_either_side(mesh: Mesh, originator: str, files: str, why: str) -> None:
    """503: the server does not know the client, or the client not the server, be it by a file or by the machine's own authorities."""
    with mesh.applied(origination(originator, f"{{mode: MUTUAL, {files}}}")):
        wait_until(
            lambda: (found := mesh.call_from("originator", f"http://{HOST}/status/418")[0]).status == 503 and why in found.body,
            seconds=10,
            what=f"the handshake fails with: {why}",
        )


def test_a_missing_file_stops_its_own_host_only(mesh: Mesh, originator: str) -> None:
    """No traffic to the host whose certificate is not there; the mesh goes on, and so does that host once the rule is right."""
    tls = "{mode: MUTUAL, clientCertificate: /etc/certs/none.crt, privateKey: /etc/certs/none.key, caCertificates: /etc/certs/ca.crt}"
    with mesh.applied(origination(originator, tls)):
        wait_until(lambda: status(mesh) == 503, seconds=10, what="the host without its certificate answers 503")
        assert mesh.call_from("originator", "http://httpbin:8000/status/418")[0].status == 418
        mesh.apply(origination(originator, tls.replace("none", "client")))
        wait_until(lambda: status(mesh) == 418, seconds=10, what="the host answers with the right files")
