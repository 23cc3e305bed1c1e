"""Time limits and retries of routes."""

import pytest

from lateen.testing.mesh import Mesh

pytestmark = [pytest.mark.envoy, pytest.mark.netns, pytest.mark.slow]

NO_REVIEWS = "Sorry, product reviews are currently unavailable for this book."

REVIEWS = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
    - route: [{destination: {host: reviews, subset: v2}}]
"""
SLOW_RATINGS = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ratings}
spec:
  hosts: [ratings]
  http:
    - fault: {delay: {percentage: {value: 100}, fixedDelay: 2s}}
      route: [{destination: {host: ratings, subset: v1}}]
"""
RETRIED = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: httpbin}
spec:
  hosts: [httpbin]
  http:
    - match: [{headers: {x-retry: {exact: "yes"}}}]
      retries: {attempts: 2, perTryTimeout: 500ms, retryOn: gateway-error}
      route: [{destination: {host: httpbin}}]
    - retries: {attempts: 0}
      timeout: 500ms
      route: [{destination: {host: httpbin}}]
"""


def test_a_timeout_of_reviews_ends_the_wait_for_slow_ratings(mesh: Mesh) -> None:
    """Ratings take 2 s: without a limit the page shows them after 2 s; with half a second for reviews it says after twice that
    time (the page asks twice) that there are none.
    """
    with mesh.applied(REVIEWS, SLOW_RATINGS):
        slow = mesh.call("/productpage")
        assert "glyphicon-star" in slow.body
        assert 2 <= slow.seconds < 3
        mesh.apply(REVIEWS + "      timeout: 500ms\n")
        mesh.settle()
        cut = mesh.call("/productpage")
        assert NO_REVIEWS in cut.body
        assert 0.9 <= cut.seconds < 2


def test_a_try_has_its_own_limit_and_is_repeated(mesh: Mesh) -> None:
    """With two retries of half a second each an answer that never comes ends after three tries; without retries after one."""
    curl = mesh.pod("curl")
    with mesh.applied(RETRIED):
        once = mesh.call_from(curl, "http://httpbin:8000/delay/5")[0]
        assert (once.status, 0.4 <= once.seconds < 1) == (504, True), once
        thrice = mesh.call_from(curl, "http://httpbin:8000/delay/5", headers=["x-retry:yes"])[0]
        assert (thrice.status, 1.4 <= thrice.seconds < 3) == (504, True), thrice
