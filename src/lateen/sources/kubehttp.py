"""HTTP/1.1 to a Kubernetes API, over TLS or a Unix socket.

Why: httpx would cost 11 MB of memory and 150 ms of start-up in every command for what is a pool of connections and a parser
(httptools) that the server side already loads (docs/decisions/006). Must not know Kubernetes.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from typing import Protocol, Self

import httptools
from msgspec import Struct

__all__ = ["Endpoint", "HttpPool", "Reply", "UnreachableError"]

_IDLE = 16
_READ = 1 << 16


class Endpoint(Struct, frozen=True):
    """Where the API is: a Unix socket, or a host and port with TLS unless `tls` is None. `base` is a path before every path."""

    host: str = "localhost"
    port: int = 0
    unix: str = ""
    tls: ssl.SSLContext | None = None
    server_name: str = ""
    base: str = ""

    def __str__(self) -> str:
        return f"unix:{self.unix}" if self.unix else f"{'https' if self.tls else 'http'}://{self.host}:{self.port}{self.base}"

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A new connection; UnreachableError with a sentence when there is none."""
        try:
            async with asyncio.timeout(10):
                if self.unix:
                    return await asyncio.open_unix_connection(self.unix)
                name = (self.server_name or self.host) if self.tls else None
                return await asyncio.open_connection(self.host, self.port, ssl=self.tls, server_hostname=name)
        except (OSError, TimeoutError) as failure:
            why = str(failure) or type(failure).__name__
            raise UnreachableError(f"the Kubernetes API at {self} cannot be reached: {why}; is it running?") from failure


class UnreachableError(ConnectionError):
    """No answer: the server is not there, or the connection broke."""


class Authorizer(Protocol):
    """Gives the headers that prove who calls; asked before each request, since tokens are renewed."""

    def __call__(self) -> Mapping[str, str]: ...


class _Parsed:
    """What httptools tells of one response."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.parts: list[bytes] = []
        self.begun = self.ready = self.complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        self.headers[key] = f"{self.headers[key]}, {text}" if key in self.headers else text

    def on_headers_complete(self) -> None:
        self.ready = True

    def on_body(self, body: bytes) -> None:
        self.parts.append(body)

    def on_message_complete(self) -> None:
        self.complete = True


class Reply:
    """A response whose headers have come; read it whole or in chunks, then it returns its connection."""

    def __init__(self, pool: "HttpPool", connection: "_Connection") -> None:
        self._pool = pool
        self._connection = connection
        self._returned = False
        self.status = connection.status
        self.headers = connection.parsed.headers

    async def read(self) -> bytes:
        """The whole body."""
        return b"".join([part async for part in self.chunks()])

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The body as it comes."""
        parsed = self._connection.parsed
        while True:
            if parsed.parts:
                part = b"".join(parsed.parts)
                parsed.parts.clear()
                yield part
                continue
            if parsed.complete:
                self._returned = True
                self._pool.give_back(self._connection)
                return
            await self._connection.receive()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if not self._returned:
            self._connection.close()


class _Connection:
    def __init__(self, endpoint: Endpoint, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._endpoint = endpoint
        self._reader = reader
        self._writer = writer
        self.used = False
        self._reset()

    def _reset(self) -> None:
        self.parsed = _Parsed()
        self._parser = httptools.HttpResponseParser(self.parsed)

    @property
    def status(self) -> int:
        return int(self._parser.get_status_code())

    @property
    def reusable(self) -> bool:
        return self.parsed.complete and not self.closed and bool(self._parser.should_keep_alive())

    @property
    def closed(self) -> bool:
        return self._reader.at_eof() or self._writer.is_closing()

    async def start(self, head: bytes, body: bytes) -> None:
        """Send a request and wait for the head of its response."""
        self._reset()
        try:
            self._writer.write(head + body)
            await self._writer.drain()
        except OSError as failure:
            raise self._broken(str(failure)) from failure
        while not self.parsed.ready:
            await self.receive()

    async def receive(self) -> None:
        try:
            data = await self._reader.read(_READ)
            if not data:
                raise self._broken("the connection was closed before the answer was complete")
            self.parsed.begun = True
            self._parser.feed_data(data)
        except (OSError, httptools.HttpParserError) as failure:
            self.close()
            raise self._broken(str(failure)) from failure

    def _broken(self, why: str) -> UnreachableError:
        return UnreachableError(f"the connection to the Kubernetes API at {self._endpoint} broke: {why}")

    def close(self) -> None:
        """At once, without TLS' farewell: what is kept is idle, and what broke is of no use."""
        with suppress(OSError, RuntimeError):
            self._writer.transport.abort()


class HttpPool:
    """Requests on kept connections; one at a time on each."""

    def __init__(self, endpoint: Endpoint, authorize: Authorizer) -> None:
        self.endpoint = endpoint
        self._authorize = authorize
        self._idle: list[_Connection] = []
        self._closed = False

    async def send(self, method: str, path: str, *, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Reply:
        """The response to a request. A kept connection that turns out dead is replaced once, unless the request may have acted."""
        head = self._head(method, path, headers or {}, len(body))
        connection = await self._connection()
        try:
            return await self._exchange(connection, head, body)
        except UnreachableError:
            if not connection.used or connection.parsed.begun or method == "POST":
                raise
            return await self._exchange(_Connection(self.endpoint, *await self.endpoint.connect()), head, body)

    async def _exchange(self, connection: _Connection, head: bytes, body: bytes) -> Reply:
        try:
            await connection.start(head, body)
        except BaseException:
            connection.close()
            raise
        return Reply(self, connection)

    def head_lines(self, path: str) -> tuple[str, dict[str, str]]:
        """The path on the server and the headers that every request carries."""
        at = self.endpoint
        host = f"{at.server_name or at.host}:{at.port}" if at.port else "localhost"
        return at.base + path, {"Host": host, **self._authorize()}

    def _head(self, method: str, path: str, headers: Mapping[str, str], length: int) -> bytes:
        target, common = self.head_lines(path)
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in (common | dict(headers)).items())]
        if length or method not in ("GET", "HEAD"):
            lines.append(f"Content-Length: {length}")
        return "\r\n".join([*lines, "", ""]).encode()

    async def _connection(self) -> _Connection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed:
                return connection
            connection.close()
        return _Connection(self.endpoint, *await self.endpoint.connect())

    def give_back(self, connection: _Connection) -> None:
        """A response was read to its end."""
        if connection.reusable and len(self._idle) < _IDLE and not self._closed:
            connection.used = True
            self._idle.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        """Close the kept connections."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()
