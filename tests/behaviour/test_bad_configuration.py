"""Configuration that is wrong is refused, by the command line or by Envoy, and never takes traffic down."""

from pathlib import Path

import pytest

from lateen.testing.mesh import Mesh
from lateen.testing.waiting import wait_until

pytestmark = [pytest.mark.envoy, pytest.mark.netns, pytest.mark.slow]

# RE2, which Envoy uses, has no back references.
REFUSED = r"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
    - match: [{headers: {x-kind: {regex: "(a)\\1"}}}]
      route: [{destination: {host: reviews, subset: v3}}]
    - route: [{destination: {host: reviews, subset: v3}}]
"""
ENVOYS_WORDS = "invalid escape sequence"
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


def test_what_envoy_refuses_changes_nothing_and_is_told(mesh: Mesh, networking: Path) -> None:
    """Envoy refuses a rule: requests go on under the last good one, `lateen status` names the object with Envoy's words, and a
    corrected rule acts.
    """
    with mesh.applied(networking / "virtual-service-all-v1.yaml"):
        mesh.apply(REFUSED)
        said = wait_until(
            lambda: ENVOYS_WORDS in (status := mesh.run("status").out) and status,
            seconds=10,
            what="the refusal is told by `lateen status`",
            every=0.2,
        )
        assert "VirtualService default/reviews" in said
        assert "VirtualService default/details" not in said
        for _ in range(20):
            page = mesh.call("/productpage")
            assert page.status == 200 and "Error fetching" not in page.body and "glyphicon-star" not in page.body
        mesh.apply(networking / "virtual-service-reviews-v3.yaml")
        mesh.settle()
        assert 'color="red"' in mesh.call("/productpage").body
        wait_until(lambda: ENVOYS_WORDS not in mesh.run("status").out, seconds=10, what="the refusal is taken back", every=0.2)


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
