"""Configuration that is wrong is refused, by the command line or by Envoy, and never takes traffic down."""

from pathlib import Path

import pytest

from lateen.samples.demo import DEMO
from lateen.testing.mesh import Mesh
from lateen.testing.waiting import wait_until

pytestmark = [pytest.mark.envoy, pytest.mark.netns, pytest.mark.slow]

# Each weight is taken, their sum is more than Envoy can count.
REFUSED = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
    - route:
        - {destination: {host: reviews, subset: v1}, weight: 2147483647}
        - {destination: {host: reviews, subset: v2}, weight: 2147483647}
        - {destination: {host: reviews, subset: v3}, weight: 2147483647}
"""
ENVOYS_WORDS = "sum of weights"
UNKNOWN_FIELD = """apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
spec:
  hosts: [reviews]
  http:
    - ruote:
        - destination: {host: reviews, subset: v3}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: beside-the-bad}
data: {a: b}
"""
UNKNOWN_KIND = "apiVersion: networking.istio.io/v1\nkind: VirtualServer\nmetadata: {name: reviews}\n"
WRONG_TYPE = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: reviews}\nspec: {hosts: [reviews], http: yes}\n"
BROKEN = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x\ndata: ]\n"


RATINGS_DOWN = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ratings}
spec:
  hosts: [ratings]
  http:
    - fault: {abort: {percentage: {value: 100}, httpStatus: 503}}
      route: [{destination: {host: ratings, subset: v1}}]
"""


def refusals(mesh: Mesh) -> list[str]:
    """What `lateen status` says of refusals, a line each."""
    return [line for line in mesh.run("status").out.splitlines() if ENVOYS_WORDS in line]


def still_v1(mesh: Mesh) -> bool:
    """Whether the page answers, with reviews from v1."""
    page = mesh.call("/productpage")
    return page.status == 200 and "Error fetching" not in page.body and "glyphicon-star" not in page.body


def test_what_envoy_refuses_changes_nothing_and_is_told(mesh: Mesh, networking: Path) -> None:
    """Envoy refuses a rule: requests go on under the last good one, `lateen status` names the object, and no other, with Envoy's
    words, and a corrected rule acts.
    """
    with mesh.applied(networking / "virtual-service-all-v1.yaml"):
        mesh.apply(REFUSED)
        said = wait_until(lambda: refusals(mesh), seconds=10, what="the refusal is told by `lateen status`", every=0.2)
        assert [line.partition(":")[0] for line in said] == ["Envoy refused VirtualService default/reviews"]
        assert [still_v1(mesh) for _ in range(20)] == [True] * 20
        mesh.apply(networking / "virtual-service-reviews-v3.yaml")
        mesh.settle()
        assert 'color="red"' in mesh.call("/productpage").body
        wait_until(lambda: not refusals(mesh), seconds=10, what="the refusal is taken back", every=0.2)


def test_a_refused_object_holds_nothing_else_up(mesh: Mesh, networking: Path) -> None:
    """While a refused rule stands, other rules act within a second, and a pod that starts now gets the last good configuration."""
    with mesh.applied(networking / "virtual-service-all-v1.yaml"):
        mesh.apply(REFUSED)
        wait_until(lambda: refusals(mesh), seconds=10, what="the refusal is told by `lateen status`", every=0.2)
        mesh.apply(RATINGS_DOWN)
        mesh.settle()
        assert mesh.call("/api/v1/products/0/ratings").status == 503
        old = mesh.pod("productpage")
        mesh.must("delete", "pod", old)
        wait_until(lambda: mesh.ready("productpage", without=old), seconds=30, what="a new productpage is ready", every=0.2)
        wait_until(lambda: still_v1(mesh), seconds=10, what="the new pod serves the page")
        assert mesh.call("/api/v1/products/0/ratings").status == 503
        assert [still_v1(mesh) for _ in range(10)] == [True] * 10
        assert refusals(mesh)


def test_a_good_rule_applied_beside_a_bad_one_acts(mesh: Mesh) -> None:
    """A file with a rule that Envoy refuses and one that it takes: the second acts soon, the first alone is told."""
    with mesh.applied(f"{RATINGS_DOWN}---{REFUSED}"):
        wait_until(lambda: mesh.call("/api/v1/products/0/ratings").status == 503, seconds=10, what="the good rule acts", every=0.2)
        said = wait_until(lambda: len(found := refusals(mesh)) == 1 and found, seconds=10, what="one object is told", every=0.2)
        assert "VirtualService default/reviews" in said[0]


def told_alone(mesh: Mesh) -> None:
    """Wait for the page, and for the refusal of one object."""
    wait_until(lambda: mesh.call("/productpage").status == 200, seconds=20, what="the page answers")
    said = wait_until(lambda: len(found := refusals(mesh)) == 1 and found, seconds=20, what="one object is told", every=0.2)
    assert "VirtualService default/reviews" in said[0]


def test_a_refused_object_does_not_keep_a_mesh_from_starting(possible: None, networking: Path, tmp_path: Path) -> None:
    """A mesh that has the rule from its start serves the page all the same, before and after a restart, and tells the one object; what
    worked before the rule was refused is in force after a restart too.
    """
    bad = tmp_path / "bad.yaml"
    bad.write_text(REFUSED)
    own = Mesh(tmp_path / "data")
    try:
        own.up(*DEMO, networking / "destination-rule-all.yaml", networking / "virtual-service-all-v1.yaml", bad)
        told_alone(own)
        own.must("down")
        own.up()
        told_alone(own)
        own.apply(networking / "virtual-service-all-v1.yaml")
        wait_until(lambda: not refusals(own), seconds=10, what="the refusal is taken back", every=0.2)
        own.apply(REFUSED)
        told_alone(own)
        own.must("down")
        own.up()
        told_alone(own)
        assert [still_v1(own) for _ in range(10)] == [True] * 10
    finally:
        own.down()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (UNKNOWN_FIELD, ("wrong.yaml:8", "reviews", "spec.http[0].ruote")),
        (UNKNOWN_KIND, ("wrong.yaml:2", "VirtualServer")),
        (WRONG_TYPE, ("wrong.yaml:4", "reviews", "spec.http")),
        (BROKEN, ("wrong.yaml:4",)),
    ],
    ids=["unknown field", "unknown kind", "wrong type", "broken YAML"],
)
def test_a_wrong_file_is_told_by_line_and_changes_nothing(mesh: Mesh, tmp_path: Path, text: str, words: tuple[str, ...]) -> None:
    """The message names file, line, object and field; the exit code is not 0; the running mesh is as before."""
    before = mesh.objects("virtualservices")
    file = tmp_path / "wrong.yaml"
    file.write_text(text)
    ran = mesh.run("apply", "-f", str(file))
    assert ran.code not in {0, 2}, ran
    assert [word for word in words if word not in ran.out + ran.err] == [], ran
    assert "Traceback" not in ran.err
    assert mesh.objects("virtualservices") == before
    assert mesh.call("/productpage").status == 200
    mesh.run("delete", "configmap", "beside-the-bad")


def test_waiting_for_what_is_refused_ends_with_the_reason(mesh: Mesh) -> None:
    """`lateen wait` does not wait for what Envoy refuses: it ends with 1 and Envoy's words."""
    with mesh.applied(REFUSED):
        ran = mesh.run("wait", "-f", "-", text=REFUSED)
        assert ran.code == 1
        assert ENVOYS_WORDS in ran.err
