"""How a DestinationRule's policy holds on real connections: limits, ejection of failing pods, and stickiness."""

import pytest

from lateen.testing.mesh import Mesh
from lateen.testing.waiting import wait_until

pytestmark = [pytest.mark.envoy, pytest.mark.netns, pytest.mark.slow]


def rule(host: str, policy: str) -> str:
    """A DestinationRule for a host with this traffic policy."""
    return f"""
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {host}}}
spec:
  host: {host}
  trafficPolicy: {policy}
"""


BREAKER = rule("httpbin", "{connectionPool: {tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 1, maxRequestsPerConnection: 1}}}")
EJECTION = rule("httpbin", "{outlierDetection: {consecutive5xxErrors: 2, interval: 500ms, baseEjectionTime: 60s, maxEjectionPercent: 100}}")
STICKY = rule("helloworld", "{loadBalancer: {consistentHash: {httpHeaderName: x-user}}}")
NO_RETRIES = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: httpbin}
spec:
  hosts: [httpbin]
  http:
    - retries: {attempts: 0}
      route: [{destination: {host: httpbin}}]
"""


def test_more_than_the_pool_allows_is_refused_at_once(mesh: Mesh) -> None:
    """With one connection and one waiting request, some of eight requests at once are refused with 503, and some are served."""
    curl = mesh.pod("curl")

    def statuses() -> list[int]:
        return [answers[0].status for answers in mesh.gather(lambda: mesh.call_from(curl, "http://httpbin:8000/delay/1"), 8)]

    assert statuses() == [200] * 8
    with mesh.applied(BREAKER, NO_RETRIES):
        limited = statuses()
        assert set(limited) == {200, 503}
    assert statuses() == [200] * 8


def test_a_failing_pod_is_ejected(mesh: Mesh) -> None:
    """After two errors in a row the pod gets no more requests: they fail for want of a healthy one, until the rule is taken back."""
    curl = mesh.pod("curl")
    with mesh.applied(EJECTION, NO_RETRIES):
        assert [reply.status for reply in mesh.call_from(curl, "http://httpbin:8000/status/500", times=2)] == [500, 500]
        refused = wait_until(
            lambda: (found := mesh.call_from(curl, "http://httpbin:8000/get")[0]).status == 503 and found,
            seconds=5,
            what="the pod is ejected",
        )
        assert "no healthy upstream" in refused.body
    wait_until(lambda: mesh.call_from(curl, "http://httpbin:8000/get")[0].status == 200, seconds=5, what="the pod is used again")


def test_requests_with_one_header_value_go_to_one_pod(mesh: Mesh) -> None:
    """Hashed by a header, all requests of a user reach the same pod, and users are spread over both."""
    curl, users = mesh.pod("curl"), [f"user-{number}" for number in range(8)]

    def pods(user: str) -> set[str]:
        return {reply.body for reply in mesh.call_from(curl, "http://helloworld:5000/hello", times=6, headers=(f"x-user:{user}",))}

    with mesh.applied(STICKY):
        seen = [pods(user) for user in users]
        assert [len(each) for each in seen] == [1] * len(users)
        assert len(set.union(*seen)) == 2
