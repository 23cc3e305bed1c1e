"""The samples' web server, byte by byte."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from lateen.samples.client import fetch
from lateen.samples.http1 import MAX_BODY, Headers, Request, Response
from lateen.samples.web import Handler, Params, Route, Server, listen, route, text

Serving = Callable[[Handler], AbstractAsyncContextManager[str]]
Start = Callable[..., Any]


async def _mirror(request: Request) -> Response:
    return text(f"{request.method} {request.target} {request.body.decode()}.")


async def _talk(url: str, sent: bytes) -> bytes:
    """What the server says to `sent` until it closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    writer.write(sent)
    said = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return said


def _converse(serving: Serving, sent: bytes, handler: Handler = _mirror) -> bytes:
    async def main() -> bytes:
        async with serving(handler) as url:
            return await _talk(url, sent)

    return asyncio.run(main())


def test_a_connection_carries_many_requests(serving: Serving) -> None:
    """Keep-alive, also for requests sent without waiting, until one says close."""
    one, last = b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /end HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    said = _converse(serving, one % 1 + one % 2 + last)
    assert [said.count(word) for word in (b"200 OK", b"GET /1 .", b"GET /2 .", b"GET /end .", b"Connection: close")] == [3, 1, 1, 1, 1]


def test_http_1_0_closes_unless_asked_to_keep(serving: Serving) -> None:
    """An HTTP/1.0 client gets its connection closed; with keep-alive it may go on."""
    assert _converse(serving, b"GET /a HTTP/1.0\r\n\r\n").endswith(b"GET /a .")
    said = _converse(serving, b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /b HTTP/1.0\r\n\r\n")
    assert said.count(b"200 OK") == 2


def test_bodies_come_by_length_and_in_chunks(serving: Serving) -> None:
    """Both framings of a request's body, with chunk extensions and trailers, leave the next request intact."""
    chunked = b"POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: t\r\n\r\n"
    plain = b"POST /l HTTP/1.1\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"
    said = _converse(serving, chunked + plain)
    assert b"POST /c abcde." in said
    assert said.endswith(b"POST /l hi.")


def test_a_client_that_waits_for_leave_gets_it(serving: Serving) -> None:
    """`Expect: 100-continue` is answered before the body is read."""

    async def main() -> bytes:
        async with serving(_mirror) as url:
            reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
            writer.write(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\n")
            first = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
            writer.write(b"hi")
            rest = await asyncio.wait_for(reader.read(), 10)
            writer.close()
            return first + rest

    said = asyncio.run(main())
    assert said.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")
    assert said.endswith(b"POST / hi.")


async def _parts() -> AsyncIterator[bytes]:
    for part in (b"one", b"", b"two"):
        yield part


async def _streaming(_: Request) -> Response:
    return Response(200, _parts())


def test_a_stream_is_sent_in_chunks(serving: Serving) -> None:
    """Without a known length the body is chunked; an empty part does not end it; HTTP/1.0 gets it bare."""
    said = _converse(serving, b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", _streaming)
    assert b"Transfer-Encoding: chunked" in said
    assert said.endswith(b"\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")
    assert _converse(serving, b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", _streaming).endswith(b"\r\n\r\nonetwo")


def test_head_and_204_have_no_body(serving: Serving) -> None:
    """HEAD gets the length but not the bytes; 204 neither."""

    async def empty(_: Request) -> Response:
        return Response(204, b"not sent")

    said = _converse(serving, b"HEAD /a HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert b"Content-Length: 9\r\n" in said
    assert said.endswith(b"\r\n\r\n")
    assert _converse(serving, b"HEAD / HTTP/1.1\r\nConnection: close\r\n\r\n", _streaming).endswith(b"chunked\r\nConnection: close\r\n\r\n")
    said = _converse(serving, b"GET /a HTTP/1.1\r\nConnection: close\r\n\r\n", empty)
    assert b"Content-Length" not in said
    assert said.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nName : x\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabcd\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n", 413),
        (b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY + 1), 413),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000, 431),
    ],
)
def test_bad_requests_are_refused_and_end_the_connection(serving: Serving, sent: bytes, status: int) -> None:
    """What is not HTTP/1.1, or could be read in two ways, or is too long, gets its status and no more."""
    assert _converse(serving, sent).startswith(b"HTTP/1.1 %d " % status)


def test_a_failing_handler_gives_500_and_the_server_goes_on(serving: Serving, capsys: pytest.CaptureFixture[str]) -> None:
    """A fault in one request is that request's; its trace is in the log."""

    async def handler(request: Request) -> Response:
        if request.target == "/bad":
            raise ZeroDivisionError
        return text("fine")

    said = _converse(serving, b"GET /bad HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nConnection: close\r\n\r\n", handler)
    assert said.startswith(b"HTTP/1.1 500 ")
    assert said.endswith(b"fine")
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_a_value_with_a_line_break_adds_no_field(serving: Serving) -> None:
    """A response's header value stays one line."""

    async def handler(_: Request) -> Response:
        return Response(200, b"", Headers((("X-A", "1\r\nX-B: 2"),)))

    assert b"\r\nX-B:" not in _converse(serving, b"GET / HTTP/1.0\r\n\r\n", handler)


def test_the_client_reads_every_framing() -> None:
    """Answers by length, in chunks, to the connection's end, and after an interim one."""

    async def main(raw: bytes) -> bytes:
        async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(raw)
                writer.close()
            except BaseException:
                writer.transport.abort()  # ended in the middle: nothing of it is left behind
                raise

        listener = listen(0)
        async with await asyncio.start_server(speak, sock=listener):
            return (await fetch(f"http://127.0.0.1:{listener.getsockname()[1]}/", seconds=10)).body

    for raw in (
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi and more",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1\r\ni\r\n0\r\n\r\n",
        b"HTTP/1.1 200\r\n\r\nhi",
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    ):
        assert asyncio.run(main(raw)) == b"hi"


def test_routes_are_found_by_path_and_method(serving: Serving) -> None:
    """Parameters are decoded; a known path with another method is 405 with Allow, an unknown path 404."""

    async def one(_: Request, params: Params) -> Response:
        return text(repr(dict(params)))

    routed = route((Route("GET PUT", "/a/{x}", one), Route("GET", "/rest/{path...}", one)))

    async def ask(method: str, target: str) -> tuple[int, bytes]:
        response = await routed(Request(method, target, "HTTP/1.1", Headers(), b"", "::1"))
        assert isinstance(response.body, bytes)
        return response.status, response.body

    assert asyncio.run(ask("GET", "/a/b%20c?q=1")) == (200, b"{'x': 'b c'}")
    assert asyncio.run(ask("HEAD", "/rest/1/2")) == (200, b"{'path': '1/2'}")
    assert asyncio.run(ask("GET", "/a/b/c"))[0] == 404
    assert asyncio.run(ask("POST", "/a/b"))[0] == 405


def test_stopping_finishes_requests_under_way() -> None:
    """`stop` closes idle connections and the listener, and lets a request that has begun get its answer."""

    async def main() -> tuple[bytes, bytes]:
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def slow(_: Request) -> Response:
            begun.set()
            await go_on.wait()
            return text("late")

        listener = listen(0)
        port = listener.getsockname()[1]
        server = Server(slow, log=lambda _: None)
        await server.start(listener)
        idle_reader, idle_writer = await asyncio.open_connection("127.0.0.1", port)
        busy = asyncio.create_task(_talk(f":{port}", b"GET / HTTP/1.1\r\n\r\n"))
        await asyncio.wait_for(begun.wait(), 10)
        stopping = asyncio.create_task(server.stop())
        idle = await asyncio.wait_for(idle_reader.read(), 10)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        assert not stopping.done()
        go_on.set()
        await asyncio.wait_for(stopping, 10)
        idle_writer.close()
        return idle, await busy

    idle, busy = asyncio.run(main())
    assert idle == b""
    assert busy.endswith(b"late")
    assert b"Connection: close" in busy


def test_a_program_ends_well_on_sigterm(start: Start) -> None:
    """SIGTERM with an idle connection open: exit code 0 at once, nothing but the log's own lines."""
    program = start("helloworld")
    with socket.create_connection(("127.0.0.1", program.ports[0]), timeout=10) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        os.kill(program.process.pid, signal.SIGTERM)
        assert program.process.wait(timeout=10) == 0


def test_helloworld_says_version_and_pod(serving: Serving, start: Start) -> None:
    """`/hello` names the version of the environment and the pod."""
    program = start("helloworld", SERVICE_VERSION="v2")
    answer = asyncio.run(fetch(f"{program.url}/hello", seconds=10))
    assert answer.body == b"Hello version: v2, instance: helloworld-pod\n"


@pytest.mark.parametrize(
    ("module", "arguments"), [("details", ["x"]), ("ratings", ["1", "2"]), ("tcp_echo", ["9000"]), ("tcp_echo", ["a,1", "p"])]
)
def test_wrong_arguments_are_told(module: str, arguments: list[str]) -> None:
    """A port that is none ends the program with 64 and a line of usage."""
    import subprocess
    import sys

    run = [sys.executable, "-P", "-m", f"lateen.samples.{module}", *arguments]
    done = subprocess.run(run, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 64
    assert done.stderr.startswith(f"usage: python -m lateen.samples.{module} ")


def test_a_taken_port_is_told(start: Start) -> None:
    """A program whose port is taken says so in one sentence."""
    import subprocess
    import sys

    taken = start("details").ports[0]
    run = [sys.executable, "-P", "-m", "lateen.samples.ratings", str(taken)]
    done = subprocess.run(run, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1
    assert done.stderr == f"ratings cannot listen on port {taken}: Address already in use\n"
