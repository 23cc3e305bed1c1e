"""Bookinfo's details: what a library card says of the book.

Version 2 (`ENABLE_EXTERNAL_BOOK_SERVICE=true`) asks Google Books, the sample of traffic that leaves the mesh; with
`DO_NOT_ENCRYPT=true` in plaintext, so that an egress gateway may add the TLS. Must not send a
user's cookies or tokens there.
"""

import json
import os
from collections.abc import Mapping

from lateen.samples.bookinfo import PORT, is_product
from lateen.samples.client import FetchError, fetch
from lateen.samples.http1 import Request, Response
from lateen.samples.web import Handler, Params, Route, error, json_response, main, route

__all__ = ["book_service", "build_details"]

_ISBN = "0486424618"
_WAIT = 5.0
_CARD = {
    "author": "William Shakespeare",
    "year": 1595,
    "type": "paperback",
    "pages": 200,
    "publisher": "PublisherA",
    "language": "English",
    "ISBN-10": "1234567890",
    "ISBN-13": "123-1234567890",
}


def book_service(environ: Mapping[str, str]) -> str | None:
    """The address of the external book service, or None for the version that has the card itself."""
    if environ.get("ENABLE_EXTERNAL_BOOK_SERVICE") != "true":
        return None
    scheme = "http" if environ.get("DO_NOT_ENCRYPT") == "true" else "https"
    return f"{scheme}://www.googleapis.com/books/v1/volumes"


def build_details(books: str | None) -> Handler:
    async def read(_: Request, params: Params) -> Response:
        if not is_product(params["id"]):
            return error(400, "please provide numeric product id")
        product = int(params["id"])
        if books is None:
            return json_response({"id": product, **_CARD})
        try:
            answer = await fetch(f"{books}?q=isbn:{_ISBN}", seconds=_WAIT)
            return json_response({"id": product, **_card_of(json.loads(answer.body))})
        except (FetchError, ValueError, KeyError, IndexError, TypeError) as failed:
            return error(500, f"no details from {books}: {failed!r}")

    async def health(_: Request, __: Params) -> Response:
        return json_response({"status": "Details is healthy"})

    return route((Route("GET", "/details/{id}", read), Route("GET", "/health", health)))


def _card_of(volumes: Mapping[str, list[Mapping[str, Mapping[str, object]]]]) -> dict[str, object]:
    """The card in the answer of Google Books."""
    volume = volumes["items"][0]["volumeInfo"]
    authors, numbers = volume["authors"], volume["industryIdentifiers"]
    if not isinstance(authors, list) or not isinstance(numbers, list):
        raise TypeError("authors and identifiers are not lists")
    isbn = {each["type"]: each["identifier"] for each in numbers}
    return {
        "author": authors[0],
        "year": volume["publishedDate"],
        "type": "paperback" if volume.get("printType") == "BOOK" else "unknown",
        "pages": volume.get("pageCount"),
        "publisher": volume.get("publisher"),
        "language": "English" if volume.get("language") == "en" else "unknown",
        "ISBN-10": isbn.get("ISBN_10"),
        "ISBN-13": isbn.get("ISBN_13"),
    }


if __name__ == "__main__":
    main("details", build_details(book_service(os.environ)), PORT)
