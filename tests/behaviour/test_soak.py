"""Load while certificates live half a minute at most and another authority takes over in the middle: not one request fails.

Half a minute of it in every run, with certificates of 15 seconds; `make soak` goes on for ten minutes with certificates of 30
(LATEEN_SOAK_SECONDS). Then the other authority revokes a certificate.
"""

import base64
import http.client
import json
import os
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from lateen.ca.csr import new_request
from lateen.ca.signer import Issuer, Signer
from lateen.ca.spiffe import Identity
from lateen.runtime.clock import SystemClock
from lateen.samples.demo import MANIFESTS
from lateen.testing.mesh import Mesh
from lateen.testing.shownsecrets import shown
from lateen.testing.waiting import wait_until

SECONDS = float(os.environ.get("LATEEN_SOAK_SECONDS", "30"))
TTL = min(30, int(SECONDS / 2))
pytestmark = [pytest.mark.envoy, pytest.mark.netns, pytest.mark.slow, pytest.mark.timeout(SECONDS + 200)]

SHORT_LIVED = f"""
apiVersion: v1
kind: ConfigMap
metadata: {{name: istio, namespace: istio-system}}
data: {{mesh: "defaultConfig: {{proxyMetadata: {{SECRET_TTL: {TTL}s}}}}"}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: default, namespace: istio-system}}
spec: {{mtls: {{mode: STRICT}}}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: httpbin, namespace: default}}
spec: {{host: httpbin, trafficPolicy: {{connectionPool: {{http: {{maxRequestsPerConnection: 50}}}}}}}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: all, namespace: default}}
spec:
  selector: {{istio: ingressgateway}}
  servers: [{{port: {{number: 80, name: http, protocol: HTTP}}, hosts: ["*"]}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: all, namespace: default}}
spec:
  hosts: ["*"]
  gateways: [all]
  http: [{{retries: {{attempts: 0}}, route: [{{destination: {{host: httpbin, port: {{number: 8000}}}}}}]}}]
"""


class Authority:
    """A root made now, and what it needs to sign and to revoke."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "another root")])
        start = datetime.now(UTC) - timedelta(minutes=5)
        builder = x509.CertificateBuilder(
            self._name, self._name, self._key.public_key(), x509.random_serial_number(), start, start + timedelta(days=30)
        )
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        self._root = (
            builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self._pem = self._root.public_bytes(serialization.Encoding.PEM)

    @property
    def private(self) -> bytes:
        """The key."""
        return self._key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())

    def secret(self, *revoked: bytes) -> str:
        """The Secret `cacerts`; `revoked` are certificates in PEM."""
        files = {"ca-cert.pem": self._pem, "ca-key.pem": self.private, "root-cert.pem": self._pem, "cert-chain.pem": self._pem}
        if revoked:
            files["ca-crl.pem"] = self._revoking(*revoked)
        meta = {"name": "cacerts", "namespace": "istio-system"}
        data = {file: base64.b64encode(text).decode() for file, text in files.items()}
        return json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": data})

    def _revoking(self, *revoked: bytes) -> bytes:
        now = datetime.now(UTC)
        builder = x509.CertificateRevocationListBuilder(self._name, now - timedelta(minutes=1), now + timedelta(days=1))
        for pem in revoked:
            serial = x509.load_pem_x509_certificate(pem).serial_number
            one = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now - timedelta(minutes=1)).build()
            builder = builder.add_revoked_certificate(one)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def leaf(self, account: str) -> tuple[bytes, bytes]:
        """Key and certificate of a service account of `default`."""
        identity = Identity("cluster.local", "default", account)
        key, request = new_request(identity)
        signer = Signer(Issuer(key=self._key, certificate=self._root, roots_pem=self._pem))
        return key.reveal(), signer.sign(request, identity, 0, SystemClock().now())[0]


AUTHORITY = Authority()
# Asks the address in its first argument for /headers with the certificate and key in the second, and says the status; 0 where refused.
CLIENT = """
import socket, ssl, sys, tempfile
address, pems = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
context.set_alpn_protocols(["istio-http/1.1"])
with tempfile.NamedTemporaryFile("w") as file:
    file.write(pems); file.flush()
    context.load_cert_chain(file.name)
try:
    with socket.create_connection((address, 8080), 10) as plain, context.wrap_socket(plain) as stream:
        stream.sendall(b"GET /headers HTTP/1.1\\r\\nHost: httpbin\\r\\nConnection: close\\r\\n\\r\\n")
        print(stream.makefile("rb").readline().split()[1].decode())
except (OSError, IndexError):
    print(0)
"""


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


@pytest.fixture(scope="module")
def soaked(possible: None, samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """A mesh of its own: the gateway and httpbin."""
    folder = tmp_path_factory.mktemp("soak")
    mesh, first = Mesh(folder / "mesh"), folder / "first.yaml"
    first.write_text(SHORT_LIVED)
    try:
        mesh.up(MANIFESTS / "demo-namespace.yaml", first, samples / "httpbin" / "httpbin.yaml")
        wait_until(lambda: mesh.call("/headers").status == 200, seconds=20, what="the gateway leads to httpbin")
        yield mesh
    finally:
        mesh.down()


def logged(mesh: Mesh, words: str, *, times: int = 1) -> None:
    """Wait until the mesh's log says it."""
    log = mesh.data / "logs" / "mesh.log"
    wait_until(lambda: log.read_text().count(words) >= times, seconds=20, what=f"the log says: {words}")


def test_no_request_fails_while_certificates_and_authority_change(soaked: Mesh) -> None:
    """Zero failures, several certificates of the gateway seen by the application, and the authority is the other one at the end."""
    clock = SystemClock()
    with Load(soaked) as load:
        started = clock.monotonic()
        wait_until(lambda: clock.monotonic() - started > SECONDS / 2, seconds=SECONDS, what="half of the load", every=1.0)
        before = len(load.certificates)
        soaked.apply(AUTHORITY.secret())
        logged(soaked, "another authority signs")
        wait_until(lambda: clock.monotonic() - started > SECONDS, seconds=SECONDS, what="the other half", every=1.0)
    print(f"{load.count} requests, {len(load.failed)} failed, {len(load.certificates)} certificates of the gateway")  # noqa: T201
    assert load.failed == []
    assert before >= 2
    assert len(load.certificates) >= before + 2
    assert shown(soaked, AUTHORITY.private) == []


def test_a_revoked_certificate_is_refused(soaked: Mesh) -> None:
    """`ca-crl.pem`: what it names is refused, everybody else goes on; also certificates of the root from before, which has no list."""
    soaked.apply(AUTHORITY.secret())
    logged(soaked, "another authority signs")
    stolen, other = AUTHORITY.leaf("stolen"), AUTHORITY.leaf("other")
    address, gateway = soaked.pod_address("httpbin"), soaked.pod("istio-ingressgateway", "istio-system")

    def status(leaf: tuple[bytes, bytes]) -> str:
        pems = b"".join(leaf).decode()
        return soaked.exec(gateway, "python3", "-c", CLIENT, address, pems, namespace="istio-system").strip()

    assert [status(stolen), status(other)] == ["200", "200"]
    soaked.apply(AUTHORITY.secret(stolen[1]))
    logged(soaked, "lists of revoked certificates changed")
    wait_until(lambda: status(stolen) == "0", seconds=10, what="the list is in force")
    assert status(other) == "200"
    assert {soaked.call("/headers").status for _ in range(5)} == {200}
