"""A command in a container, as the client sees it: Kubernetes' channel frames over a WebSocket (wsproto).

Must not know who runs the command.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from typing import Self

import msgspec
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Ping, RejectConnection, RejectData, Request, TextMessage
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from lateen.kube.errors import ApiError, refusal
from lateen.kube.records import JsonObject, section
from lateen.sources.kubehttp import Endpoint, UnreachableError

__all__ = ["STDERR", "STDOUT", "ExecStream", "open_exec"]

STDOUT, STDERR = 1, 2
_STDIN, _STATUS, _RESIZE, _CLOSE = 0, 3, 4, 255
_PROTOCOLS = ["v5.channel.k8s.io", "v4.channel.k8s.io"]
_READ = 1 << 16
_FAREWELL = 1.0  # seconds that the server gets to answer TLS' end


async def open_exec(endpoint: Endpoint, target: str, headers: Mapping[str, str]) -> "ExecStream":
    """Start the command that `target` names; ApiError when the server refuses."""
    reader, writer = await endpoint.connect()
    stream = ExecStream(endpoint, reader, writer)
    try:
        await stream.start(target, headers)
    except BaseException:
        writer.close()
        raise
    return stream


class ExecStream:
    """A running command: read `output` to its end, then `exit_code` is known. Leave the context to end it."""

    def __init__(self, endpoint: Endpoint, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._endpoint = endpoint
        self._reader = reader
        self._writer = writer
        self._connection = WSConnection(ConnectionType.CLIENT)
        self._partial = b""
        self._half_close = False
        self._early: list[object] = []  # what came in one piece with the end of the handshake
        self.exit_code: int | None = None

    async def start(self, target: str, headers: Mapping[str, str]) -> None:
        """The handshake."""
        extra = [(name.lower().encode(), value.encode()) for name, value in headers.items() if name != "Host"]
        request = Request(host=headers.get("Host", "localhost"), target=target, subprotocols=_PROTOCOLS, extra_headers=extra)
        await self._send(self._connection.send(request))
        said = b""
        code = 0
        while True:
            events = await self._receive()
            for at, event in enumerate(events):
                if isinstance(event, AcceptConnection):
                    self._half_close = event.subprotocol == _PROTOCOLS[0]
                    self._early = events[at + 1 :]
                    return
                if isinstance(event, RejectConnection):
                    code = event.status_code
                if isinstance(event, RejectData):
                    said += event.data
                if code and ((isinstance(event, RejectData) and event.body_finished) or not getattr(event, "has_body", True)):
                    raise refusal(code, said, f"the server refused the WebSocket with HTTP {code}")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        with suppress(OSError, LocalProtocolError):
            await self._send(self._connection.send(CloseConnection(code=1000)))
        self._writer.close()
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(_FAREWELL):
                await self._writer.wait_closed()

    async def output(self) -> AsyncGenerator[tuple[int, bytes], None]:
        """Chunks of STDOUT and STDERR until the command ends; ApiError when it could not be run."""
        while self.exit_code is None:
            events, self._early = self._early or await self._receive(), []
            for event in events:
                if isinstance(event, CloseConnection) and self.exit_code is None:
                    raise UnreachableError("the command's stream was closed before it told how the command ended")
                if not isinstance(event, BytesMessage | TextMessage):
                    continue
                self._partial += event.data if isinstance(event, BytesMessage) else event.data.encode()
                if not event.message_finished:
                    continue
                frame, self._partial = self._partial, b""
                if frame[:1] == bytes([_STATUS]) and len(frame) > 1:
                    self.exit_code = _exit_code(frame[1:])
                elif len(frame) > 1:
                    yield frame[0], frame[1:]

    async def write(self, data: bytes) -> None:
        """Bytes for the command's standard input."""
        await self._frame(_STDIN, data)

    async def close_input(self) -> None:
        """The end of its standard input; servers that speak only v4 cannot be told."""
        if self._half_close:
            await self._frame(_CLOSE, bytes([_STDIN]))

    async def resize(self, columns: int, rows: int) -> None:
        """Our terminal's size."""
        await self._frame(_RESIZE, msgspec.json.encode({"Width": columns, "Height": rows}))

    async def _frame(self, channel: int, data: bytes) -> None:
        await self._send(self._connection.send(BytesMessage(data=bytes([channel]) + data)))

    async def _send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def _receive(self) -> list[object]:
        data = await self._reader.read(_READ)
        if not data:
            raise UnreachableError(f"the connection to the Kubernetes API at {self._endpoint} broke during a command")
        try:
            self._connection.receive_data(data)
            events = list(self._connection.events())
        except RemoteProtocolError as problem:
            raise UnreachableError(f"the Kubernetes API at {self._endpoint} broke the WebSocket protocol: {problem}") from problem
        for event in events:
            if isinstance(event, Ping):
                await self._send(self._connection.send(event.response()))
        return list(events)


def _exit_code(body: bytes) -> int:
    try:
        status = msgspec.json.decode(body, type=JsonObject)
    except msgspec.MsgspecError as problem:
        raise UnreachableError(f"the command's status is not JSON: {problem}") from problem
    if status.get("status") == "Success":
        return 0
    causes = section(status, "details").get("causes")
    for cause in causes if isinstance(causes, list) else []:
        if isinstance(cause, dict) and cause.get("reason") == "ExitCode" and str(cause.get("message", "")).isdecimal():
            return int(str(cause["message"]))
    raise ApiError({"code": 500, **status})
