"""Lists of revoked client certificates at gateways: from the Secret of the CA, or from a file."""

from google.protobuf.message import Message

from lateen.model.scope import Proxy
from lateen.testing.messages import plain
from lateen.testing.world import MemoryWorld

GATEWAY = """
apiVersion: v1
kind: Secret
metadata: {name: web, namespace: default}
data: {tls.crt: Y2hhaW4=, tls.key: a2V5}
---
apiVersion: v1
kind: Secret
metadata: {name: web-cacert, namespace: default}
data: {ca.crt: Y2E=, ca.crl: bGlzdA==}
---
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


def messages() -> dict[str, dict[str, Message]]:
    world = MemoryWorld()
    world.load(GATEWAY)
    labels = (("istio", "ingressgateway"),)
    return world.messages(Proxy(id="g", kind="router", namespace="default", name="g", addresses=("10.0.0.1",), labels=labels))


def test_the_list_of_a_secret_goes_with_its_ca() -> None:
    """`ca.crl` beside `ca.crt`."""
    context = plain(messages()["secrets"]["kubernetes://web-cacert"])["validation_context"]
    assert context == {"trusted_ca": {"inline_bytes": "Y2E="}, "crl": {"inline_bytes": "bGlzdA=="}}


def test_the_list_of_a_file_is_named_to_envoy() -> None:
    """`caCrl`."""
    chain = plain(messages()["listeners"]["0.0.0.0_8443"])["filter_chains"][0]
    common = chain["transport_socket"]["typed_config"]["common_tls_context"]
    assert common["combined_validation_context"]["default_validation_context"] == {"crl": {"filename": "/list.pem"}}
