"""httpbin's endpoints, in go-httpbin's shape."""

import asyncio
import base64
import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from lateen.samples.http1 import Headers, Request, Response
from lateen.samples.httpbin import build_httpbin, default_port

Start = Callable[..., Any]


@pytest.fixture(scope="module")
def client(start: Start) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=start("httpbin").url, trust_env=False, timeout=20) as client:
        yield client


def _ask(target: str, *headers: tuple[str, str], method: str = "GET") -> Response:
    return asyncio.run(build_httpbin()(Request(method, target, "HTTP/1.1", Headers(headers), b"", "10.0.0.1")))


def test_headers_are_lists_under_gos_names(client: httpx.Client) -> None:
    """`/headers`: canonical names, each with the list of its values, `Host` among them."""
    sent = [("x-forwarded-client-cert", "By=a"), ("x-many", "1"), ("x-many", "2"), ("x-b3-traceid", "t")]
    seen = client.get("/headers", headers=sent).json()["headers"]
    assert seen["X-Forwarded-Client-Cert"] == ["By=a"]
    assert seen["X-Many"] == ["1", "2"]
    assert seen["X-B3-Traceid"] == ["t"]
    assert seen["Host"] == [client.base_url.netloc.decode()]


def test_get_tells_what_was_asked(client: httpx.Client) -> None:
    """`/get`: args as lists, method, origin and url, with the scheme and client that proxies name."""
    said = client.get("/get?a=1&a=2&b=", headers={"x-forwarded-proto": "https", "x-forwarded-for": "9.9.9.9, 10.0.0.1"}).json()
    assert said["args"] == {"a": ["1", "2"], "b": [""]}
    assert (said["method"], said["origin"]) == ("GET", "9.9.9.9")
    assert said["url"] == f"https://{client.base_url.netloc.decode()}/get?a=1&a=2&b="
    assert client.get("/ip").json() == {"origin": "127.0.0.1"}
    assert client.get("/user-agent", headers={"user-agent": "me/1"}).json() == {"user-agent": "me/1"}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_bodies_are_read_by_their_kind(client: httpx.Client, method: str) -> None:
    """Forms, JSON, text and other bytes each come back in their own place."""

    def send(**body: Any) -> dict[str, Any]:
        said: dict[str, Any] = client.request(method, f"/{method.lower()}", **body).json()
        assert said["method"] == method
        return {key: said[key] for key in ("data", "files", "form", "json")}

    none: dict[str, Any] = {"data": "", "files": {}, "form": {}, "json": None}
    assert send() == none
    assert send(data={"a": "1"}) == {**none, "form": {"a": ["1"]}}
    assert send(json={"a": [1]}) == {**none, "data": '{"a":[1]}', "json": {"a": [1]}}
    assert send(content=b"plain", headers={"content-type": "text/plain"}) == {**none, "data": "plain"}
    assert send(content=b"\xff") == {**none, "data": "data:application/octet-stream;base64,/w=="}


def test_wrong_method_path_and_body_are_refused(client: httpx.Client) -> None:
    """405 and 404 in go-httpbin's JSON, 400 for JSON that is none; /anything takes all methods and paths."""
    assert client.post("/get").json() == {"status_code": 405, "error": "Method Not Allowed"}
    assert client.get("/none").json() == {"status_code": 404, "error": "Not Found"}
    assert client.post("/post", content=b"{", headers={"content-type": "application/json"}).status_code == 400
    assert client.put("/anything/a/b").json()["method"] == "PUT"


def test_status_answers_with_the_code_asked_for(client: httpx.Client) -> None:
    """The teapot has its words, 401 its challenge, 302 its way on; what is no status is refused."""
    assert client.get("/status/418").text == "I'm a teapot!"
    assert client.post("/status/503").status_code == 503
    assert client.get("/status/401").headers["www-authenticate"].startswith("Basic")
    assert client.get("/status/302").headers["location"] == "/redirect/1"
    assert client.get("/status/204").content == b""
    for wrong in ("100", "abc", "200,x", "200:0", "600", "200:1e5", ""):
        assert client.get(f"/status/{wrong}").status_code in {400, 404}


def test_status_chooses_by_weight() -> None:
    """`200:0.9,500:0.1` gives mostly 200, some 500, nothing else."""
    seen = Counter(_ask("/status/200:0.9,500:0.1").status for _ in range(500))
    assert set(seen) == {200, 500}
    assert 410 < seen[200] < 490  # 450, give or take six deviations
    assert {_ask("/status/200,404").status for _ in range(100)} == {200, 404}


def test_delay_waits_and_then_tells(client: httpx.Client) -> None:
    """Seconds or a duration of Go, at most ten seconds."""
    answer = client.post("/delay/150ms?a=1")
    assert answer.elapsed.total_seconds() >= 0.15
    assert answer.json()["args"] == {"a": ["1"]}
    assert client.get("/delay/0.05").status_code == 200
    assert client.get("/delay/11").status_code == 400
    assert client.get("/delay/x").status_code == 400


def test_response_headers_come_as_asked(client: httpx.Client) -> None:
    """Each parameter is a header of the answer and in its JSON; markup is not run by a browser."""
    answer = client.get("/response-headers?x-one=1&x-one=2")
    assert answer.headers.get_list("x-one") == ["1", "2"]
    assert answer.json()["x-one"] == ["1", "2"]
    assert "<b>" not in client.get("/response-headers?Content-Type=text/html&x=<b>").text


def test_redirects_lead_on(client: httpx.Client) -> None:
    """`/redirect/3` takes three steps to /get; `/redirect-to` goes where and how it is told."""
    followed = client.get("/redirect/3", follow_redirects=True)
    assert (len(followed.history), followed.url.path) == (3, "/get")
    assert client.get("/redirect/1?absolute=true").headers["location"] == f"{client.base_url}/get".replace("//get", "/get")
    assert client.get("/redirect/0").status_code == 400
    to = client.get("/redirect-to", params={"url": "http://a/", "status_code": "307"})
    assert (to.status_code, to.headers["location"]) == (307, "http://a/")
    assert client.get("/redirect-to").status_code == 400
    assert client.get("/redirect-to?url=x&status_code=200").status_code == 400


def test_cookies_are_set_and_told(client: httpx.Client) -> None:
    """`/cookies/set` sets what its parameters say and leads to `/cookies`, which tells them."""
    set_ = client.get("/cookies/set?flavour=oat")
    assert (set_.status_code, set_.headers["location"]) == (302, "/cookies")
    assert set_.headers["set-cookie"] == "flavour=oat; HttpOnly"
    client.cookies.clear()
    assert client.get("/cookies", headers={"cookie": 'a=1; b="2"'}).json() == {"a": "1", "b": "2"}


def test_bytes_and_streams_have_the_length_asked_for(client: httpx.Client) -> None:
    """`/bytes/n` at most 100 KiB, the same for the same seed; `/stream/n` one JSON line each."""
    assert len(client.get("/bytes/1000").content) == 1000
    assert client.get("/bytes/8?seed=1").content == client.get("/bytes/8?seed=1").content
    assert len(client.get("/bytes/999999").content) == 102400
    assert client.get("/bytes/x").status_code == 400
    lines = [json.loads(line) for line in client.get("/stream/3").text.splitlines()]
    assert [line["id"] for line in lines] == [0, 1, 2]
    assert lines[0]["headers"]["Host"]


def test_formats_are_what_they_say(client: httpx.Client) -> None:
    """HTML, JSON, XML, PNG and gzip, each under its content type."""
    kinds = {path: client.get(path).headers["content-type"].partition(";")[0] for path in ("/html", "/json", "/xml", "/image/png", "/")}
    assert kinds == {
        "/html": "text/html",
        "/json": "application/json",
        "/xml": "application/xml",
        "/image/png": "image/png",
        "/": "text/html",
    }
    assert client.get("/image/png").content.startswith(b"\x89PNG\r\n\x1a\n")
    assert client.get("/gzip").json()["gzipped"] is True
    packed = _ask("/gzip").body
    assert isinstance(packed, bytes)
    assert json.loads(gzip.decompress(packed))["method"] == "GET"
    assert len(client.get("/uuid").json()["uuid"]) == 36


def test_credentials_are_checked(client: httpx.Client) -> None:
    """Basic: user and password of the path; bearer: any token."""
    good = client.get("/basic-auth/me/pass:word", auth=("me", "pass:word"))
    assert (good.status_code, good.json()) == (200, {"authenticated": True, "authorized": True, "user": "me"})
    assert client.get("/basic-auth/me/secret", auth=("me", "other")).status_code == 401
    assert client.get("/basic-auth/me/secret").headers["www-authenticate"].startswith("Basic")
    assert client.get("/basic-auth/me/secret", headers={"authorization": "Basic %"}).status_code == 401
    assert client.get("/bearer", headers={"authorization": "Bearer t.o.k"}).json() == {"authenticated": True, "token": "t.o.k"}
    assert client.get("/bearer").status_code == 401


def test_base64_is_decoded_and_encoded(client: httpx.Client) -> None:
    """Without padding too; what is no base64 is refused."""
    assert client.get(f"/base64/{base64.urlsafe_b64encode(b'hello').decode()}").text == "hello"
    assert client.get("/base64/encode/hello").text == "aGVsbG8="
    assert client.get("/base64/decode/aGVsbG8").text == "hello"
    assert client.get("/base64/a").status_code == 400


def test_every_answer_allows_its_origin() -> None:
    """Cross-origin fields on all answers; OPTIONS tells what a browser may send."""
    assert _ask("/get", ("Origin", "http://a")).headers.get("access-control-allow-origin") == "http://a"
    assert _ask("/none").headers.get("access-control-allow-origin") == "*"
    asked = _ask("/anything", ("Access-Control-Request-Headers", "x-a"), method="OPTIONS").headers
    assert asked.get("access-control-allow-headers") == "x-a"
    assert "PATCH" in asked.get("access-control-allow-methods")


def test_port_comes_from_the_environment(capsys: pytest.CaptureFixture[str]) -> None:
    """`PORT` is the original's way to set it; what is no port ends the program with a sentence."""
    assert default_port({}) == 8080
    assert default_port({"PORT": "80"}) == 80
    with pytest.raises(SystemExit):
        default_port({"PORT": "tcp://10.0.0.1:80"})
    assert "PORT must be a port's number" in capsys.readouterr().err
