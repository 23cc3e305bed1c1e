"""Bookinfo's product page: asks details and reviews, and shows the book; people sign in here, under any name.

Its time limits are the original's, with the original's known fault: reviews get 3 s and are asked twice, so that
reviews that take longer than 6 s (reviews v2 would wait 10 s for its ratings) never reach the page. Must not draw the
page itself (`productpage_html`).
"""

import base64
import json
import os
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from lateen.samples import productpage_html as page
from lateen.samples.bookinfo import PORT, backend, pass_on
from lateen.samples.client import FetchError, fetch
from lateen.samples.http1 import Headers, Request, Response
from lateen.samples.web import Handler, Params, Route, error, html, json_response, main, print_line, route, text

__all__ = ["Backends", "ProductPage", "build_productpage", "read_backends"]

_PRODUCTS = (
    {
        "id": 0,
        "title": "The Comedy of Errors",
        "descriptionHtml": (
            '<a href="https://en.wikipedia.org/wiki/The_Comedy_of_Errors">Wikipedia Summary</a>: The Comedy of Errors is one of '
            "<b>William Shakespeare's</b> early plays. It is his shortest and one of his most farcical comedies, with a major part of "
            "the humour coming from slapstick and mistaken identity, in addition to puns and word play."
        ),
    },
)


class Backends(NamedTuple):
    details: str
    reviews: str
    ratings: str


def read_backends(environ: Mapping[str, str]) -> Backends:
    return Backends(*(backend(name, environ) for name in Backends._fields))


class ProductPage:
    """The page's handlers; `seconds` is what each call of a back-end may take."""

    def __init__(self, backends: Backends, *, seconds: float) -> None:
        self._backends = backends
        self._seconds = seconds
        self._results: Counter[tuple[str, int]] = Counter()

    async def index(self, _: Request, __: Params) -> Response:
        return html(page.index(self._backends._asdict()))

    async def front(self, request: Request, _: Params) -> Response:
        headers = _headers_for_backends(request)
        details_status, details = await self._ask("details", "0", headers)
        reviews_status, reviews = await self._ask("reviews", "0", headers, attempts=2)
        shown = page.Page(_user(request), _PRODUCTS[0], details_status, details, reviews_status, reviews)
        return html(page.front(shown))

    async def products(self, _: Request, __: Params) -> Response:
        return json_response(_PRODUCTS)

    async def product(self, request: Request, params: Params) -> Response:
        return await self._relay("details", request, params)

    async def reviews(self, request: Request, params: Params) -> Response:
        return await self._relay("reviews", request, params, attempts=2)

    async def ratings(self, request: Request, params: Params) -> Response:
        return await self._relay("ratings", request, params)

    async def login(self, request: Request, _: Params) -> Response:
        form = parse_qs(request.body.decode(errors="replace")) | parse_qs(urlsplit(request.target).query)
        user = form.get("username", [""])[0]
        return _back(request, f"session={_session(user)}; HttpOnly; Path=/")

    async def logout(self, request: Request, _: Params) -> Response:
        return _back(request, "session=; Max-Age=0; HttpOnly; Path=/")

    async def health(self, _: Request, __: Params) -> Response:
        return text("Product page is healthy")

    async def metrics(self, _: Request, __: Params) -> Response:
        lines = ["# HELP request_result_total Results of requests", "# TYPE request_result_total counter"]
        for (app, status), count in sorted(self._results.items()):
            lines.append(f'request_result_total{{destination_app="{app}",response_code="{status}"}} {count}')
        return text("\n".join(lines) + "\n", content_type="text/plain; version=0.0.4; charset=utf-8")

    async def _relay(self, name: str, request: Request, params: Params, *, attempts: int = 1) -> Response:
        if not params["id"].isalnum():
            return error(400, "please provide numeric product id")
        status, answer = await self._ask(name, params["id"], _headers_for_backends(request), attempts=attempts)
        return json_response(answer, status)

    async def _ask(
        self, name: str, product: str, headers: tuple[tuple[str, str], ...], *, attempts: int = 1
    ) -> tuple[int, Mapping[str, object]]:
        """What the back-end `name` says, or the original's excuse with the status that the page saw last."""
        url = f"{getattr(self._backends, name)}/{product}"
        status = 500
        for _ in range(attempts):
            status, found = await self._try(url, headers)
            self._results[name, status] += 1
            if found is not None:
                return 200, found
        kind = "product " + name
        return status, {"error": f"Sorry, {kind} are currently unavailable for this book."}

    async def _try(self, url: str, headers: tuple[tuple[str, str], ...]) -> tuple[int, Mapping[str, object] | None]:
        try:
            answer = await fetch(url, headers, seconds=self._seconds)
            found = json.loads(answer.body) if answer.status == 200 else None
        except (FetchError, ValueError) as failed:
            print_line(str(failed))
            return 500, None
        return answer.status, found if isinstance(found, dict) else None


def _headers_for_backends(request: Request) -> tuple[tuple[str, str], ...]:
    """The fields passed on; `end-user` is the signed-in user's name, never a client's word."""
    passed = tuple((name, value) for name, value in pass_on(request.headers) if name != "end-user")
    user = _user(request)
    return (*passed, ("end-user", user)) if user else passed


def _session(user: str) -> str:
    return base64.urlsafe_b64encode(json.dumps({"user": user}).encode()).decode()


def _user(request: Request) -> str:
    """The signed-in user, from the session cookie; empty without a readable one."""
    try:
        user = json.loads(base64.urlsafe_b64decode(request.cookies()["session"]))["user"]
    except (KeyError, ValueError, TypeError):
        return ""
    return user if isinstance(user, str) else ""


def _back(request: Request, cookie: str) -> Response:
    """A redirect to where the request came from."""
    location = request.headers.get("referer") or "/productpage"
    return Response(302, headers=Headers((("Location", location), ("Set-Cookie", cookie))))


def build_productpage(backends: Backends, *, seconds: float = 3.0) -> Handler:
    app = ProductPage(backends, seconds=seconds)
    return route(
        (
            Route("GET", "/", app.index),
            Route("GET", "/index.html", app.index),
            Route("GET", "/productpage", app.front),
            Route("POST", "/login", app.login),
            Route("GET", "/logout", app.logout),
            Route("GET", "/api/v1/products", app.products),
            Route("GET", "/api/v1/products/{id}", app.product),
            Route("GET", "/api/v1/products/{id}/reviews", app.reviews),
            Route("GET", "/api/v1/products/{id}/ratings", app.ratings),
            Route("GET", "/health", app.health),
            Route("GET", "/metrics", app.metrics),
        )
    )


if __name__ == "__main__":
    main("productpage", build_productpage(read_backends(os.environ)), PORT)
