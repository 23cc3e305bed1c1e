"""Delays and aborts are put between two services, for the chosen requests only."""

from pathlib import Path

import pytest

from lateen.testing.mesh import Mesh

pytestmark = [pytest.mark.envoy, pytest.mark.netns, pytest.mark.slow]

NO_REVIEWS = "Sorry, product reviews are currently unavailable for this book."
NO_RATINGS = "Ratings service is currently unavailable"


@pytest.fixture
def rules(networking: Path) -> tuple[Path, Path]:
    """What Istio's task has in place: everything v1, and reviews v2 for jason."""
    return networking / "virtual-service-all-v1.yaml", networking / "virtual-service-reviews-test-v2.yaml"


def test_a_delay_of_ratings_shows_jason_the_known_fault(mesh: Mesh, networking: Path, rules: tuple[Path, Path]) -> None:
    """Ratings answer jason after 7 s; reviews would wait, but the page gives up after twice 3 s and says so. Others notice nothing."""
    with mesh.applied(*rules, networking / "virtual-service-ratings-test-delay.yaml"):
        jason = mesh.call("/productpage", headers=mesh.sign_in("jason"))
        assert NO_REVIEWS in jason.body
        assert 5.9 <= jason.seconds < 7
        mary = mesh.call("/productpage", headers=mesh.sign_in("mary"))
        assert NO_REVIEWS not in mary.body
        assert mary.seconds < 1


def test_an_abort_of_ratings_is_for_jason_only(mesh: Mesh, networking: Path, rules: tuple[Path, Path]) -> None:
    """The page of jason says at once that there are no ratings; a user of the same version without the fault sees stars."""
    with mesh.applied(*rules, networking / "virtual-service-ratings-test-abort.yaml"):
        jason = mesh.call("/productpage", headers=mesh.sign_in("jason"))
        assert NO_RATINGS in jason.body
        assert jason.seconds < 1
        assert NO_RATINGS not in mesh.call("/productpage").body
        mesh.apply(networking / "virtual-service-reviews-v3.yaml")
        mesh.settle()
        mary = mesh.call("/productpage", headers=mesh.sign_in("mary"))
        assert NO_RATINGS not in mary.body
        assert "glyphicon-star" in mary.body
