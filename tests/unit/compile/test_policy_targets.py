"""Policies for a Gateway or a GatewayClass: which gateway's pods they count for."""

import pytest

from lateen.model.scope import Proxy
from lateen.testing.world import MemoryWorld
from lateen.util.selectors import canonical
from lateen.xds.resources import EXTENSION

SERVER = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web, namespace: NAMESPACE}
spec: {selector: {gateway.networking.k8s.io/gateway-name: NAME}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: refuse, namespace: POLICY}
spec: {action: DENY, targetRefs: [{group: gateway.networking.k8s.io, kind: KIND, name: TARGET}], rules: [{}]}
"""


def refuses(*, kind: str, target: str, policy: str = "shop", namespace: str = "shop", name: str = "edge") -> bool:
    """Whether the pods of the Gateway `name` in `namespace` refuse under the policy of namespace `policy`."""
    world = MemoryWorld()
    text = SERVER.replace("NAMESPACE", namespace).replace("NAME", name).replace("POLICY", policy)
    world.load(text.replace("KIND", kind).replace("TARGET", target))
    labels = canonical({"gateway.networking.k8s.io/gateway-name": name})
    proxy = Proxy(id="g", kind="router", namespace=namespace, name="g", addresses=("10.0.0.1",), labels=labels)
    rules = world.snapshot(proxy)[EXTENSION]["lateen.authz.deny"]
    return b"refuse" in rules.entry


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"kind": "Gateway", "target": "edge"}, True),
        ({"kind": "Gateway", "target": "other"}, False),
        ({"kind": "Gateway", "target": "edge", "policy": "elsewhere"}, False),
        ({"kind": "GatewayClass", "target": "istio", "policy": "istio-system"}, True),
        ({"kind": "GatewayClass", "target": "istio"}, False),
    ],
)
def test_a_target_is_of_the_policys_own_namespace(options: dict[str, str], expected: bool) -> None:  # noqa: FBT001 - a column
    """A Gateway by its name there; a class from the root namespace only."""
    assert refuses(**options) == expected
