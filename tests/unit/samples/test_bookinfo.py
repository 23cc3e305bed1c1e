"""The four programs of Bookinfo together, as they run in pods."""

import asyncio
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

Start = Callable[..., Any]

COLORS = {"v1": {}, "v2": {"ENABLE_RATINGS": "true", "STAR_COLOR": "black"}, "v3": {"ENABLE_RATINGS": "true", "STAR_COLOR": "red"}}
FILLED = re.compile(r'glyphicon-star"')


class Bookinfo(NamedTuple):
    details: Any
    ratings: Any
    reviews: dict[str, Any]
    pages: dict[str, Any]


@pytest.fixture(scope="module")
def bookinfo(start: Start) -> Bookinfo:
    """One product page for each version of reviews."""
    details, ratings = start("details"), start("ratings")
    at_ratings = {"RATINGS_HOSTNAME": "127.0.0.1", "RATINGS_SERVICE_PORT": str(ratings.ports[0])}
    reviews = {version: start("reviews", **at_ratings, **env) for version, env in COLORS.items()}
    at_details = {"DETAILS_HOSTNAME": "127.0.0.1", "DETAILS_SERVICE_PORT": str(details.ports[0])}
    pages = {
        version: start("productpage", **at_ratings, **at_details, REVIEWS_HOSTNAME="127.0.0.1", REVIEWS_SERVICE_PORT=str(each.ports[0]))
        for version, each in reviews.items()
    }
    return Bookinfo(details, ratings, reviews, pages)


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, timeout=20) as client:
        yield client


@pytest.mark.parametrize(
    ("program", "said"),
    [("details", {"status": "Details is healthy"}), ("ratings", {"status": "Ratings is healthy"})],
)
def test_back_ends_say_that_they_are_healthy(bookinfo: Bookinfo, client: httpx.Client, program: str, said: dict[str, str]) -> None:
    """`/health` answers with the original's words."""
    assert client.get(f"{getattr(bookinfo, program).url}/health").json() == said
    assert client.get(f"{bookinfo.reviews['v1'].url}/health").json() == {"status": "Reviews is healthy"}
    assert client.get(f"{bookinfo.pages['v1'].url}/health").text == "Product page is healthy"


def test_details_are_the_originals(bookinfo: Bookinfo, client: httpx.Client) -> None:
    """`/details/0` gives the library card; a product that is no number is refused."""
    assert client.get(f"{bookinfo.details.url}/details/0").json() == {
        "id": 0, "author": "William Shakespeare", "year": 1595, "type": "paperback", "pages": 200,
        "publisher": "PublisherA", "language": "English", "ISBN-10": "1234567890", "ISBN-13": "123-1234567890",
    }  # fmt: skip
    assert client.get(f"{bookinfo.details.url}/details/x").status_code == 400


def test_posted_ratings_are_kept(start: Start, client: httpx.Client) -> None:
    """POST /ratings/7 changes what GET /ratings/7 says, and nothing else; broken JSON is refused."""
    url = start("ratings").url
    first = {"id": 0, "ratings": {"Reviewer1": 5, "Reviewer2": 4}}
    assert client.get(f"{url}/ratings/0").json() == first
    assert client.post(f"{url}/ratings/7", json={"Reviewer1": 1}).json() == {"id": 7, "ratings": {"Reviewer1": 1}}
    assert client.get(f"{url}/ratings/7").json() == {"id": 7, "ratings": {"Reviewer1": 1}}
    assert client.get(f"{url}/ratings/0").json() == first
    assert client.post(f"{url}/ratings/7", content=b"{").status_code == 400


@pytest.mark.parametrize(("version", "color"), [("v1", None), ("v2", "black"), ("v3", "red")])
def test_versions_of_reviews_differ_in_their_stars(bookinfo: Bookinfo, client: httpx.Client, version: str, color: str | None) -> None:
    """v1 has no rating, v2 black stars, v3 red ones; the pod says its name, and the id is text as the original's."""
    said = client.get(f"{bookinfo.reviews[version].url}/reviews/0").json()
    assert (said["id"], said["podname"], said["clustername"]) == ("0", "reviews-pod", "null")
    assert [each["reviewer"] for each in said["reviews"]] == ["Reviewer1", "Reviewer2"]
    wanted = [None, None] if color is None else [{"stars": 5, "color": color}, {"stars": 4, "color": color}]
    assert [each.get("rating") for each in said["reviews"]] == wanted


@pytest.mark.parametrize(("version", "color"), [("v2", "black"), ("v3", "red")])
def test_page_shows_the_stars_in_their_color(bookinfo: Bookinfo, client: httpx.Client, version: str, color: str) -> None:
    """Nine filled stars and an empty one, marked with their colour for eyes and for scripts."""
    page = client.get(f"{bookinfo.pages[version].url}/productpage").text
    assert len(FILLED.findall(page)) == 9
    assert page.count("glyphicon-star-empty") == 1
    assert re.findall(r'data-stars="(\d)" data-color="(\w+)"', page) == [("5", color), ("4", color)]
    assert page.count(f'<font color="{color}">') == 2


def test_page_without_stars_has_no_word_of_them(bookinfo: Bookinfo, client: httpx.Client) -> None:
    """With reviews v1 a script that looks for a star finds none; title, summary, details and the pod are there."""
    page = client.get(f"{bookinfo.pages['v1'].url}/productpage?u=normal").text
    assert "star" not in page.lower()
    assert "<title>Simple Bookstore App</title>" in page
    assert all(words in page for words in ("The Comedy of Errors", "Book Details", "PublisherA", "Book Reviews", "Reviews served by:"))
    assert 'data-podname="reviews-pod"' in page
    assert not re.search(r'(?:src|href)="https?://(?!en\.wikipedia)|url\(|@import', page), "the page fetches something from elsewhere"


def test_signing_in_shows_the_user_until_signing_out(bookinfo: Bookinfo, client: httpx.Client) -> None:
    """POST /login sets the cookie `session` and leads back; /logout takes it away."""
    url = bookinfo.pages["v1"].url
    went = client.post(f"{url}/login", data={"username": "jason", "passwd": "x"}, headers={"referer": f"{url}/productpage?u=test"})
    assert (went.status_code, went.headers["location"]) == (302, f"{url}/productpage?u=test")
    assert "session" in client.cookies
    assert 'data-user="jason"' in client.get(f"{url}/productpage").text
    assert client.get(f"{url}/logout").headers["location"] == "/productpage"
    assert "session" not in client.cookies
    assert "data-user" not in client.get(f"{url}/productpage").text


def test_names_from_outside_are_text_on_the_page(bookinfo: Bookinfo, client: httpx.Client) -> None:
    """A user's name cannot put markup on the page."""
    url = bookinfo.pages["v1"].url
    client.post(f"{url}/login", data={"username": "<script>1</script>"})
    page = client.get(f"{url}/productpage").text
    assert "<script>" not in page
    assert "&lt;script&gt;1" in page


def test_products_are_served_as_json(bookinfo: Bookinfo, client: httpx.Client) -> None:
    """`/api/v1/products` lists the book; under it are its details, reviews and ratings."""
    api = f"{bookinfo.pages['v2'].url}/api/v1/products"
    (book,) = client.get(api).json()
    assert (book["id"], book["title"]) == (0, "The Comedy of Errors")
    assert client.get(f"{api}/0").json()["author"] == "William Shakespeare"
    assert client.get(f"{api}/0/reviews").json()["reviews"][0]["rating"]["stars"] == 5
    assert client.get(f"{api}/0/ratings").json() == {"id": 0, "ratings": {"Reviewer1": 5, "Reviewer2": 4}}


def test_index_leads_to_both_users(bookinfo: Bookinfo, client: httpx.Client) -> None:
    """`/` links the page for a normal and for a test user, and paths that are not there give 404."""
    url = bookinfo.pages["v1"].url
    page = client.get(url).text
    assert "/productpage?u=normal" in page
    assert "/productpage?u=test" in page
    assert client.get(f"{url}/static/none").status_code == 404


def test_page_counts_what_back_ends_answered(bookinfo: Bookinfo, client: httpx.Client) -> None:
    """`/metrics` has the results by service and status, as Prometheus reads them."""
    url = bookinfo.pages["v3"].url
    client.get(f"{url}/api/v1/products/0/ratings")
    assert 'request_result_total{destination_app="ratings",response_code="200"}' in client.get(f"{url}/metrics").text


def test_five_hundred_pages_at_once_all_succeed(bookinfo: Bookinfo) -> None:
    """500 pages, ten at a time, each whole."""

    async def load() -> list[int]:
        limits = httpx.Limits(max_connections=10)
        async with httpx.AsyncClient(trust_env=False, timeout=60, limits=limits) as client:
            answers = await asyncio.gather(*(client.get(f"{bookinfo.pages['v1'].url}/productpage") for _ in range(500)))
        return [answer.status_code for answer in answers if "Book Reviews" in answer.text]

    assert asyncio.run(load()) == [200] * 500


def test_a_program_starts_cheaply_and_stays_small(start: Start) -> None:
    """Six start at once on two cores: each takes less than 0.3 s of CPU until it listens, and less than 40 MB."""
    for name in ("productpage", "reviews", "details", "ratings"):
        process = start(name).process
        fields = Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        assert (int(fields[11]) + int(fields[12])) / 100 < 0.3
        resident = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text(encoding="ascii"))
        assert resident is not None
        assert int(resident[1]) < 40_000
