"""The httpbin sample: answers with what it was asked, in go-httpbin's JSON (a header's values are a list).

It has the endpoints that Istio's tasks use, not all of the original's. Must not hold state: every answer follows from
its request alone.
"""

import os
import sys
from collections.abc import Mapping

from lateen.samples.http1 import Headers, Request, Response
from lateen.samples.httpbin_answers import (
    base64_text,
    basic_auth,
    bearer,
    cookies,
    cookies_set,
    echo,
    echo_body,
    go_headers,
    go_json,
    gzipped,
    origin,
    picture,
    random_bytes,
    redirect,
    redirect_to,
    refuse,
    response_headers,
    status,
    stream,
    unique,
    wait,
)
from lateen.samples.web import Handler, Params, Route, html, main, route, text

__all__ = ["build_httpbin", "default_port"]

_ANY = "GET POST PUT PATCH DELETE OPTIONS"


async def _headers(request: Request, _: Params) -> Response:
    return go_json({"headers": go_headers(request)})


async def _ip(request: Request, _: Params) -> Response:
    return go_json({"origin": origin(request)})


async def _user_agent(request: Request, _: Params) -> Response:
    return go_json({"user-agent": request.headers.get("user-agent")})


async def _page(_: Request, __: Params) -> Response:
    return html("<!doctype html>\n<html><head><title>A page</title></head><body><h1>A page</h1><p>Some text.</p></body></html>\n")


async def _json(_: Request, __: Params) -> Response:
    slides: list[Mapping[str, object]] = [
        {"title": "First", "type": "all"},
        {"items": ["one", "two"], "title": "Second", "type": "all"},
    ]
    return go_json({"slideshow": {"author": "Lateen", "date": "today", "slides": slides, "title": "Sample Slide Show"}})


async def _xml(_: Request, __: Params) -> Response:
    return text('<?xml version="1.0" encoding="utf-8"?>\n<note><title>A note</title></note>\n', content_type="application/xml")


async def _index(_: Request, __: Params) -> Response:
    rows = "".join(f"<li><code>{each.methods} {each.pattern}</code></li>" for each in _ROUTES)
    return html(f"<!doctype html>\n<html><head><title>httpbin</title></head><body><h1>httpbin</h1><ul>{rows}</ul></body></html>\n")


_ROUTES = (
    Route("GET", "/", _index),
    Route("GET", "/get", echo),
    Route("POST", "/post", echo_body),
    Route("PUT", "/put", echo_body),
    Route("PATCH", "/patch", echo_body),
    Route("DELETE", "/delete", echo_body),
    Route(_ANY, "/anything", echo_body),
    Route(_ANY, "/anything/{rest...}", echo_body),
    Route("GET", "/headers", _headers),
    Route("GET", "/ip", _ip),
    Route("GET", "/user-agent", _user_agent),
    Route(_ANY, "/status/{codes}", status),
    Route(_ANY, "/delay/{time}", wait),
    Route("GET POST", "/response-headers", response_headers),
    Route(_ANY, "/redirect-to", redirect_to),
    Route("GET", "/redirect/{count}", redirect),
    Route("GET", "/relative-redirect/{count}", redirect),
    Route("GET", "/absolute-redirect/{count}", redirect),
    Route("GET", "/cookies", cookies),
    Route("GET", "/cookies/set", cookies_set),
    Route("GET", "/bytes/{count}", random_bytes),
    Route("GET", "/stream/{count}", stream),
    Route("GET", "/html", _page),
    Route("GET", "/json", _json),
    Route("GET", "/xml", _xml),
    Route("GET", "/image/png", picture),
    Route("GET", "/basic-auth/{user}/{password}", basic_auth),
    Route("GET", "/bearer", bearer),
    Route("GET", "/gzip", gzipped),
    Route("GET", "/uuid", unique),
    Route("GET", "/base64/{text}", base64_text),
    Route("GET", "/base64/{way}/{text}", base64_text),
)


def build_httpbin() -> Handler:
    """The routes, with what go-httpbin adds to every answer: cross-origin fields, and errors in its own form."""
    routed = route(_ROUTES)

    async def handle(request: Request) -> Response:
        found = await routed(request)
        if found.status in {404, 405} and found.headers.get("content-type") == "application/json":
            found = refuse(found.status)._replace(headers=found.headers)
        return found._replace(headers=Headers((*found.headers, *_cross_origin(request))))

    return handle


def _cross_origin(request: Request) -> tuple[tuple[str, str], ...]:
    allowed = (
        ("Access-Control-Allow-Origin", request.headers.get("origin", "*")),
        ("Access-Control-Allow-Credentials", "true"),
    )
    if request.method != "OPTIONS":
        return allowed
    asked = request.headers.get("access-control-request-headers")
    methods = ("Access-Control-Allow-Methods", "GET, POST, HEAD, PUT, DELETE, PATCH, OPTIONS")
    return (*allowed, methods, ("Access-Control-Max-Age", "3600"), *((("Access-Control-Allow-Headers", asked),) if asked else ()))


def default_port(environ: Mapping[str, str]) -> int:
    """The port that the original's `PORT` names."""
    port = environ.get("PORT", "8080")
    if not port.isdigit() or int(port) > 65535:
        print(f"PORT must be a port's number, not {port!r}", file=sys.stderr)
        raise SystemExit(64)
    return int(port)


if __name__ == "__main__":
    main("httpbin", build_httpbin(), default_port(os.environ))
