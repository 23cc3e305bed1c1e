"""The ingress gateway: what it lets in, over HTTP and HTTPS, and what it does not know."""

import base64
import ssl
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography import x509

from lateen.testing.certificates import self_signed
from lateen.testing.mesh import Mesh
from lateen.testing.waiting import wait_until

pytestmark = [pytest.mark.envoy, pytest.mark.netns, pytest.mark.slow]

SHOP = "shop.example.com"

HTTPS = f"""
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: shop}}
spec:
  selector: {{istio: ingressgateway}}
  servers:
    - port: {{number: 8443, name: https, protocol: HTTPS}}
      hosts: [{SHOP}]
      tls: {{mode: SIMPLE, credentialName: shop-certificate}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: shop}}
spec:
  hosts: [{SHOP}]
  gateways: [shop]
  http:
    - route: [{{destination: {{host: httpbin, port: {{number: 8000}}}}}}]
"""
GRANT = """
apiVersion: gateway.networking.k8s.io/v1
kind: ReferenceGrant
metadata: {name: to-the-gateway, namespace: bank}
spec:
  from: [{group: gateway.networking.k8s.io, kind: Gateway, namespace: istio-system}]
  to: [{group: "", kind: Secret, name: shop-certificate}]
"""
BY_HOST = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: httpbin-outside}
spec:
  hosts: [httpbin.example.com]
  gateways: [bookinfo-gateway]
  http:
    - match: [{uri: {prefix: /status}}, {uri: {prefix: /headers}}]
      route: [{destination: {host: httpbin, port: {number: 8000}}}]
"""


class Credential(NamedTuple):
    """A certificate for one host, as a Secret, and a client that trusts nothing else."""

    secret: str
    client: ssl.SSLContext
    serial: int


def credential(host: str) -> Credential:
    """A new self-signed certificate."""
    certificate, chain, private = self_signed(x509.DNSName(host))
    secret = (
        "apiVersion: v1\nkind: Secret\ntype: kubernetes.io/tls\nmetadata: {name: shop-certificate, namespace: istio-system}\n"
        f"data: {{tls.crt: {base64.b64encode(chain).decode()}, tls.key: {base64.b64encode(private).decode()}}}\n"
    )
    return Credential(secret, ssl.create_default_context(cadata=chain.decode()), certificate.serial_number)


def test_the_gateway_lets_in_what_a_rule_names_and_nothing_else(mesh: Mesh) -> None:
    """Bookinfo's paths answer 200; a path that no rule names answers 404."""
    assert mesh.call("/productpage").status == 200
    assert mesh.call("/api/v1/products/0/ratings").status == 200
    assert mesh.call("/nothing-here").status == 404


def test_rules_of_one_gateway_are_told_apart_by_host(mesh: Mesh) -> None:
    """A rule for one host is found by that host's name only, and other hosts keep theirs."""
    assert mesh.call("/status/418", host="httpbin.example.com").status == 404
    with mesh.applied(BY_HOST):
        assert mesh.call("/status/418", host="httpbin.example.com").status == 418
        assert mesh.call("/status/200", host="other.example.com").status == 404
        assert mesh.call("/anything", host="httpbin.example.com").status == 404
        assert mesh.call("/productpage", host="other.example.com").status == 200


def test_without_its_gateway_a_rule_lets_nothing_in(mesh: Mesh, networking: Path) -> None:
    """Once Gateway and VirtualService are deleted the page is no longer to be had from outside, and is again once they are back."""
    mesh.delete(networking / "bookinfo-gateway.yaml")
    try:
        wait_until(lambda: mesh.call("/productpage").status != 200, seconds=5, what="the page is no longer let in")
    finally:
        mesh.apply(networking / "bookinfo-gateway.yaml")
    wait_until(lambda: mesh.call("/productpage").status == 200, seconds=5, what="the page is let in again")


def test_https_with_a_secret_and_its_renewal(mesh: Mesh) -> None:
    """The gateway shows the Secret's certificate to those who ask for its host; a renewed Secret is shown to new connections."""
    first, second = credential(SHOP), credential(SHOP)
    with mesh.applied(first.secret, HTTPS):
        answer = wait_until(
            lambda: (found := mesh.call("/headers", host=SHOP, port=443, tls=first.client)).status == 200 and found,
            seconds=5,
            what="the shop answers over HTTPS",
        )
        assert answer.json()["headers"]["X-Forwarded-Proto"] == ["https"]
        assert mesh.call("/headers", host="other.example.com", port=443, tls=first.client).status == 0
        assert mesh.call("/headers", host=SHOP, port=443, tls=second.client).status == 0
        mesh.apply(second.secret)
        wait_until(
            lambda: mesh.call("/headers", host=SHOP, port=443, tls=second.client).status == 200,
            seconds=5,
            what="the renewed certificate is shown",
        )


def test_https_with_a_secret_that_another_namespace_lends(mesh: Mesh) -> None:
    """The certificate of a Secret elsewhere is shown while a ReferenceGrant there lets the gateway's namespace have it, and no longer."""
    shop = credential(SHOP)
    lent = shop.secret.replace("namespace: istio-system", "namespace: bank")
    borrows = HTTPS.replace("{name: shop}", "{name: shop, namespace: istio-system}", 1)
    borrows = borrows.replace("credentialName: shop-certificate", 'credentialName: "kubernetes-gateway://bank/shop-certificate"')
    borrows = borrows.replace("gateways: [shop]", "gateways: [istio-system/shop]")

    def answers() -> bool:
        return mesh.call("/headers", host=SHOP, port=443, tls=shop.client).status == 200

    with mesh.applied("apiVersion: v1\nkind: Namespace\nmetadata: {name: bank}\n", lent, borrows):
        with mesh.applied(GRANT):
            wait_until(answers, seconds=5, what="the shop answers with the certificate that was lent")
        wait_until(lambda: not answers(), seconds=5, what="the certificate is no longer shown")
        assert not any(answers() for _ in range(5))


def test_a_key_of_another_certificate_changes_nothing_and_is_told(mesh: Mesh) -> None:
    """The gateway goes on showing the certificate before; the Gateway's condition names the Secret and what is wrong, until it is right."""
    good, other = credential(SHOP), credential(SHOP)
    key = next(line for line in other.secret.splitlines() if "tls.key" in line).partition("tls.key: ")[2]

    def answers() -> bool:
        return mesh.call("/headers", host=SHOP, port=443, tls=good.client).status == 200

    def accepted() -> tuple[str, str]:
        found = next(one for one in mesh.objects("gateways") if one["metadata"]["name"] == "shop")
        conditions = {one["type"]: one for one in found.get("status", {}).get("conditions", ())}
        return conditions.get("Accepted", {}).get("status", ""), conditions.get("Accepted", {}).get("message", "")

    with mesh.applied(good.secret, HTTPS):
        wait_until(answers, seconds=5, what="the shop answers over HTTPS")
        mesh.apply(f"{good.secret.partition('tls.key: ')[0]}tls.key: {key}")
        wait_until(lambda: accepted()[0] == "False", seconds=10, what="the Gateway is told", every=0.2)
        assert "Secret istio-system/shop-certificate holds a private key that does not belong" in accepted()[1]
        assert [answers() for _ in range(5)] == [True] * 5
        mesh.apply(good.secret)
        wait_until(lambda: accepted()[0] == "True", seconds=10, what="it is told no more", every=0.2)
