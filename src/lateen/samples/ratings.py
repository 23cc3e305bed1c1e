"""Bookinfo's ratings: how many stars each reviewer gave; a POST changes them until the program ends.

Must not keep anything on disk.
"""

import json

from lateen.samples.bookinfo import PORT, is_product
from lateen.samples.http1 import Request, Response
from lateen.samples.web import Handler, Params, Route, error, json_response, main, route

__all__ = ["build_ratings"]

_STARS = {"Reviewer1": 5, "Reviewer2": 4}


def build_ratings() -> Handler:
    posted: dict[int, object] = {}

    async def read(_: Request, params: Params) -> Response:
        if not is_product(params["id"]):
            return error(400, "please provide numeric product ID")
        product = int(params["id"])
        return json_response({"id": product, "ratings": posted.get(product, _STARS)})

    async def write(request: Request, params: Params) -> Response:
        if not is_product(params["id"]):
            return error(400, "please provide numeric product ID")
        try:
            posted[int(params["id"])] = json.loads(request.body)
        except ValueError:
            return error(400, "please provide valid ratings JSON")
        return await read(request, params)

    async def health(_: Request, __: Params) -> Response:
        return json_response({"status": "Ratings is healthy"})

    return route((Route("GET", "/ratings/{id}", read), Route("POST", "/ratings/{id}", write), Route("GET", "/health", health)))


if __name__ == "__main__":
    main("ratings", build_ratings(), PORT)
