"""What a node message says of a client."""

import pytest
from envoy.config.core.v3 import base_pb2

from lateen.serve.node import proxy_from_node


@pytest.mark.parametrize(
    ("kind", "generator", "expected"),
    [("sidecar", "grpc", "grpc"), ("sidecar", "", "sidecar"), ("router", "grpc", "router"), ("sidecar", "event", "sidecar")],
)
def test_a_program_that_asks_for_grpcs_configuration_is_no_sidecar(kind: str, generator: str, expected: str) -> None:
    """GENERATOR says so, as Istio's agents do; of a gateway it says nothing."""
    node = base_pb2.Node(id=f"{kind}~10.0.0.9~client-0.default~default.svc.cluster.local")
    node.metadata["GENERATOR"] = generator
    proxy = proxy_from_node(node)
    assert (proxy.kind, proxy.addresses) == (expected, ("10.0.0.9",))
