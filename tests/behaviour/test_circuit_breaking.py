"""Istio's circuit breaking task, with its own files: what the pool does not take is refused at once, and the proxy counts it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from lateen.testing.mesh import Mesh
from lateen.testing.waiting import wait_until

pytestmark = [pytest.mark.envoy, pytest.mark.netns, pytest.mark.slow]

BREAKER = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: httpbin}
spec:
  host: httpbin
  trafficPolicy:
    connectionPool:
      tcp: {maxConnections: 1}
      http: {http1MaxPendingRequests: 1, maxRequestsPerConnection: 1}
    outlierDetection: {consecutive5xxErrors: 1, interval: 1s, baseEjectionTime: 3m, maxEjectionPercent: 100}
"""


@pytest.fixture(scope="module")
def fortio(mesh: Mesh, samples: Path) -> Iterator[str]:
    """The task's load generator; its pod."""
    with mesh.applied(samples / "httpbin" / "sample-client" / "fortio-deploy.yaml"):
        wait_until(lambda: mesh.ready("fortio"), seconds=30, what="the load generator is ready")
        yield mesh.pod("fortio")


def codes(mesh: Mesh, pod: str, connections: int, calls: int) -> dict[int, int]:
    """Answers by status code, as the load generator prints them."""
    options = ("-c", str(connections), "-qps", "0", "-n", str(calls), "-loglevel", "Warning")
    said = mesh.exec(pod, "/usr/bin/fortio", "load", *options, "http://httpbin:8000/get")
    return {int(code): int(count) for code, count in re.findall(r"^Code +(-?\d+) : (\d+) ", said, re.MULTILINE)}


def overflowed(mesh: Mesh, pod: str) -> int:
    """How many requests the proxy refused because too many waited."""
    stats = mesh.must("exec", pod, "-c", "istio-proxy", "--", "pilot-agent", "request", "GET", "stats")
    counts = re.findall(r"^cluster\.outbound\|8000\|\|httpbin\..*upstream_rq_pending_overflow: (\d+)$", stats, re.MULTILINE)
    assert len(counts) == 1, counts
    return int(counts[0])


def test_the_circuit_breaking_task(mesh: Mesh, fortio: str) -> None:
    """One connection at a time is served; of three some trip the breaker, and each refusal is counted; without the rule all are served."""
    assert mesh.exec(fortio, "/usr/bin/fortio", "curl", "-quiet", "http://httpbin:8000/get").startswith("HTTP/1.1 200 OK")
    with mesh.applied(BREAKER):
        assert codes(mesh, fortio, 1, 20) == {200: 20}
        before = overflowed(mesh, fortio)
        tripped = codes(mesh, fortio, 3, 60)
        assert set(tripped) == {200, 503}
        assert overflowed(mesh, fortio) - before >= tripped[503]
    assert codes(mesh, fortio, 3, 60) == {200: 60}
