"""One HTTP/1.1 call over a socket of the pod's network: to Envoy's admin interface, to the application.

Why not a client library: the socket must come from the pod's network namespace. Each call has a connection of its own, a limit on its
answer and a time-out that covers all of it. Must not follow redirects or retry.
"""

import asyncio
import ssl
from collections.abc import Sequence

import h11
from msgspec import Struct

from lateen.agent.protocols import PodNetwork

__all__ = ["HttpError", "Response", "Target", "call"]

_READ = 64 * 1024


class HttpError(OSError):
    """A sentence saying why there is no answer."""


class Target(Struct, frozen=True):
    """Where to: `tls` does not check the server's certificate (the kubelet's probes do not either)."""

    host: str
    port: int
    tls: bool = False


class Response(Struct, frozen=True):
    """The answer; its body ends at the limit."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        """The first header of that (lower case) name, or ""."""
        return next((value for key, value in self.headers if key == name), "")


async def call(
    network: PodNetwork,
    target: Target,
    method: str,
    path: str,
    *,
    headers: Sequence[tuple[str, str]] = (),
    seconds: float = 1.0,
    limit: int = 1 << 20,
) -> Response:
    """Send one request without a body; HttpError when there is no complete answer within `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            return await _call(network, target, method, path, headers, limit)
    except TimeoutError:
        raise HttpError(f"{target.host}:{target.port} did not answer {method} {path} within {seconds:g} s") from None
    except (OSError, EOFError, h11.RemoteProtocolError) as error:
        raise HttpError(f"{target.host}:{target.port} gave no answer to {method} {path}: {str(error) or type(error).__name__}") from None


async def _call(network: PodNetwork, target: Target, method: str, path: str, headers: Sequence[tuple[str, str]], limit: int) -> Response:
    reader, writer = await _open(network, target)
    try:
        connection = h11.Connection(h11.CLIENT)
        default = [] if any(name.lower() == "host" for name, _ in headers) else [("Host", f"{target.host}:{target.port}")]
        request = h11.Request(method=method, target=path, headers=[*default, *headers, ("Connection", "close")])
        writer.write((connection.send(request) or b"") + (connection.send(h11.EndOfMessage()) or b""))
        return await _receive(connection, reader, limit)
    finally:
        writer.close()


async def _open(network: PodNetwork, target: Target) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    sock = await network.connect(target.host, target.port)
    try:
        if not target.tls:
            return await asyncio.open_connection(sock=sock)
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return await asyncio.open_connection(sock=sock, ssl=context, server_hostname="")
    except BaseException:
        sock.close()
        raise


async def _receive(connection: h11.Connection, reader: asyncio.StreamReader, limit: int) -> Response:
    head: h11.Response | None = None
    body = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(_READ))
        elif isinstance(event, h11.Response):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
        if head is not None and (isinstance(event, h11.EndOfMessage) or len(body) > limit):
            headers = tuple((name.decode(), value.decode("latin-1")) for name, value in head.headers)
            return Response(head.status_code, headers, bytes(body[:limit]))
