"""Logs of a container, commands inside it, connections to its ports.

Why: the node runs the pods, the API only carries bytes: plain streams for logs, Kubernetes' channel frames over a WebSocket for
commands. kubectl before 1.31 tries SPDY first and gets a sentence. Must not know how the node does it.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from lateen.kube import errors
from lateen.kube.errors import ApiError
from lateen.kube.options import flag, log_options
from lateen.kube.paths import Target, parse_path
from lateen.kube.records import JsonObject, dicts, load, section
from lateen.runtime import tasks
from lateen.serve.http_kube.answers import failure
from lateen.serve.http_kube.live import LiveStore
from lateen.serve.http_kube.node import STDERR, STDOUT, ExecSession, NodeBackend
from lateen.serve.http_kube.portforward import forward_ports

__all__ = ["Pods"]

_STDIN, _STATUS, _RESIZE, _CLOSE = 0, 3, 4, 255
_PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_PATIENCE = 0.5  # how long the first bytes of a log may take before the answer begins without them
_NO_SPDY = (
    "exec and port-forward need a WebSocket and SPDY alone is not spoken here: use kubectl 1.31 or later, or set"
    " KUBECTL_REMOTE_COMMAND_WEBSOCKETS=true and KUBECTL_PORT_FORWARD_WEBSOCKETS=true with 1.29 and 1.30"
)
_ANNOTATION = "kubectl.kubernetes.io/default-container"


class _Size(msgspec.Struct, rename="pascal"):
    width: int = 0
    height: int = 0


class Pods:
    """The subresources that the node answers."""

    def __init__(self, live: LiveStore, node: NodeBackend | None) -> None:
        self._live = live
        self._node = node

    def handles(self, target: Target) -> bool:
        """Whether this is one of them."""
        return target.info.kind == "Pod" and target.subresource in ("log", "exec", "portforward", "attach")

    async def handle(self, request: Request, target: Target) -> Response:
        """A log; or the refusal of an exec that did not ask for a WebSocket."""
        if target.subresource != "log":
            self._pod(target)
            raise errors.bad_request(_NO_SPDY)
        container = self._container(target, request.query_params)
        if request.method != "GET":
            raise errors.method_not_allowed()
        options = log_options(request.query_params, self._live.now().timestamp())
        stream = self._backend().logs(target.namespace, target.name, container, options)
        first = tasks.spawn(_next(stream), name="pod-log")
        await asyncio.wait([first], timeout=_PATIENCE)
        if first.done() and (error := first.exception()) is not None:
            raise error
        return StreamingResponse(_chunks(first, stream), media_type="text/plain")

    def _backend(self) -> NodeBackend:
        if self._node is None:
            raise errors.error(503, "ServiceUnavailable", "this API server has no node: nothing runs pods here")
        return self._node

    def _pod(self, target: Target) -> JsonObject:
        stored = self._live.store.get(target.ref)
        if stored is None:
            raise errors.not_found(target.info, target.name)
        return load(stored.body)

    def _container(self, target: Target, query: Mapping[str, str]) -> str:
        obj = self._pod(target)
        names = _container_names(obj)
        wanted = query.get("container") or str(section(section(obj, "metadata"), "annotations").get(_ANNOTATION, ""))
        if wanted and wanted not in names:
            raise errors.bad_request(f"container {wanted} is not valid for pod {target.name}")
        if not wanted and len(names) != 1:
            raise errors.bad_request(f"a container name must be specified for pod {target.name}, choose one of: [{' '.join(names)}]")
        return wanted or names[0]

    # -- exec ------------------------------------------------------------------------------------------------------

    async def serve_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A command whose streams are the WebSocket's channels."""
        socket = WebSocket(scope, receive, send)
        try:
            target = _websocket_target(socket)
            if target.subresource == "portforward":
                self._pod(target)
                await forward_ports(socket, partial(self._backend().connect, target.namespace, target.name))
                return
            session, protocol = await self._start(socket, target)
        except ApiError as refused:
            await socket.send_denial_response(failure(refused))
            return
        try:
            await socket.accept(protocol)
            await socket.send_bytes(bytes([STDOUT]))  # tells the client that the streams are open
            await self._carry(socket, session)
        finally:
            await session.kill()

    async def _start(self, socket: WebSocket, target: Target) -> tuple[ExecSession, str]:
        container = self._container(target, socket.query_params)
        offered = socket.scope.get("subprotocols", [])
        protocol = next((known for known in _PROTOCOLS if known in offered), None)
        if protocol is None:
            raise errors.bad_request(f"the WebSocket must offer one of the subprotocols {', '.join(_PROTOCOLS)}")
        command = socket.query_params.getlist("command")
        if not command:
            raise errors.bad_request("you must specify at least one command for the container")
        query = socket.query_params
        session = await self._backend().exec(
            target.namespace, target.name, container, command, tty=flag(query, "tty"), stdin=flag(query, "stdin")
        )
        return session, protocol

    async def _carry(self, socket: WebSocket, session: ExecSession) -> None:
        reading = tasks.spawn(_feed(socket, session), name="pod-exec-input")
        writing = tasks.spawn(_drain(socket, session), name="pod-exec-output")
        try:
            await asyncio.wait([reading, writing], return_when=asyncio.FIRST_COMPLETED)
            if writing.done():
                await socket.send_bytes(bytes([_STATUS]) + msgspec.json.encode(writing.result()))
                await socket.close()
        except WebSocketDisconnect:
            return  # the client left; the caller ends the command
        finally:
            await tasks.cancel_all(reading, writing)


def _websocket_target(socket: WebSocket) -> Target:
    target = parse_path(socket.url.path)
    if target is None or target.info.kind != "Pod" or target.subresource not in ("exec", "portforward"):
        raise errors.bad_request("there is no WebSocket at this path; only .../pods/NAME/exec and .../pods/NAME/portforward")
    return target


def _container_names(obj: JsonObject) -> Sequence[str]:
    spec = section(obj, "spec")
    staying = [c for c in dicts(spec.get("initContainers")) if c.get("restartPolicy") == "Always"]
    added = dicts(spec.get("ephemeralContainers"))
    return [str(container.get("name", "")) for container in (*dicts(spec.get("containers")), *staying, *added)]


async def _next(stream: AsyncIterator[bytes]) -> bytes | None:
    try:
        return await anext(stream)
    except StopAsyncIteration:
        return None


async def _chunks(first: asyncio.Task[bytes | None], stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        chunk = await first
        if chunk is not None:
            yield chunk
            async for chunk in stream:
                yield chunk
    finally:
        first.cancel()


async def _feed(socket: WebSocket, session: ExecSession) -> None:
    """Client to command, until the client leaves."""
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        frame = message.get("bytes") or (message.get("text") or "").encode()
        if not frame:
            continue
        channel, data = frame[0], frame[1:]
        if channel == _STDIN and data:
            await session.write(data)
        elif channel == _RESIZE:
            await _resize(session, data)
        elif channel == _CLOSE and data[:1] == bytes([_STDIN]):
            await session.close_input()


async def _resize(session: ExecSession, data: bytes) -> None:
    try:
        size = msgspec.json.decode(data, type=_Size)
    except msgspec.MsgspecError:
        return
    await session.resize(size.width, size.height)


async def _drain(socket: WebSocket, session: ExecSession) -> JsonObject:
    """Command to client until it ends; then its status."""
    async for channel, data in session.output():
        if channel in (STDOUT, STDERR) and data:
            await socket.send_bytes(bytes([channel]) + data)
    code = await session.wait()
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: command terminated with exit code {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }
