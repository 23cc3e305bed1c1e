"""Requests and connections are shared out by weight."""

import math
import socket
from collections import Counter
from pathlib import Path

import pytest

from lateen.testing.mesh import Mesh

pytestmark = [pytest.mark.envoy, pytest.mark.netns, pytest.mark.slow, pytest.mark.timeout(180)]

REQUESTS = 500


def shares(mesh: Mesh, count: int = REQUESTS) -> Counter[str]:
    """How many of the requests through gateway and product page each version of reviews answered."""

    def version() -> str:
        answer = mesh.call("/api/v1/products/0/reviews")
        assert answer.status == 200, answer
        return str(answer.json()["podname"]).rsplit("-", 2)[0]

    return Counter(mesh.gather(version, count))


def near(count: int, weight: float, of: int = REQUESTS) -> bool:
    """Whether the count is within five standard deviations of what the weight says."""
    return abs(count - of * weight) <= 5 * math.sqrt(of * weight * (1 - weight))


@pytest.mark.parametrize(
    ("rule", "weights"),
    [
        ("virtual-service-reviews-50-v3.yaml", {"reviews-v1": 0.5, "reviews-v3": 0.5}),
        ("virtual-service-reviews-90-10.yaml", {"reviews-v1": 0.9, "reviews-v2": 0.1}),
    ],
)
def test_shares_are_as_the_weights_say(mesh: Mesh, networking: Path, rule: str, weights: dict[str, float]) -> None:
    """Of 500 requests each version gets its weight, within five standard deviations; no other version gets any."""
    with mesh.applied(networking / "virtual-service-all-v1.yaml", networking / rule):
        seen = shares(mesh)
    assert set(seen) == set(weights)
    assert all(near(seen[version], weight) for version, weight in weights.items()), seen


def test_tcp_connections_are_shared_out_at_the_gateway(mesh: Mesh, samples: Path) -> None:
    """With tcp-echo-all-v1 every connection to the gateway's TCP port goes to v1; with tcp-echo-20-v2 a fifth goes to v2."""

    def prefix() -> str:
        with socket.create_connection(("127.0.0.1", mesh.ports[31400]), timeout=10) as connection:
            connection.sendall(b"hello\n")
            return connection.makefile().readline()

    with mesh.applied(samples / "tcp-echo" / "tcp-echo-all-v1.yaml"):
        assert {prefix() for _ in range(20)} == {"one hello\n"}
        mesh.apply(samples / "tcp-echo" / "tcp-echo-20-v2.yaml")
        mesh.settle()
        seen = Counter(mesh.gather(prefix, 200))
        assert set(seen) == {"one hello\n", "two hello\n"}
        assert near(seen["two hello\n"], 0.2, 200), seen
