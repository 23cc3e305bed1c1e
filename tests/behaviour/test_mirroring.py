"""Istio's mirroring task: a copy of each request goes to another version, whose answer nobody waits for."""

import re

import pytest

from lateen.testing.mesh import Mesh
from lateen.testing.waiting import wait_until

pytestmark = [pytest.mark.envoy, pytest.mark.netns, pytest.mark.slow]

RULES = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: helloworld}
spec:
  host: helloworld
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: helloworld}
spec:
  hosts: [helloworld]
  http:
    - route: [{destination: {host: helloworld, subset: v1}}]
      mirror: {host: helloworld, subset: v2}
      mirrorPercentage: {value: SHARE}
"""
CALLS = 40


def taken(mesh: Mesh, pod: str) -> int:
    """How many requests the pod's sidecar has passed on to its program."""
    said = mesh.must("exec", pod, "-c", "istio-proxy", "--", "pilot-agent", "request", "GET", "clusters")
    return sum(int(count) for count in re.findall(r"^inbound\|5000\|\|::[^:]+:5000::rq_total::(\d+)$", said, re.MULTILINE))


@pytest.mark.parametrize(("share", "copies"), [("100", CALLS), ("0", 0)])
def test_copies_go_to_the_mirror(mesh: Mesh, share: str, copies: int) -> None:
    """Every answer is version 1's; version 2 gets as many copies as the share says."""
    curl, mirror = mesh.pod("curl"), mesh.pod("helloworld", version="v2")

    def answers(count: int) -> set[str]:
        return {reply.body.split(",")[0] for reply in mesh.call_from(curl, "http://helloworld:5000/hello", times=count)}

    with mesh.applied(RULES.replace("SHARE", share)):
        wait_until(lambda: answers(5) == {"Hello version: v1"}, seconds=5, what="version 1 alone answers")
        before = taken(mesh, mirror)
        assert answers(CALLS) == {"Hello version: v1"}
        wait_until(lambda: taken(mesh, mirror) - before >= copies, seconds=5, what=f"version 2 has {copies} copies")
        assert taken(mesh, mirror) - before == copies
