"""Policies for a Gateway or a GatewayClass: which gateway's pods they count for."""

import pytest

from lateen.model.scope import Proxy
from lateen.testing.world import MemoryWorld
from lateen.util.selectors import canonical
from lateen.xds.resources import CLUSTER, EXTENSION

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


FILTER = """
---
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: refuse, namespace: POLICY}
spec:
  targetRefs: [{group: GROUP, kind: KIND, name: TARGET}]
  configPatches: [{applyTo: CLUSTER, patch: {operation: ADD, value: {name: added, type: STATIC}}}]
"""
KUBERNETES = "gateway.networking.k8s.io"


def changes(*, kind: str, target: str, policy: str = "shop", name: str = "edge", group: str = KUBERNETES) -> bool:
    """Whether an EnvoyFilter of namespace `policy` changes the pods of the Gateway `name` in the namespace `shop`."""
    world = MemoryWorld()
    world.load(FILTER.replace("POLICY", policy).replace("GROUP", group).replace("KIND", kind).replace("TARGET", target))
    labels = canonical({"gateway.networking.k8s.io/gateway-name": name}) if name else ()
    proxy = Proxy(id="g", kind="router" if name else "sidecar", namespace="shop", name="g", addresses=("10.0.0.1",), labels=labels)
    return "added" in world.snapshot(proxy)[CLUSTER]


def refuses(*, kind: str, target: str, policy: str = "shop", namespace: str = "shop", name: str = "edge") -> bool:
    """Whether the pods of the Gateway `name` in `namespace` refuse under the policy of namespace `policy`."""
    world = MemoryWorld()
    text = SERVER.replace("NAMESPACE", namespace).replace("NAME", name).replace("POLICY", policy)
    world.load(text.replace("KIND", kind).replace("TARGET", target))
    labels = canonical({"gateway.networking.k8s.io/gateway-name": name})
    proxy = Proxy(id="g", kind="router", namespace=namespace, name="g", addresses=("10.0.0.1",), labels=labels)
    rules = world.snapshot(proxy)[EXTENSION]["lateen.authz.deny"]
    return b"refuse" in rules.entry


TARGETED = pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"kind": "Gateway", "target": "edge"}, True),
        ({"kind": "Gateway", "target": "other"}, False),
        ({"kind": "Gateway", "target": "edge", "policy": "elsewhere"}, False),
        ({"kind": "GatewayClass", "target": "istio", "policy": "istio-system"}, True),
        ({"kind": "GatewayClass", "target": "istio"}, False),
    ],
)


@TARGETED
def test_a_target_is_of_the_policys_own_namespace(options: dict[str, str], expected: bool) -> None:  # noqa: FBT001 - a column
    """A Gateway by its name there; a class from the root namespace only."""
    assert refuses(**options) == expected


@TARGETED
def test_targets_of_envoy_filters_are_those_of_policies(options: dict[str, str], expected: bool) -> None:  # noqa: FBT001 - a column
    """A target that is not this gateway changes nothing, rather than everything."""
    assert changes(**options) == expected


@pytest.mark.parametrize("options", [{"group": "networking.istio.io"}, {"name": ""}])
def test_an_envoy_filter_for_a_gateway_is_for_nothing_else(options: dict[str, str]) -> None:
    """Neither for a target of another group's kind, nor for a sidecar."""
    assert not changes(kind="Gateway", target="edge", **options)
