"""A changed policy counts within a second, also for a connection that was open before, and the connection goes on."""

import json
from collections.abc import Iterator

import pytest

from lateen.testing.mesh import Mesh
from lateen.testing.tokens import Issuer

pytestmark = [pytest.mark.envoy, pytest.mark.netns, pytest.mark.slow]

ISSUER = Issuer("https://shop.example")
# One connection for all requests: a request for each line that is read, with the line as token.
CLIENT = """
import http.client, sys
made = http.client.HTTPConnection("httpbin.default.svc.cluster.local", 8000, timeout=20)
made.connect()
made.auto_open = 0
for line in sys.stdin:
    token = line.strip()
    made.request("GET", "/headers", headers={"Authorization": "Bearer " + token} if token else {})
    answer = made.getresponse()
    answer.read()
    print(answer.status, answer.getheader("connection", ""))
"""
META = {"name": "changing", "namespace": "default"}


def of_httpbin(kind: str, **spec: object) -> str:
    """A policy of httpbin."""
    spec = {"selector": {"matchLabels": {"app": "httpbin"}}, **spec}
    return json.dumps({"apiVersion": "security.istio.io/v1", "kind": kind, "metadata": META, "spec": spec})


@pytest.fixture
def tokens(mesh: Mesh) -> Iterator[None]:
    """Tokens are read by httpbin."""
    with mesh.applied(of_httpbin("RequestAuthentication", jwtRules=[{"issuer": ISSUER.name, "jwks": ISSUER.jwks}])):
        yield


def test_a_change_counts_for_open_connections(mesh: Mesh, tokens: None) -> None:
    """The first policy of each kind, another in its place, its end; a token whose keys were withdrawn. One connection sees it all."""
    policies = {
        "DENY": of_httpbin("AuthorizationPolicy", action="DENY", rules=[{}]),
        "ALLOW": of_httpbin("AuthorizationPolicy", action="ALLOW", rules=[{"to": [{"operation": {"paths": ["/ip"]}}]}]),
        "CUSTOM": of_httpbin("AuthorizationPolicy", action="CUSTOM", provider={"name": "nobody"}, rules=[{}]),
        "no rules": of_httpbin("AuthorizationPolicy"),
    }
    with mesh.talking(mesh.pod("curl"), CLIENT) as ask:
        assert ask("") == "200"
        for name, policy in policies.items():
            mesh.apply(policy)
            mesh.settle()  # nothing is asked meanwhile: the next request is the first of a connection from before
            assert ask("") == "403", name
        mesh.delete(policies["DENY"])
        mesh.settle()
        assert ask("") == "200"
        assert ask(ISSUER.token()) == "200"
        mesh.apply(of_httpbin("RequestAuthentication", jwtRules=[{"issuer": ISSUER.name, "jwks": Issuer(ISSUER.name).jwks}]))
        mesh.settle()
        assert ask(ISSUER.token()) == "401"
