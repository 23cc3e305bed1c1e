"""Policies that Envoy refuses: told on those at fault and no others, and what decided before goes on deciding."""

import json
from collections.abc import Mapping

import pytest

from lateen.testing.mesh import Mesh
from lateen.testing.waiting import wait_until

pytestmark = [pytest.mark.envoy, pytest.mark.netns, pytest.mark.slow]

HTTPBIN = {"selector": {"matchLabels": {"app": "httpbin"}}}
URL = "http://httpbin:8000"
ENVOYS_WORDS = "value does not match regex pattern"
# No header can have such a name: Envoy takes it from nobody.
NAMELESS = {"to": [{"operation": {"ports": ["8080"]}}], "when": [{"key": "request.headers[x\ny]", "values": ["z"]}]}
BY_A_NAMELESS_HEADER = {"jwtRules": [{"issuer": "shop.example.com", "jwks": '{"keys":[]}', "fromHeaders": [{"name": "x\ny"}]}]}


def policy(name: str, rule: object) -> str:
    """A DENY of httpbin."""
    return made("AuthorizationPolicy", name, {"action": "DENY", "rules": [rule]})


def made(kind: str, name: str, spec: Mapping[str, object]) -> str:
    meta = {"name": name, "namespace": "default"}
    return json.dumps({"apiVersion": "security.istio.io/v1", "kind": kind, "metadata": meta, "spec": {**HTTPBIN, **spec}})


def denying(path: str) -> object:
    """A rule about one path."""
    return {"to": [{"operation": {"ports": ["8080"], "paths": [path]}}]}


def statuses(mesh: Mesh, *paths: str) -> list[int]:
    return [mesh.call_from(mesh.pod("curl"), f"{URL}{path}")[0].status for path in paths]


def rejected(mesh: Mesh, kind: str) -> dict[str, str]:
    """What each object of a kind is told of its refusal."""
    found = {}
    for one in mesh.objects(kind):
        for condition in one.get("status", {}).get("conditions", ()):
            if condition["type"] == "Rejected" and condition["status"] == "True":
                found[one["metadata"]["name"]] = condition["message"]
    return found


def test_a_refused_policy_is_told_alone_and_what_decided_goes_on(mesh: Mesh) -> None:
    """Before it and after it stand good ones: neither is blamed. Rules from before hold till it is right, then all do."""
    with mesh.applied(policy("before", denying("/ip"))):
        assert statuses(mesh, "/ip", "/uuid") == [403, 200]
        with mesh.applied(policy("refused", NAMELESS)):
            told = wait_until(lambda: rejected(mesh, "authorizationpolicies"), seconds=10, what="the refusal is told", every=0.2)
            assert list(told) == ["refused"]
            assert ENVOYS_WORDS in told["refused"]
            assert "any: true" not in told["refused"]
            with mesh.applied(policy("after", denying("/uuid"))):
                assert list(rejected(mesh, "authorizationpolicies")) == ["refused"]
                assert statuses(mesh, "/ip", "/uuid") == [403, 200]
                mesh.apply(policy("refused", denying("/get")))
                wait_until(lambda: statuses(mesh, "/ip", "/uuid", "/get") == [403] * 3, seconds=10, what="all three are in force")
                wait_until(lambda: not rejected(mesh, "authorizationpolicies"), seconds=10, what="the refusal is taken back", every=0.2)
    assert statuses(mesh, "/ip", "/uuid", "/get") == [200] * 3


def test_a_refused_request_authentication_is_told_alone(mesh: Mesh) -> None:
    """Not the policies beside it, which come as resources of their own; requests go on."""
    with mesh.applied(policy("beside", denying("/ip")), made("RequestAuthentication", "refused", BY_A_NAMELESS_HEADER)):
        told = wait_until(lambda: rejected(mesh, "requestauthentications"), seconds=10, what="the refusal is told", every=0.2)
        assert list(told) == ["refused"]
        assert ENVOYS_WORDS in told["refused"]
        assert rejected(mesh, "authorizationpolicies") == {}
        assert statuses(mesh, "/ip", "/uuid") == [403, 200]
    wait_until(lambda: statuses(mesh, "/ip") == [200], seconds=10, what="nothing is left")
