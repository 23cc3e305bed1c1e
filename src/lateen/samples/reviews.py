"""Bookinfo's reviews: two reviews of the book; v1 without stars, v2 with black ones, v3 with red ones.

Must not know its version other than through the environment that its image sets: `ENABLE_RATINGS` and `STAR_COLOR`.
"""

import json
import os
from collections.abc import Mapping
from typing import NamedTuple

from lateen.samples.bookinfo import PORT, backend, is_product, pass_on
from lateen.samples.client import FetchError, fetch
from lateen.samples.http1 import Request, Response
from lateen.samples.web import Handler, Params, Route, error, hostname, json_response, main, print_line, route

__all__ = ["Settings", "build_reviews", "read_settings"]

_REVIEWS = (
    ("Reviewer1", "An extremely entertaining play by Shakespeare. The slapstick humour is refreshing!"),
    ("Reviewer2", "Absolutely fun and entertaining. The play lacks thematic depth when compared to other plays by Shakespeare."),
)


class Settings(NamedTuple):
    """`ratings` is the back-end's address, or None for the version without stars."""

    podname: str
    clustername: str
    ratings: str | None
    color: str
    seconds: float


def read_settings(environ: Mapping[str, str]) -> Settings:
    """The settings of the original: the version with black stars is the one that waits too long for its ratings."""
    color = environ.get("STAR_COLOR") or "black"
    return Settings(
        podname=hostname(),
        clustername=environ.get("CLUSTER_NAME", "null"),
        ratings=backend("ratings", environ) if environ.get("ENABLE_RATINGS", "").lower() == "true" else None,
        color=color,
        seconds=10 if color == "black" else 2.5,
    )


def build_reviews(settings: Settings) -> Handler:
    async def rating(stars: Mapping[str, object], reviewer: str) -> dict[str, object]:
        if reviewer in stars:
            return {"stars": stars[reviewer], "color": settings.color}
        return {"error": "Ratings service is currently unavailable"}

    async def read(request: Request, params: Params) -> Response:
        if not is_product(params["id"]):
            return error(400, "please provide numeric product ID")
        reviews: list[dict[str, object]] = [{"reviewer": reviewer, "text": text} for reviewer, text in _REVIEWS]
        if settings.ratings is not None:
            stars = await _stars(f"{settings.ratings}/{params['id']}", request, settings.seconds)
            for review in reviews:
                review["rating"] = await rating(stars, str(review["reviewer"]))
        named = {"id": params["id"], "podname": settings.podname, "clustername": settings.clustername}
        return json_response({**named, "reviews": reviews})

    async def health(_: Request, __: Params) -> Response:
        return json_response({"status": "Reviews is healthy"})

    return route((Route("GET", "/reviews/{id}", read), Route("GET", "/health", health)))


async def _stars(url: str, request: Request, seconds: float) -> Mapping[str, object]:
    """The stars by reviewer; none where the ratings cannot be had."""
    try:
        answer = await fetch(url, pass_on(request.headers), seconds=seconds)
        if answer.status != 200:
            print_line(f"{url} answered {answer.status}")
            return {}
        found = json.loads(answer.body)["ratings"]
    except FetchError as failed:
        print_line(str(failed))
        return {}
    except (ValueError, KeyError, TypeError):
        print_line(f"the answer of {url} has no ratings in it")
        return {}
    return found if isinstance(found, dict) else {}


if __name__ == "__main__":
    main("reviews", build_reviews(read_settings(os.environ)), PORT)
