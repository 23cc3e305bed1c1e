"""Bookinfo when a back-end is slow, broken or away; and what a request carries on to the next service."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest

from lateen.samples.client import Answer, FetchError, fetch
from lateen.samples.details import book_service, build_details
from lateen.samples.http1 import Request, Response
from lateen.samples.productpage import Backends, build_productpage, read_backends
from lateen.samples.ratings import build_ratings
from lateen.samples.reviews import Settings, build_reviews, read_settings
from lateen.samples.web import Handler, json_response

Serving = Callable[[Handler], AbstractAsyncContextManager[str]]

AWAY = "http://127.0.0.1:1/x"  # nothing listens on port 1
EXCUSE = "Sorry, product reviews are currently unavailable for this book."


class Recorder:
    """A back-end that keeps the requests it got and gives `answer`, or nothing until it is let go."""

    def __init__(self, answer: Response | None) -> None:
        self.requests: list[Request] = []
        self._answer = answer

    async def __call__(self, request: Request) -> Response:
        self.requests.append(request)
        if self._answer is None:
            await asyncio.Event().wait()
        assert self._answer is not None
        return self._answer


async def _page(serving: Serving, backends: Backends, path: str = "/productpage", **headers: str) -> Answer:
    async with serving(build_productpage(backends, seconds=0.2)) as url:
        sent = [(name.replace("_", "-"), value) for name, value in headers.items()]
        return await asyncio.wait_for(fetch(url + path, sent, seconds=10), 10)


def test_reviews_that_do_not_answer_are_asked_twice(serving: Serving) -> None:
    """The page gives reviews its time limit, tries once more, and then shows the error that Istio's delay task shows."""

    async def main() -> tuple[Answer, int, float]:
        silent = Recorder(None)
        async with serving(silent) as url:
            begun = asyncio.get_running_loop().time()
            answer = await _page(serving, Backends(AWAY, f"{url}/reviews", AWAY))
            return answer, len(silent.requests), asyncio.get_running_loop().time() - begun

    answer, asked, took = asyncio.run(main())
    assert answer.status == 200
    assert EXCUSE in answer.body.decode()
    assert "Error fetching product reviews" in answer.body.decode()
    assert asked == 2
    assert took >= 0.4


def test_details_that_do_not_answer_are_asked_once(serving: Serving) -> None:
    """Only reviews are tried again; the rest of the page stands."""

    async def main() -> tuple[Answer, int]:
        silent = Recorder(None)
        plain = build_reviews(Settings("pod", "null", None, "black", 1))
        async with serving(silent) as url, serving(plain) as reviews:
            return await _page(serving, Backends(f"{url}/details", f"{reviews}/reviews", AWAY)), len(silent.requests)

    answer, asked = asyncio.run(main())
    assert "Sorry, product details are currently unavailable for this book." in answer.body.decode()
    assert "Reviewer2" in answer.body.decode()
    assert asked == 1


def test_a_back_ends_status_reaches_the_api(serving: Serving) -> None:
    """An aborted call's status goes through, with the excuse; a back-end that is away counts as 500."""

    async def main() -> tuple[Answer, Answer]:
        async with serving(Recorder(json_response({}, 503))) as url:
            backends = Backends(AWAY, f"{url}/reviews", AWAY)
            return (
                await _page(serving, backends, "/api/v1/products/0/reviews"),
                await _page(serving, backends, "/api/v1/products/0/ratings"),
            )

    aborted, away = asyncio.run(main())
    assert (aborted.status, EXCUSE in aborted.body.decode()) == (503, True)
    assert away.status == 500


@pytest.mark.parametrize(
    "answer", [None, json_response({"ratings": {"Reviewer1": 5}}, 500), json_response({"no": 1}), Response(200, b"no JSON")]
)
def test_reviews_without_ratings_say_so_in_the_stars_place(serving: Serving, answer: Response | None) -> None:
    """Ratings too slow, failing or senseless: the reviews stay, and the page says what is missing."""

    async def main() -> str:
        async with serving(Recorder(answer)) as ratings:
            settings = Settings("pod", "null", f"{ratings}/ratings", "black", 0.1)
            async with (
                serving(build_reviews(settings)) as reviews,
                serving(build_productpage(Backends(AWAY, f"{reviews}/reviews", AWAY))) as url,
            ):
                return (await fetch(f"{url}/productpage", seconds=10)).body.decode()

    page = asyncio.run(main())
    assert page.count("Ratings service is currently unavailable") == 2
    assert "Absolutely fun and entertaining" in page
    assert "glyphicon" not in page


def test_a_reviewer_whom_ratings_do_not_know_has_no_stars(serving: Serving) -> None:
    """Ratings for one reviewer only give stars to that one."""

    async def main() -> str:
        async with serving(build_ratings()) as ratings:
            posted = b'POST /ratings/0 HTTP/1.0\r\nContent-Length: 15\r\n\r\n{"Reviewer1":3}'
            reader, writer = await asyncio.open_connection("127.0.0.1", int(ratings.rpartition(":")[2]))
            writer.write(posted)
            assert b"200 OK" in await reader.read()
            writer.close()
            async with serving(build_reviews(Settings("pod", "null", f"{ratings}/ratings", "red", 5))) as reviews:
                return (await fetch(f"{reviews}/reviews/0", seconds=10)).body.decode()

    said = asyncio.run(main())
    assert '{"stars": 3, "color": "red"}' in said
    assert said.count("currently unavailable") == 1


PASSED = {
    "x_request_id": "r1", "x_b3_traceid": "t1", "x_b3_spanid": "s1", "x_b3_sampled": "1", "b3": "0", "traceparent": "00-1-2-01",
    "tracestate": "a=b", "x_ot_span_context": "o", "x_datadog_trace_id": "7", "x_cloud_trace_context": "c", "grpc_trace_bin": "g",
    "sw8": "w", "user_agent": "ua/1", "authorization": "Bearer z", "cookie": "session=eyJ1c2VyIjogImphc29uIn0=; other=1",
}  # fmt: skip


def test_page_passes_on_trace_headers_and_the_signed_in_user(serving: Serving) -> None:
    """What makes a trace goes on, and the user as `end-user`; other fields do not, nor does a client's own `end-user`."""

    async def main() -> Request:
        recorder = Recorder(json_response({"reviews": []}))
        async with serving(recorder) as url:
            await _page(serving, Backends(f"{url}/details", AWAY, AWAY), end_user="mallory", x_other="no", **PASSED)
        return recorder.requests[0]

    got = asyncio.run(main())
    assert got.target == "/details/0"
    assert {name: got.headers.get(name.replace("_", "-")) for name in PASSED} == PASSED
    assert got.headers.all("end-user") == ("jason",)
    assert got.headers.all("x-other") == ()


def test_nobody_signed_in_means_no_end_user(serving: Serving) -> None:
    """Without a session, or with one that nobody wrote, the back-ends see no user."""

    async def main(cookie: str) -> Request:
        recorder = Recorder(json_response({"reviews": []}))
        async with serving(recorder) as url:
            await _page(serving, Backends(f"{url}/details", AWAY, AWAY), cookie=cookie)
        return recorder.requests[0]

    for cookie in ("a=b", "session=%%%", "session=bm8=", "session=e30="):
        assert asyncio.run(main(cookie)).headers.all("end-user") == ()


def test_reviews_pass_the_user_on_to_ratings(serving: Serving) -> None:
    """`end-user` and the trace reach the third service."""

    async def main() -> Request:
        recorder = Recorder(json_response({"ratings": {}}))
        async with serving(recorder) as url, serving(build_reviews(Settings("pod", "null", f"{url}/ratings", "black", 5))) as reviews:
            await fetch(f"{reviews}/reviews/0", [("end-user", "jason"), ("x-request-id", "r1"), ("x-other", "no")], seconds=10)
        return recorder.requests[0]

    got = asyncio.run(main())
    assert (got.headers.get("end-user"), got.headers.get("x-request-id"), got.headers.get("x-other")) == ("jason", "r1", "")


def test_a_line_break_in_a_name_adds_no_header(serving: Serving) -> None:
    """A user's name with a line break stays one field."""

    async def main() -> Request:
        recorder = Recorder(json_response({"reviews": []}))
        async with serving(recorder) as url:
            cookie = "session=eyJ1c2VyIjogImFcclxuYjogYyJ9"  # {"user": "a\r\nb: c"}
            await _page(serving, Backends(f"{url}/details", AWAY, AWAY), cookie=cookie)
        return recorder.requests[0]

    got = asyncio.run(main())
    assert got.headers.get("end-user") == "a  b: c"
    assert got.headers.get("b") == ""


def test_time_limits_are_the_originals() -> None:
    """Reviews with black stars wait 10 s for ratings, with red ones 2.5 s; the page 3 s for anyone."""
    on = {"ENABLE_RATINGS": "true"}
    assert read_settings({**on, "STAR_COLOR": "black"}).seconds == 10
    assert read_settings({**on, "STAR_COLOR": "red"}).seconds == 2.5
    assert read_settings({}).ratings is None
    assert build_productpage.__kwdefaults__ == {"seconds": 3.0}


def test_back_ends_are_where_the_environment_says() -> None:
    """Kubernetes' names by default; host, port and domain can be set one by one."""
    assert read_backends({}) == ("http://details:9080/details", "http://reviews:9080/reviews", "http://ratings:9080/ratings")
    moved = read_backends({"SERVICES_DOMAIN": "shop.svc", "DETAILS_HOSTNAME": "books", "RATINGS_SERVICE_PORT": "81"})
    assert moved.details == "http://books.shop.svc:9080/details"
    assert moved.ratings == "http://ratings.shop.svc:81/ratings"


def test_details_v2_asks_the_external_book_service(serving: Serving) -> None:
    """Its card is made of Google Books' answer; the user's cookies and tokens stay inside."""
    volume = {
        "authors": ["W. S."], "publishedDate": "2002", "printType": "BOOK", "pageCount": 96, "publisher": "Dover", "language": "en",
        "industryIdentifiers": [{"type": "ISBN_10", "identifier": "0486424618"}, {"type": "ISBN_13", "identifier": "9780486424613"}],
    }  # fmt: skip

    async def main() -> tuple[Answer, Request, Answer]:
        recorder = Recorder(json_response({"items": [{"volumeInfo": volume}]}))
        async with serving(recorder) as books, serving(build_details(f"{books}/books/v1/volumes")) as url:
            found = await fetch(f"{url}/details/0", [("cookie", "a=b")], seconds=10)
        async with serving(build_details(AWAY)) as url:
            return found, recorder.requests[0], await fetch(f"{url}/details/0", seconds=10)

    found, asked, away = asyncio.run(main())
    assert found.status == 200
    assert b'"author": "W. S."' in found.body
    assert b'"ISBN-10": "0486424618"' in found.body
    assert asked.target == "/books/v1/volumes?q=isbn:0486424618"
    assert asked.headers.all("cookie") == ()
    assert away.status == 500
    assert book_service({}) is None
    assert book_service({"ENABLE_EXTERNAL_BOOK_SERVICE": "true"}) == "https://www.googleapis.com/books/v1/volumes"


def test_fetch_says_why_there_is_no_answer(serving: Serving) -> None:
    """Nobody there and too slow are told apart, with the address."""

    async def main() -> None:
        with pytest.raises(FetchError, match=r"no answer from http://127\.0\.0\.1:1/x: "):
            await fetch(AWAY, seconds=5)
        async with serving(Recorder(None)) as url:
            with pytest.raises(FetchError, match=r"within 0\.1 s"):
                await fetch(url, seconds=0.1)

    asyncio.run(main())
