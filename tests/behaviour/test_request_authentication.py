"""Tokens of users: whose are taken, what the application and the rules learn of them, how a gateway routes by them."""

import base64
import hashlib
import hmac
import json
import time
from contextlib import AbstractContextManager

import pytest

from lateen.testing.mesh import Ask, Mesh, Reply
from lateen.testing.tokens import Issuer, encode
from lateen.testing.waiting import wait_until

pytestmark = [pytest.mark.envoy, pytest.mark.netns, pytest.mark.slow]

URL = "http://httpbin.default.svc.cluster.local:8000/headers"
SHOP, OTHER = Issuer("https://shop.example"), Issuer("https://other.example")
AUTHN = """
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {{name: tokens, namespace: {namespace}}}
spec: {spec}
"""
NEEDED = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: tokens, namespace: default}
spec:
  selector: {matchLabels: {app: httpbin}}
  rules:
    - from: [{source: {requestPrincipals: ["https://shop.example/alice"]}}]
      when: [{key: "request.auth.claims[groups]", values: [admin]}, {key: "request.auth.audiences", values: [shop]}]
"""
BY_CLAIM = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: by-claim, namespace: default}
spec:
  hosts: [claims.example.com]
  gateways: [bookinfo-gateway]
  http:
    - match: [{headers: {"@request.auth.claims.groups": {exact: admin}}}]
      route: [{destination: {host: httpbin, port: {number: 8000}}}]
    - directResponse: {status: 404}
"""


def authn(*rules: dict[str, object], app: str = "httpbin", namespace: str = "default") -> str:
    """A RequestAuthentication of these issuers."""
    labels = {"app": app} if app == "httpbin" else {"istio": app}
    return AUTHN.format(namespace=namespace, spec=json.dumps({"selector": {"matchLabels": labels}, "jwtRules": list(rules)}))


def rule(issuer: Issuer, **more: object) -> dict[str, object]:
    return {"issuer": issuer.name, "jwks": issuer.jwks, **more}


def in_force(mesh: Mesh, *policies: str) -> AbstractContextManager[None]:
    """The policies count for the curl pod's calls inside the block."""
    return mesh.applied(*policies)


def call(mesh: Mesh, token: str = "", *headers: str) -> Reply:
    """A call of httpbin with a token."""
    bearer = [f"Authorization:Bearer {token}"] if token else []
    return mesh.call_from(mesh.pod("curl"), URL, headers=[*bearer, *headers])[0]


def confused() -> str:
    """A token signed with the issuer's public key as if it were a shared secret."""
    head, body = encode(json.dumps({"alg": "HS256", "kid": SHOP.kid}).encode()), SHOP.token().split(".")[1]
    return f"{head}.{body}.{encode(hmac.new(SHOP.modulus, f'{head}.{body}'.encode(), hashlib.sha256).digest())}"


def test_a_token_is_good_or_the_request_is_refused(mesh: Mesh) -> None:
    """No token passes, a good one of either issuer passes, and every kind of bad one is refused."""
    good = SHOP.token(aud="shop")
    head, body, signature = good.split(".")
    unsigned = f"{encode(json.dumps({'alg': 'none'}).encode())}.{body}."
    now = int(time.time())
    bad = {
        "expired": SHOP.token(aud="shop", exp=now - 3600),
        "of the future": SHOP.token(aud="shop", nbf=now + 3600),
        "for another": SHOP.token(aud="elsewhere"),
        "for nobody": SHOP.token(),
        "of a stranger": Issuer("https://stranger.example").token(aud="shop"),
        "signed by another": Issuer(SHOP.name).token(aud="shop"),
        "without signature": unsigned,
        "cut": f"{head}.{body}",
        "changed": f"{head}.{encode(json.dumps({'iss': SHOP.name, 'sub': 'eve', 'aud': 'shop', 'exp': now + 99}).encode())}.{signature}",
        "key confusion": confused(),
        "huge": "a" * 8000 + "." + body + "." + signature,
    }
    with in_force(mesh, authn(rule(SHOP, audiences=["shop"]), rule(OTHER))):
        assert call(mesh).status == 200
        assert [call(mesh, token).status for token in (good, OTHER.token())] == [200, 200]
        refused = {name: call(mesh, token).status for name, token in bad.items()}
        assert set(refused.values()) == {401, 403}, refused  # 403: good, but for another audience


def test_the_application_is_told_what_the_rule_says(mesh: Mesh) -> None:
    """Claims become headers, the token is taken away unless it is forwarded, and a place for it may be named."""
    told = rule(SHOP, fromHeaders=[{"name": "x-token", "prefix": "T "}], outputClaimToHeaders=[{"header": "x-sub", "claim": "sub"}])
    kept = rule(OTHER, forwardOriginalToken=True, outputPayloadToHeader="x-payload")
    with in_force(mesh, authn(told, kept)):
        headers = call(mesh, "", f"x-token:T {SHOP.token()}", "x-sub:forged").json()["headers"]
        assert headers["X-Sub"] == ["alice"]
        assert "X-Token" not in headers
        headers = call(mesh, OTHER.token()).json()["headers"]
        assert headers["Authorization"]
        assert headers["X-Payload"]


def test_rules_ask_for_claims(mesh: Mesh) -> None:
    """AuthorizationPolicy by issuer, subject, audience and a claim that is a list."""
    with in_force(mesh, authn(rule(SHOP)), NEEDED):
        right = SHOP.token(aud="shop", groups=["user", "admin"])
        wrong = (
            SHOP.token(aud="shop", groups=["user"]),
            SHOP.token(aud="x", groups=["admin"]),
            SHOP.token(sub="bob", aud="shop", groups="admin"),
        )
        assert call(mesh, right).status == 200
        assert [call(mesh, token).status for token in ("", *wrong)] == [403, 403, 403, 403]


WRITERS = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: writers, namespace: default}
spec:
  selector: {matchLabels: {app: httpbin}}
  rules: [{when: [{key: "request.auth.claims[scope]", values: [write]}]}]
"""


def test_tokens_are_found_where_the_rule_says(mesh: Mesh) -> None:
    """In a parameter or a cookie that it names, and then nowhere else; `scope` is a list of words."""
    token, reader = SHOP.token(scope="read write"), SHOP.token(scope="read")
    with in_force(mesh, authn(rule(SHOP, fromParams=["tok"], fromCookies=["session"])), WRITERS):
        asks = {
            "parameter": Ask(f"{URL}?tok={token}"),
            "cookie": Ask(URL, headers=(f"Cookie:a=b; session={token}",)),
            "usual place": Ask(URL, headers=(f"Authorization:Bearer {token}",)),
            "another parameter": Ask(f"{URL}?access_token={token}"),
            "without the word": Ask(f"{URL}?tok={reader}"),
            "bad": Ask(f"{URL}?tok={token}x"),
        }
        answers = mesh.calls_from(mesh.pod("curl"), tuple(asks.values()))
    expected = dict.fromkeys(asks, 403) | {"parameter": 200, "cookie": 200, "bad": 401}
    assert {name: answer.status for name, answer in zip(asks, answers, strict=True)} == expected


def test_a_gateway_routes_by_claims(mesh: Mesh) -> None:
    """`@request.auth.claims` at the ingress gateway: a good token with the claim finds the route, and nobody can write it as a header."""
    with mesh.applied(authn(rule(SHOP), app="ingressgateway", namespace="istio-system"), BY_CLAIM):

        def status(token: str, **headers: str) -> int:
            fields = {"Authorization": f"Bearer {token}"} if token else {}
            return mesh.call("/headers", host="claims.example.com", headers={**fields, **headers}).status

        admitted = mesh.call("/headers", host="claims.example.com", headers={"Authorization": f"Bearer {SHOP.token(groups=['admin'])}"})
        assert admitted.status == 200, admitted
        assert status(SHOP.token(groups=["user"])) == 404
        assert status("", **{"@request.auth.claims.groups": "admin"}) in {400, 404}


def test_keys_that_no_one_can_use_refuse_tokens_only(mesh: Mesh) -> None:
    """An inline key set without keys: tokens of that issuer get 401, other requests go on."""
    with in_force(mesh, authn({"issuer": SHOP.name, "jwks": '{"keys":[]}'})):
        assert call(mesh).status == 200
        assert call(mesh, SHOP.token()).status == 401


def test_keys_are_fetched_by_the_control_plane(mesh: Mesh) -> None:
    """`jwksUri`: the keys of a server in reach are fetched and used; an address that points inward, or leads there, gives no keys."""
    keys = base64.urlsafe_b64encode(SHOP.jwks.encode()).decode()
    server = f"http://{mesh.pod_address('server', 'plain')}:8080"
    with in_force(mesh, authn({"issuer": SHOP.name, "jwksUri": f"{server}/base64/{keys}"})):
        wait_until(lambda: call(mesh, SHOP.token()).status == 200, seconds=10, what="the keys are there")
    inward = ("http://127.0.0.1:15014/debug", f"{server}/redirect-to?url={server}/base64/{keys}")
    for address in inward:
        with in_force(mesh, authn({"issuer": SHOP.name, "jwksUri": address})):
            assert (call(mesh).status, call(mesh, SHOP.token()).status) == (200, 401)
