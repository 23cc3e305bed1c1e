"""`lateen wait`: it returns when every proxy holds what was written, and says how many do not.

That it ends on a refusal is in `test_bad_configuration.py`.
"""

import os
import signal

import pytest

from lateen.testing.mesh import Mesh

pytestmark = [pytest.mark.envoy, pytest.mark.netns, pytest.mark.slow]

ROUTE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
    - route: [{destination: {host: reviews, subset: v3}}]
"""


def test_returns_when_every_proxy_has_it(mesh: Mesh) -> None:
    """A change that every proxy takes ends the waiting with 0."""
    with mesh.applied(ROUTE):
        ran = mesh.run("wait", "virtualservice", "reviews", "--timeout", "10s")
        assert ran.code == 0, ran.err


def test_a_proxy_that_does_not_answer_is_counted(mesh: Mesh) -> None:
    """While one Envoy stands still `wait` ends with 1 and counts; when it goes on, with 0."""
    envoy = next(pid for pid, words in mesh.processes().items() if words and words[0].endswith("/envoy"))
    os.kill(envoy, signal.SIGSTOP)
    try:
        with mesh.applied(ROUTE):
            ran = mesh.run("wait", "virtualservice/reviews", "--timeout", "2s")
            assert ran.code == 1
            assert " of " in ran.err and "proxies" in ran.err
            os.kill(envoy, signal.SIGCONT)
            assert mesh.run("wait", "virtualservice/reviews", "--timeout", "10s").code == 0
    finally:
        os.kill(envoy, signal.SIGCONT)
