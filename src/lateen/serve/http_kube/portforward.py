"""Connections to the ports of a pod, through a WebSocket.

Why: kubectl and istioctl tunnel SPDY streams in it, one pair for each connection (data, and errors as text); simpler clients name their
ports in the query and get two channels for each. Must not know how the node reaches a pod.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from msgspec import Struct, field
from starlette.websockets import WebSocket, WebSocketDisconnect

from lateen.kube.errors import ApiError, bad_request
from lateen.kube.spdy import Closed, Data, Opened, SpdyError, SpdySession
from lateen.runtime import tasks

__all__ = ["TUNNEL", "Connect", "forward_ports"]

TUNNEL = "SPDY/3.1+portforward.k8s.io"
_CHANNELS = ("v4.channel.k8s.io", "portforward.k8s.io")
_CHUNK = 1 << 15
_MOST_STREAMS = 1000
_PROTOCOL_ERROR = 1002

Connect = Callable[[int], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


async def forward_ports(socket: WebSocket, connect: Connect) -> None:
    """Serve one WebSocket until either side leaves."""
    offered = socket.scope.get("subprotocols", [])
    if TUNNEL in offered:
        await socket.accept(TUNNEL)
        await _Tunnel(socket, connect).serve()
        return
    ports = [part for value in socket.query_params.getlist("ports") for part in value.split(",")]
    if not ports or not all(port.isdecimal() and 0 < int(port) < 1 << 16 for port in ports):
        raise bad_request(f"the WebSocket must offer the subprotocol {TUNNEL}, or name its ports in the query (?ports=80)")
    await socket.accept(next((known for known in _CHANNELS if known in offered), None))
    await _Channels(socket, connect, [int(port) for port in ports]).serve()


class _Link(Struct):
    """One connection: how its bytes and its errors go to the client."""

    send: Callable[[bytes], Awaitable[None]]
    fail: Callable[[str], Awaitable[None]]
    end: Callable[[], Awaitable[None]]
    writer: asyncio.StreamWriter | None = None
    task: asyncio.Task[None] | None = None
    tried: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, connect: Connect, port: int) -> None:
        """Connect and carry what the pod says."""
        with suppress(RuntimeError, WebSocketDisconnect):  # the client left while it was being told something
            try:
                await self._carry(connect, port)
            except (OSError, ApiError) as error:
                await self.fail(f"an error occurred forwarding to port {port}: {error}")
            finally:
                await self.end()

    async def _carry(self, connect: Connect, port: int) -> None:
        try:
            reader, self.writer = await connect(port)
        finally:
            self.tried.set()
        while chunk := await reader.read(_CHUNK):
            await self.send(chunk)

    async def write(self, data: bytes, *, ended: bool) -> None:
        """Carry what the client says, once the connection was tried; to nobody when it failed."""
        await self.tried.wait()
        if self.writer is None:
            return
        with suppress(OSError):
            if data:
                self.writer.write(data)
                await self.writer.drain()
            if ended:
                self.writer.write_eof()

    def close(self) -> None:
        """Let go of the connection."""
        if self.writer is not None:
            self.writer.close()


class _Tunnel:
    """SPDY streams in binary messages."""

    def __init__(self, socket: WebSocket, connect: Connect) -> None:
        self._socket = socket
        self._connect = connect
        self._session = SpdySession()
        self._errors: dict[str, int] = {}  # by request, the stream that tells its errors
        self._links: dict[int, _Link] = {}

    async def serve(self) -> None:
        """Until the client leaves or speaks nonsense."""
        try:
            while True:
                message = await self._socket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                for event in self._session.receive(message.get("bytes") or b""):
                    await self._handle(event)
                if self._session.outgoing:
                    answer, self._session.outgoing = bytes(self._session.outgoing), bytearray()
                    await self._socket.send_bytes(answer)
        except SpdyError as problem:
            await self._socket.close(_PROTOCOL_ERROR, str(problem)[:100])
        except (WebSocketDisconnect, RuntimeError):
            return  # the client left while it was being told something
        finally:
            await tasks.cancel_all(*(link.task for link in self._links.values() if link.task is not None))
            for link in self._links.values():
                link.close()

    async def _handle(self, event: Opened | Data | Closed) -> None:
        match event:
            case Opened():
                await self._open(event)
            case Data(stream, data, ended) if stream in self._links:
                await self._links[stream].write(data, ended=ended)
            case Closed(stream) if stream in self._links:
                self._links[stream].close()

    async def _open(self, event: Opened) -> None:
        request, port = event.headers.get("requestid", ""), event.headers.get("port", "")
        kind = event.headers.get("streamtype")
        if kind not in ("error", "data") or not port.isdecimal() or not 0 < int(port) < 1 << 16 or len(self._links) >= _MOST_STREAMS:
            await self._socket.send_bytes(self._session.reset(event.stream))
            return
        await self._socket.send_bytes(self._session.reply(event.stream))
        if kind == "error":
            self._errors[request] = event.stream
            return
        errors, stream, session, send = self._errors.pop(request, 0), event.stream, self._session, self._socket.send_bytes

        async def fail(text: str) -> None:
            if errors:
                await send(session.data(errors, text.encode()))

        async def end() -> None:
            with suppress(RuntimeError, WebSocketDisconnect):
                await send(session.data(stream, b"", end=True) + (session.data(errors, b"", end=True) if errors else b""))
            link.close()
            self._links.pop(stream, None)

        link = _Link(send=lambda data: send(session.data(stream, data)), fail=fail, end=end)
        self._links[stream] = link
        link.task = tasks.spawn(link.run(self._connect, int(port)), name="port-forward")


class _Channels:
    """Two channels for each port: data, and errors as text; each begins with the port."""

    def __init__(self, socket: WebSocket, connect: Connect, ports: list[int]) -> None:
        self._socket = socket
        self._connect = connect
        self._ports = ports

    async def serve(self) -> None:
        """Until the client leaves."""
        links = [self._link(number) for number in range(len(self._ports))]
        try:
            for number, port in enumerate(self._ports):
                for channel in (2 * number, 2 * number + 1):
                    await self._socket.send_bytes(bytes([channel]) + port.to_bytes(2, "little"))
            for link, port in zip(links, self._ports, strict=True):
                link.task = tasks.spawn(link.run(self._connect, port), name="port-forward")
            while True:
                message = await self._socket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                frame = message.get("bytes") or b""
                if frame and frame[0] % 2 == 0 and frame[0] // 2 < len(links):
                    await links[frame[0] // 2].write(frame[1:], ended=False)
        except (WebSocketDisconnect, RuntimeError):
            return
        finally:
            await tasks.cancel_all(*(link.task for link in links if link.task is not None))
            for link in links:
                link.close()

    def _link(self, number: int) -> _Link:
        async def send(data: bytes) -> None:
            await self._socket.send_bytes(bytes([2 * number]) + data)

        async def fail(text: str) -> None:
            await self._socket.send_bytes(bytes([2 * number + 1]) + text.encode())

        async def end() -> None:
            with suppress(RuntimeError, WebSocketDisconnect):
                if len(self._ports) == 1:
                    await self._socket.close()

        return _Link(send=send, fail=fail, end=end)
