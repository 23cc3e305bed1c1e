"""The samples' web server: concurrent, keep-alive, graceful on SIGTERM; plus the table from path to handler.

An idle connection is never closed by the server: Envoy keeps connections for an hour, and a server that closes first
turns the next request into a 503. Must not know any program's paths.
"""

import asyncio
import errno
import json
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from typing import NamedTuple, NoReturn
from urllib.parse import unquote, urlsplit

from lateen.samples.http1 import (
    MAX_HEAD,
    Headers,
    MessageError,
    Request,
    Response,
    encode_response_head,
    read_request,
)

__all__ = [
    "Handler",
    "Params",
    "Route",
    "Server",
    "error",
    "hostname",
    "html",
    "json_response",
    "listen",
    "main",
    "print_line",
    "route",
    "run_until_stopped",
    "serve",
    "text",
    "usage",
]

Params = Mapping[str, str]
Handler = Callable[[Request], Coroutine[None, None, Response]]

_GRACE = 25  # seconds that requests under way get after SIGTERM: less than Kubernetes' 30


def text(body: str, status: int = 200, content_type: str = "text/plain; charset=utf-8") -> Response:
    return Response(status, body.encode(), Headers((("Content-Type", content_type),)))


def html(body: str, status: int = 200) -> Response:
    return text(body, status, "text/html; charset=utf-8")


def json_response(value: object, status: int = 200) -> Response:
    return text(json.dumps(value), status, "application/json")


def error(status: int, message: str) -> Response:
    return json_response({"error": message}, status)


class Route(NamedTuple):
    """`pattern` is a path whose segments may be `{name}`; a last `{name...}` takes all the rest."""

    methods: str
    pattern: str
    handler: Callable[[Request, Params], Coroutine[None, None, Response]]


def _match(pattern: str, path: str) -> dict[str, str] | None:
    wanted, given = pattern.split("/"), path.split("/")
    if wanted[-1].endswith("...}") and len(given) >= len(wanted):
        given = [*given[: len(wanted) - 1], "/".join(given[len(wanted) - 1 :])]
    if len(wanted) != len(given):
        return None
    params = {}
    for segment, value in zip(wanted, given, strict=True):
        if segment.startswith("{"):
            params[segment.strip("{}.")] = unquote(value)
        elif segment != value:
            return None
    return params


def route(routes: tuple[Route, ...]) -> Handler:
    """A handler that passes each request to the first route of its path and method; HEAD goes where GET goes."""

    async def handle(request: Request) -> Response:
        path = urlsplit(request.target).path
        method = "GET" if request.method == "HEAD" else request.method
        allowed: list[str] = []
        for candidate in routes:
            params = _match(candidate.pattern, path)
            if params is None:
                continue
            if method in candidate.methods.split():
                return await candidate.handler(request, params)
            allowed += candidate.methods.split()
        if allowed:
            refused = error(405, f"{path} takes {', '.join(allowed)}, not {request.method}")
            return refused._replace(headers=Headers((*refused.headers, ("Allow", ", ".join(allowed)))))
        return error(404, f"nothing is at {path}")

    return handle


class Server:
    """Serves `handler` on one listening socket until `stop`."""

    def __init__(self, handler: Handler, *, log: Callable[[str], None]) -> None:
        self._handler = handler
        self._log = log
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._idle: set[asyncio.StreamWriter] = set()
        self._stopping = False

    async def start(self, listener: socket.socket) -> None:
        self._server = await asyncio.start_server(self._connected, sock=listener, limit=MAX_HEAD)

    async def stop(self, grace: float = _GRACE) -> None:
        """Take no new request, finish those under way for at most `grace` seconds."""
        self._stopping = True
        if self._server is not None:
            self._server.close()
        for writer in self._idle:
            writer.close()
        if self._connections:
            _, late = await asyncio.wait(self._connections, timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
        try:
            with suppress(ConnectionError, asyncio.CancelledError):  # cancelled by `stop` only; asyncio would log it
                await self._converse(reader, writer)
        finally:
            self._idle.discard(writer)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = str((writer.get_extra_info("peername") or ("",))[0]).removeprefix("::ffff:")
        keep = True
        while keep and not self._stopping:
            self._idle.add(writer)
            try:
                request = await read_request(reader, peer, begun=lambda: self._idle.discard(writer), go_on=writer.write)
            except MessageError as bad:
                await self._send(writer, error(bad.status, str(bad)), Request("", "", "HTTP/1.1", Headers(), b"", peer), close=True)
                return
            keep = request is not None and await self._answer(request, writer)

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; whether the connection may carry another."""
        started = time.perf_counter()
        try:
            response = await self._handler(request)
        except Exception:  # noqa: BLE001  # a fault of one request must not end the others
            traceback.print_exc()
            response = error(500, "the sample failed; its log says why")
        tokens = request.headers.get("connection").lower()
        close = self._stopping or "close" in tokens or (request.version == "HTTP/1.0" and "keep-alive" not in tokens)
        if not isinstance(response.body, bytes) and request.version == "HTTP/1.0":
            close = True
        await self._send(writer, response, request, close=close)
        self._log(f"{request.method} {request.target} {response.status} {(time.perf_counter() - started) * 1000:.0f}ms")
        return not close

    async def _send(self, writer: asyncio.StreamWriter, response: Response, request: Request, *, close: bool) -> None:
        head = encode_response_head(response, version=request.version, close=close)
        bare = request.method == "HEAD" or response.status in {204, 304} or response.status < 200
        if isinstance(response.body, bytes):
            writer.write(head if bare else head + response.body)
        else:
            writer.write(head)
            if not bare:
                await self._send_parts(writer, response.body, chunked=request.version == "HTTP/1.1")
        await writer.drain()

    async def _send_parts(self, writer: asyncio.StreamWriter, parts: AsyncIterator[bytes], *, chunked: bool) -> None:
        async for part in parts:
            if part:
                writer.write(b"%x\r\n%b\r\n" % (len(part), part) if chunked else part)
                await writer.drain()
        if chunked:
            writer.write(b"0\r\n\r\n")


def listen(port: int) -> socket.socket:
    """A socket on all addresses of both families, or of IPv4 where the kernel has no IPv6."""
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=1024)
        except OSError as failed:
            if failed.errno not in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
                raise
    return socket.create_server(("0.0.0.0", port), backlog=1024)


def print_line(line: str) -> None:
    print(line, flush=True)


async def run_until_stopped(start: Callable[[], Awaitable[Callable[[], Awaitable[None]]]]) -> None:
    """Run what `start` starts until SIGTERM or SIGINT, then what it returned."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    stop = await start()
    await stopped.wait()
    await stop()


def main(name: str, handler: Handler, default_port: int) -> None:
    """Serve `handler` on the port given as the first argument."""
    if len(sys.argv) > 2 or not all(each.isdigit() and int(each) < 65536 for each in sys.argv[1:]):
        usage(f"usage: python -m lateen.samples.{name} [PORT]   (default {default_port}; 0 takes a free one)")
    port = int(sys.argv[1]) if sys.argv[1:] else default_port
    asyncio.run(serve(name, handler, port))


def usage(line: str) -> NoReturn:
    print(line, file=sys.stderr)
    raise SystemExit(64)


async def serve(name: str, handler: Handler, port: int) -> None:
    """Serve until SIGTERM; the first line printed says the port."""

    async def start() -> Callable[[], Awaitable[None]]:
        try:
            listener = listen(port)
        except OSError as failed:
            raise SystemExit(f"{name} cannot listen on port {port}: {os.strerror(failed.errno or 0)}") from None
        server = Server(handler, log=print_line)
        await server.start(listener)
        print_line(f"{name} listening on port {listener.getsockname()[1]}")
        return server.stop

    await run_until_stopped(start)


def hostname() -> str:
    """The pod's name: Kubernetes gives it as the host's name."""
    return os.environ.get("HOSTNAME") or socket.gethostname()
