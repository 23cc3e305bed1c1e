"""Requests go where VirtualServices say: by service, by user, by path, method and query."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lateen.testing.mesh import ACTS_WITHIN, Mesh, Reply

pytestmark = [pytest.mark.envoy, pytest.mark.netns, pytest.mark.slow]

STARS = "glyphicon-star"
BLACK, RED = 'color="black"', 'color="red"'

MATCHES = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: httpbin}
spec:
  hosts: [httpbin]
  http:
    - match: [{uri: {prefix: /old/}}]
      redirect: {uri: /anything/new, redirectCode: 308}
    - match: [{uri: {prefix: /short/}}]
      rewrite: {uri: /anything/long/}
      route: [{destination: {host: httpbin}}]
    - match: [{method: {exact: DELETE}}]
      directResponse: {status: 405}
    - match: [{uri: {exact: /get}, queryParams: {teapot: {exact: "yes"}}}]
      rewrite: {uri: /status/418}
      route: [{destination: {host: httpbin}}]
    - match: [{headers: {x-kind: {regex: "gold|silver"}}}]
      route: [{destination: {host: httpbin}, headers: {request: {set: {x-class: first}}, response: {add: {x-served: apart}}}}]
    - route: [{destination: {host: httpbin}}]
"""


@pytest.fixture
def page(mesh: Mesh) -> Callable[[str], str]:
    """The product page as a user sees it; "" has not signed in."""

    def get(user: str) -> str:
        answer = mesh.call("/productpage", headers=mesh.sign_in(user) if user else {})
        assert answer.status == 200
        assert "Error fetching" not in answer.body
        return answer.body

    return get


def test_without_rules_all_versions_are_seen(mesh: Mesh, page: Callable[[str], str]) -> None:
    """Without a VirtualService the requests are spread over all pods of the service: no stars, black ones and red ones."""
    pages = [page("") for _ in range(30)]
    assert any(STARS not in each for each in pages)
    assert any(BLACK in each for each in pages)
    assert any(RED in each for each in pages)


def test_all_v1_shows_no_stars(mesh: Mesh, networking: Path, page: Callable[[str], str]) -> None:
    """With virtual-service-all-v1, 20 of 20 pages come from reviews v1, which has no stars."""
    with mesh.applied(networking / "virtual-service-all-v1.yaml"):
        assert sum(STARS in page("") for _ in range(20)) == 0


def test_only_jason_sees_version_2(mesh: Mesh, networking: Path, page: Callable[[str], str]) -> None:
    """With virtual-service-reviews-test-v2 the user jason sees black stars, and others none."""
    with mesh.applied(networking / "virtual-service-all-v1.yaml", networking / "virtual-service-reviews-test-v2.yaml"):
        seen = [page("jason") for _ in range(10)]
        assert all(STARS in each and BLACK in each and RED not in each for each in seen)
        assert not any(STARS in page("mary") for _ in range(5))
        assert not any(STARS in page("") for _ in range(5))


def test_a_change_acts_within_a_second(mesh: Mesh, networking: Path, page: Callable[[str], str]) -> None:
    """New requests follow a changed VirtualService one second after `apply` returned, at the latest."""
    with mesh.applied(networking / "virtual-service-all-v1.yaml"):
        mesh.apply(networking / "virtual-service-reviews-v3.yaml")
        taken = mesh.seconds_until(lambda: all(RED in page("") for _ in range(3)), what="three pages with red stars")
        assert taken <= ACTS_WITHIN
        mesh.apply(networking / "virtual-service-all-v1.yaml")
        taken = mesh.seconds_until(lambda: all(STARS not in page("") for _ in range(3)), what="three pages without stars")
        assert taken <= ACTS_WITHIN


def test_paths_methods_queries_and_headers_are_matched(mesh: Mesh) -> None:
    """Redirect, rewrite, direct response, and changes of headers, each where its match holds, in the order written."""
    curl = mesh.pod("curl")

    def get(path: str, method: str = "GET", headers: tuple[str, ...] = ()) -> Reply:
        return mesh.call_from(curl, f"http://httpbin:8000{path}", method=method, headers=headers)[0]

    with mesh.applied(MATCHES):
        moved = get("/old/book")
        assert (moved.status, moved.headers["location"]) == (308, "http://httpbin:8000/anything/new")
        assert str(get("/short/way").json()["url"]).endswith("/anything/long/way")
        assert get("/get", method="DELETE").status == 405
        assert get("/get?teapot=yes").status == 418
        gold = get("/headers", headers=("x-kind:gold",))
        assert gold.json()["headers"]["X-Class"] == ["first"]
        assert gold.headers["x-served"] == "apart"
        plain = get("/headers", headers=("x-kind:golden",))  # a regular expression matches the whole value
        assert "X-Class" not in plain.json()["headers"]
        assert "x-served" not in plain.headers
