"""Lists of revoked client certificates at gateways: from the Secret of the CA, or from a file."""

import base64
import datetime as dt

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from google.protobuf.message import Message

from lateen.model.scope import Proxy
from lateen.testing.certificates import self_signed
from lateen.testing.messages import plain
from lateen.testing.world import MemoryWorld

GATEWAY = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers:
    - {port: {number: 443, name: https, protocol: HTTPS}, hosts: ["*"], tls: {mode: MUTUAL, credentialName: web}}
    - port: {number: 8443, name: https-files, protocol: HTTPS}
      hosts: ["*"]
      tls: {mode: MUTUAL, serverCertificate: /c.pem, privateKey: /k.pem, caCertificates: /ca.pem, caCrl: /list.pem}
"""


_, CHAIN, KEY = self_signed(x509.DNSName("web"))


def revoked() -> bytes:
    """A list that names nobody."""
    start = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    builder = (
        x509.CertificateRevocationListBuilder().issuer_name(x509.Name([])).last_update(start).next_update(start + dt.timedelta(days=1))
    )
    return builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


LIST = revoked()


def encoded(data: bytes) -> str:
    """In base64."""
    return base64.b64encode(data).decode()


def messages() -> dict[str, dict[str, Message]]:
    world = MemoryWorld()
    world.load(GATEWAY)
    for name, data in {"web": {"tls.crt": CHAIN, "tls.key": KEY}, "web-cacert": {"ca.crt": CHAIN, "ca.crl": LIST}}.items():
        held = {key: encoded(value) for key, value in data.items()}
        world.put({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "default"}, "data": held})
    labels = (("istio", "ingressgateway"),)
    return world.messages(Proxy(id="g", kind="router", namespace="default", name="g", addresses=("10.0.0.1",), labels=labels))


def test_the_list_of_a_secret_goes_with_its_ca() -> None:
    """`ca.crl` beside `ca.crt`."""
    context = plain(messages()["secrets"]["kubernetes://web-cacert"])["validation_context"]
    assert context == {"trusted_ca": {"inline_bytes": encoded(CHAIN)}, "crl": {"inline_bytes": encoded(LIST)}}


def test_the_list_of_a_file_is_named_to_envoy() -> None:
    """`caCrl`."""
    chain = plain(messages()["listeners"]["0.0.0.0_8443"])["filter_chains"][0]
    common = chain["transport_socket"]["typed_config"]["common_tls_context"]
    assert common["combined_validation_context"]["default_validation_context"] == {"crl": {"filename": "/list.pem"}}
