"""httpbin's endpoints, each a function from a request to its answer.

Must not decide which path leads where (`httpbin`).
"""

import asyncio
import base64
import json
import random
import re
import struct
import uuid
import zlib
from collections.abc import AsyncIterator, Mapping
from html import escape
from urllib.parse import parse_qs, quote, urlsplit

from lateen.samples.http1 import Headers, Request, Response
from lateen.samples.web import Params

__all__ = [
    "arguments",
    "base64_text",
    "basic_auth",
    "bearer",
    "cookies",
    "cookies_set",
    "echo",
    "echo_body",
    "go_headers",
    "go_json",
    "gzipped",
    "origin",
    "picture",
    "random_bytes",
    "redirect",
    "redirect_to",
    "refuse",
    "response_headers",
    "status",
    "stream",
    "unique",
    "wait",
]

_JSON = "application/json; charset=utf-8"
_LONGEST_WAIT = 10.0
_MOST_BYTES = 100 * 1024
_MOST_LINES = 100
_UNITS = {"": 1.0, "s": 1.0, "ms": 0.001, "m": 60.0}
_REASONS = {400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 405: "Method Not Allowed"}
_SPECIAL: Mapping[int, tuple[tuple[tuple[str, str], ...], str]] = {
    **dict.fromkeys((301, 302, 303, 305, 307), ((("Location", "/redirect/1"),), "")),
    308: ((("Location", "/image/png"),), ""),
    401: ((("WWW-Authenticate", 'Basic realm="Fake Realm"'),), ""),
    407: ((("Proxy-Authenticate", 'Basic realm="Fake Realm"'),), ""),
    418: ((("X-More-Info", "http://tools.ietf.org/html/rfc2324"),), "I'm a teapot!"),
}


def go_json(value: object, code: int = 200, extra: tuple[tuple[str, str], ...] = ()) -> Response:
    return Response(code, json.dumps(value, indent=2).encode() + b"\n", Headers((("Content-Type", _JSON), *extra)))


def refuse(code: int, detail: str = "") -> Response:
    said = {"status_code": code, "error": _REASONS[code]}
    return go_json(said | ({"detail": detail} if detail else {}), code)


def _redirect(location: str, code: int = 302, extra: tuple[tuple[str, str], ...] = ()) -> Response:
    return Response(code, headers=Headers((("Location", location), *extra)))


def go_headers(request: Request) -> dict[str, list[str]]:
    """The request's fields as Go names them, sorted, with `Host` among them."""
    found: dict[str, list[str]] = {}
    for name, value in request.headers:
        found.setdefault("-".join(part[:1].upper() + part[1:].lower() for part in name.split("-")), []).append(value)
    return dict(sorted(found.items()))


def arguments(request: Request) -> dict[str, list[str]]:
    return parse_qs(urlsplit(request.target).query, keep_blank_values=True)


def origin(request: Request) -> str:
    """The client's address: the first that X-Forwarded-For names, else the peer's."""
    return request.headers.get("x-forwarded-for").partition(",")[0].strip() or request.peer


def _url(request: Request) -> str:
    scheme = request.headers.get("x-forwarded-proto") or "http"
    return f"{scheme}://{request.headers.get('host')}{request.target}"


def _seen(request: Request) -> dict[str, object]:
    return {
        "args": arguments(request),
        "headers": go_headers(request),
        "method": request.method,
        "origin": origin(request),
        "url": _url(request),
    }


async def echo(request: Request, _: Params) -> Response:
    return go_json(_seen(request))


async def echo_body(request: Request, _: Params) -> Response:
    kind = request.headers.get("content-type").partition(";")[0].strip().lower()
    said: dict[str, object] = {"data": "", "files": {}, "form": {}, "json": None}
    if kind == "application/x-www-form-urlencoded":
        said["form"] = parse_qs(request.body.decode(errors="replace"), keep_blank_values=True)
    elif kind == "application/json" and request.body:
        try:
            said |= {"data": request.body.decode(), "json": json.loads(request.body)}
        except ValueError as bad:
            return refuse(400, f"error parsing request body: {bad}")
    elif kind.startswith("text/"):
        said["data"] = request.body.decode(errors="replace")
    elif request.body:
        said["data"] = f"data:{kind or 'application/octet-stream'};base64,{base64.b64encode(request.body).decode()}"
    return go_json(_seen(request) | said)


def _status_codes(word: str) -> tuple[list[int], list[float]] | None:
    """Codes and their weights in `200`, `200,503` or `200:0.9,503:0.1`."""
    codes, weights = [], []
    for choice in word.split(","):
        match = re.fullmatch(r"([2-5][0-9][0-9])(?::([0-9]*\.?[0-9]+))?", choice, re.ASCII)
        if not match:
            return None
        codes.append(int(match[1]))
        weights.append(float(match[2] or 1))
    return (codes, weights) if sum(weights) > 0 else None


async def status(_: Request, params: Params) -> Response:
    choices = _status_codes(params["codes"])
    if choices is None:
        return refuse(400, f"{params['codes']!r} is not a status from 200 to 599, nor a list of such with weights")
    code = random.choices(*choices)[0]
    extra, body = _SPECIAL.get(code, ((), ""))
    return Response(code, body.encode(), Headers((("Content-Type", "text/plain; charset=utf-8"), *extra)))


async def wait(request: Request, params: Params) -> Response:
    match = re.fullmatch(r"([0-9]*\.?[0-9]+)(|s|ms|m)", params["time"], re.ASCII)
    seconds = float(match[1]) * _UNITS[match[2]] if match else _LONGEST_WAIT + 1
    if seconds > _LONGEST_WAIT:
        return refuse(400, f"{params['time']!r} is not a duration of at most {_LONGEST_WAIT:g} s")
    await asyncio.sleep(seconds)
    return await echo_body(request, params)


async def response_headers(request: Request, _: Params) -> Response:
    wanted = arguments(request)
    kind = wanted.setdefault("Content-Type", [_JSON])[0]
    pairs = tuple(
        (name, value) for name, values in sorted(wanted.items()) for value in values if re.fullmatch(r"[\w!#$%&'*+.^`|~-]+", name)
    )
    if "json" not in kind and "plain" not in kind:  # a browser might run what was asked for
        wanted = {escape(name): [escape(value) for value in values] for name, values in wanted.items()}
    return Response(200, json.dumps(wanted, indent=2).encode() + b"\n", Headers(pairs))


async def redirect_to(request: Request, _: Params) -> Response:
    asked = {name: values[0] for name, values in arguments(request).items()}
    code = asked.get("status_code", "302")
    if not asked.get("url"):
        return refuse(400, "missing required query parameter: url")
    if not re.fullmatch(r"3[0-9][0-9]", code, re.ASCII):
        return refuse(400, f"status_code must be from 300 to 399, not {code!r}")
    return _redirect(asked["url"], int(code))


async def redirect(request: Request, params: Params) -> Response:
    count = _count(params["count"])
    if not count:
        return refuse(400, "the number of redirects must be 1 or more")
    absolute = request.target.startswith("/absolute") or arguments(request).get("absolute") == ["true"]
    kind = "absolute" if absolute else "relative"
    path = f"/{kind}-redirect/{count - 1}" if count > 1 else "/get"
    return _redirect(_url(request._replace(target=path)) if absolute else path)


def _count(word: str) -> int | None:
    return int(word) if re.fullmatch(r"[0-9]{1,9}", word, re.ASCII) else None


async def cookies(request: Request, _: Params) -> Response:
    return go_json(request.cookies())


async def cookies_set(request: Request, _: Params) -> Response:
    given = tuple(("Set-Cookie", f"{quote(name)}={quote(values[0])}; HttpOnly") for name, values in arguments(request).items())
    return _redirect("/cookies", extra=given)


async def random_bytes(request: Request, params: Params) -> Response:
    count = _count(params["count"])
    if count is None:
        return refuse(400, "the number of bytes must be 0 or more")
    seed = arguments(request).get("seed")
    dice = random.Random(seed[0] if seed else None)
    kind = Headers((("Content-Type", "application/octet-stream"),))
    return Response(200, dice.randbytes(min(count, _MOST_BYTES)), kind)


async def stream(request: Request, params: Params) -> Response:
    count = _count(params["count"])
    if count is None:
        return refuse(400, "the number of lines must be a number")
    seen = _seen(request)
    del seen["method"]

    async def lines() -> AsyncIterator[bytes]:
        for number in range(min(max(count, 1), _MOST_LINES)):
            yield json.dumps({"id": number, **seen}).encode() + b"\n"

    return Response(200, lines(), Headers((("Content-Type", _JSON),)))


async def picture(_: Request, __: Params) -> Response:
    """A PNG of 32 by 32 points of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + b"\x2b\x50\xa8" * 32) * 32
    parts = ((b"IHDR", struct.pack(">IIBBBBB", 32, 32, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    image = b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)
    return Response(200, image, Headers((("Content-Type", "image/png"),)))


async def basic_auth(request: Request, params: Params) -> Response:
    scheme, given = (request.headers.get("authorization") + " ").split(" ", 1)
    try:
        user, password = (base64.b64decode(given).decode() + ":").split(":", 1)
    except ValueError:
        user, password = "", ""
    good = scheme.lower() == "basic" and (user, password) == (params["user"], params["password"] + ":")
    said = {"authenticated": good, "authorized": good, "user": user}
    return go_json(said) if good else go_json(said, 401, _SPECIAL[401][0])


async def bearer(request: Request, _: Params) -> Response:
    scheme, token = (request.headers.get("authorization") + " ").split(" ", 1)
    token = token.strip()
    if scheme != "Bearer" or not token:
        return Response(401, headers=Headers((("WWW-Authenticate", "Bearer"),)))
    return go_json({"authenticated": True, "token": token})


async def gzipped(request: Request, _: Params) -> Response:
    said = json.dumps(_seen(request) | {"gzipped": True}, indent=2).encode() + b"\n"
    packed = zlib.compress(said, wbits=31)  # 31: gzip's frame
    return Response(200, packed, Headers((("Content-Type", _JSON), ("Content-Encoding", "gzip"))))


async def unique(_: Request, __: Params) -> Response:
    return go_json({"uuid": str(uuid.uuid4())})


async def base64_text(_: Request, params: Params) -> Response:
    word, way = params["text"], params.get("way", "decode")
    kind = Headers((("Content-Type", "text/plain; charset=utf-8"),))
    if way == "encode":
        return Response(200, base64.urlsafe_b64encode(word.encode()), kind)
    if way != "decode":
        return refuse(404)
    try:
        return Response(200, base64.b64decode(word + "=" * (-len(word) % 4), altchars=b"-_", validate=True), kind)
    except ValueError:
        return refuse(400, f"{word!r} is not base64")
