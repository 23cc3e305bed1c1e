"""Load while certificates live 30 seconds and another authority takes over in the middle: not one request fails.

A minute of it in every run; `make soak` goes on for ten (LATEEN_SOAK_SECONDS).
"""

import base64
import http.client
import json
import os
import re
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from lateen.runtime.clock import SystemClock
from lateen.samples.demo import MANIFESTS
from lateen.testing.mesh import Mesh
from lateen.testing.waiting import wait_until

SECONDS = float(os.environ.get("LATEEN_SOAK_SECONDS", "60"))
pytestmark = [pytest.mark.envoy, pytest.mark.netns, pytest.mark.slow, pytest.mark.timeout(SECONDS + 200)]

SHORT_LIVED = """
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data: {mesh: "defaultConfig: {proxyMetadata: {SECRET_TTL: 30s}}"}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: httpbin, namespace: default}
spec: {host: httpbin, trafficPolicy: {connectionPool: {http: {maxRequestsPerConnection: 50}}}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: all, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: all, namespace: default}
spec:
  hosts: ["*"]
  gateways: [all]
  http: [{retries: {attempts: 0}, route: [{destination: {host: httpbin, port: {number: 8000}}}]}]
"""


def another_authority() -> str:
    """A Secret `cacerts`: a root made now, and what it needs to sign."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "another root")])
    start = datetime.now(UTC) - timedelta(minutes=5)
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    root = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), start, start + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = root.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    files = {"ca-cert.pem": pem, "ca-key.pem": private, "root-cert.pem": pem, "cert-chain.pem": pem}
    data = {file: base64.b64encode(text).decode() for file, text in files.items()}
    return json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "cacerts", "namespace": "istio-system"}, "data": data})


class Load:
    """Requests through the gateway, one after the other, from a few threads, until it is stopped."""

    def __init__(self, mesh: Mesh) -> None:
        self.failed: list[str] = []
        self.certificates: set[str] = set()
        self.count = 0
        self._mesh = mesh
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(3)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(60)

    def _run(self) -> None:
        while not self._over.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self._mesh.ports[80], timeout=20)
            try:
                for _ in range(500):
                    self._call(connection)
            except (OSError, http.client.HTTPException) as error:
                self.failed.append(repr(error))
            finally:
                connection.close()

    def _call(self, connection: http.client.HTTPConnection) -> None:
        connection.request("GET", "/headers")
        answer = connection.getresponse()
        body = answer.read().decode()
        self.count += 1
        if answer.status != 200:
            self.failed.append(f"{answer.status} {body[:200]}")
        self.certificates.update(re.findall(r"Hash=([0-9a-f]{64})", body))


def told(mesh: Mesh) -> list[str]:
    """Where a private key can be read outside of the files that keep keys: logs, status, anything left in the data folder."""
    kept = ("ca/root-ca.pem", "api/api.pem")
    root = (mesh.data / "ca" / "root-ca.pem").read_text()
    secrets = [b"PRIVATE KEY", *(line.encode() for line in root.split("-----END PRIVATE KEY")[0].splitlines()[1:] if line)]
    texts = {"status": mesh.must("status").encode(), "pods": mesh.must("get", "pods", "-A", "-o", "yaml").encode()}
    for file in sorted(mesh.data.rglob("*")):
        inside = file.relative_to(mesh.data).parts
        if "/".join(inside) in kept:
            assert file.stat().st_mode & 0o777 == 0o600, file
        elif file.is_file() and not inside[0].startswith("mesh.db"):
            texts["/".join(inside)] = file.read_bytes()
    assert any("log" in name for name in texts), sorted(texts)
    return [name for name, text in texts.items() if any(secret in text for secret in secrets)]


def test_no_request_fails_while_certificates_and_authority_change(possible: None, samples: Path, tmp_path: Path) -> None:
    """Zero failures, several certificates of the gateway seen by the application, and the authority is the other one at the end."""
    mesh, clock = Mesh(tmp_path / "mesh"), SystemClock()
    first, log = tmp_path / "first.yaml", mesh.data / "logs" / "mesh.log"
    first.write_text(SHORT_LIVED)
    try:
        mesh.up(MANIFESTS / "demo-namespace.yaml", first, samples / "httpbin" / "httpbin.yaml")
        wait_until(lambda: mesh.call("/headers").status == 200, seconds=20, what="the gateway leads to httpbin")
        with Load(mesh) as load:
            started = clock.monotonic()
            wait_until(lambda: clock.monotonic() - started > SECONDS / 2, seconds=SECONDS, what="half of the load", every=1.0)
            before = len(load.certificates)
            mesh.apply(another_authority())
            wait_until(lambda: "another authority signs" in log.read_text(), seconds=20, what="the other authority signs")
            wait_until(lambda: clock.monotonic() - started > SECONDS, seconds=SECONDS, what="the other half", every=1.0)
        print(f"{load.count} requests, {len(load.failed)} failed, {len(load.certificates)} certificates of the gateway")  # noqa: T201
        assert load.failed == []
        assert before >= 2
        assert len(load.certificates) >= before + 2
        assert told(mesh) == []
    finally:
        mesh.down()
