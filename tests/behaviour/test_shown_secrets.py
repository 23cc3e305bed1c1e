"""Whatever the other tests made in the mesh, and one of each sort of secret more: nothing that tells of the mesh tells any of them."""

import base64
import json
import ssl

import httpx
import pytest
from cryptography import x509

from lateen.local.paths import locate_here
from lateen.testing.certificates import self_signed
from lateen.testing.mesh import Mesh
from lateen.testing.shownsecrets import shown
from lateen.testing.waiting import wait_until

pytestmark = [pytest.mark.envoy, pytest.mark.netns, pytest.mark.slow]

HOST = "vault.example.com"
PASSWORD = b"correct horse battery staple of this run"
GATEWAY = f"""
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: vault, namespace: istio-system}}
spec:
  selector: {{istio: ingressgateway}}
  servers: [{{port: {{number: 8443, name: https, protocol: HTTPS}}, hosts: [{HOST}], tls: {{mode: SIMPLE, credentialName: vault}}}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: vault, namespace: default}}
spec:
  hosts: [{HOST}]
  gateways: [istio-system/vault]
  http: [{{route: [{{destination: {{host: httpbin, port: {{number: 8000}}}}}}]}}]
"""
READER = """
apiVersion: v1
kind: Pod
metadata: {name: reads-a-password, namespace: default, labels: {app: reader}}
spec:
  containers:
    - name: sleep
      image: docker.io/curlimages/curl:8.16.0
      command: [/bin/sleep, infinity]
      env: [{name: PASSWORD, valueFrom: {secretKeyRef: {name: password, key: value}}}]
"""


def secret(name: str, namespace: str, kind: str, **data: bytes) -> str:
    """A Secret as YAML."""
    encoded = {key.replace("_", "."): base64.b64encode(value).decode() for key, value in data.items()}
    return json.dumps(
        {"apiVersion": "v1", "kind": "Secret", "type": kind, "metadata": {"name": name, "namespace": namespace}, "data": encoded}
    )


def new_token(mesh: Mesh) -> bytes:
    """A token of a service account."""
    transport = httpx.HTTPTransport(uds=str(locate_here(str(mesh.data)).api_socket))
    with httpx.Client(transport=transport, base_url="http://api", timeout=20) as owner:
        wanted = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": ["istio-ca"]}}
        answer = owner.post("/api/v1/namespaces/default/serviceaccounts/default/token", json=wanted)
        return str(answer.json()["status"]["token"]).encode()


def test_nothing_that_tells_of_the_mesh_tells_a_secret(mesh: Mesh) -> None:
    """A gateway's key in use, a program's password, tokens sent in requests, the keys of the mesh: on no page, in no log, in no listing."""
    _, chain, key = self_signed(x509.DNSName(HOST))
    token, bearer = new_token(mesh), base64.urlsafe_b64encode(b"a visitor's token of this run only")
    secrets = (
        secret("vault", "istio-system", "kubernetes.io/tls", tls_crt=chain, tls_key=key),
        secret("password", "default", "Opaque", value=PASSWORD),
    )
    with mesh.applied(*secrets, GATEWAY, READER):
        reads = "import os; print(os.environ['PASSWORD'])"
        wait_until(lambda: mesh.ready("reader"), seconds=20, what="the program with the password runs")
        assert mesh.exec("reads-a-password", "python3", "-c", reads).strip() == PASSWORD.decode()
        client, sent = ssl.create_default_context(cadata=chain.decode()), {"Authorization": f"Bearer {bearer.decode()}"}
        wait_until(
            lambda: mesh.call("/headers", host=HOST, port=443, tls=client, headers=sent).status == 200,
            seconds=10,
            what="the gateway shows the certificate",
        )
        mesh.call_from(mesh.pod("curl"), "http://httpbin:8000/headers", headers=(f"Authorization:Bearer {token.decode()}",))
        assert shown(mesh, key, PASSWORD, token, bearer) == []
