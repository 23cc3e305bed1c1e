"""The xDS door: ADS streams, delta and state-of-the-world, over gRPC.

Requests are handed to a hub as events and its pushes are written as ready bytes, joined from frames: nothing is serialised here.
On the secure door a client must prove, by certificate or token, the namespace and service account that its node claims.
Must not decide what a proxy gets.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from sys import intern
from typing import Any, Protocol

import grpc
from envoy.service.discovery.v3 import discovery_pb2 as pb

from lateen.ads.messages import Push, Request
from lateen.model.scope import Proxy
from lateen.runtime import log, tasks
from lateen.serve.callers import Caller, Callers
from lateen.serve.node import NodeError, proxy_from_node
from lateen.serve.streamlimits import Pace, StreamLimits
from lateen.util.wire import join, text

__all__ = ["AdsService", "Hub", "Room", "Session", "decode_request", "encode_delta", "encode_sotw", "queue", "write"]

_SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"
_PATIENCE = 1.0  # seconds that listeners wait for a client to ask for the endpoints of its new clusters
_log = log.get("ads")

Send = Callable[[tuple[Push, ...]], None]
Sent = Callable[[Push, int, float, float], None]  # bytes; seconds to make and to send
Context = Any  # grpc.aio.ServicerContext is generic in its stubs only
Message = Any  # DeltaDiscoveryRequest or DiscoveryRequest: xds-protos has no types


class Session(Protocol):
    """One connected client at the hub; `on_request` says why the client is to be left, or None."""

    @property
    def waits(self) -> bool: ...
    def on_request(self, request: Request) -> str | None: ...
    def on_patience_over(self) -> None: ...
    def close(self) -> None: ...


class Hub(Protocol):
    """Whoever knows what each proxy shall hold. `send` may be called at any time until `close`."""

    def connect(self, proxy: Proxy, *, sotw: bool, send: Send) -> Session: ...


class AdsService:
    """The two ADS methods; `callers` switches on the identity check (None: plaintext door). `sent` is told each response.

    `limits` are those of all doors that share them.
    """

    def __init__(self, hub: Hub, *, callers: Callers | None, sent: Sent | None = None, limits: StreamLimits | None = None) -> None:
        self._hub = hub
        self._callers = callers
        self._sent = sent
        self._limits = limits or StreamLimits()

    def register(self, server: grpc.aio.Server) -> None:
        """Serve ADS on `server`."""
        methods: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "DeltaAggregatedResources": grpc.stream_stream_rpc_method_handler(
                self._delta, request_deserializer=pb.DeltaDiscoveryRequest.FromString
            ),
            "StreamAggregatedResources": grpc.stream_stream_rpc_method_handler(
                self._sotw, request_deserializer=pb.DiscoveryRequest.FromString
            ),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, methods),))

    async def _delta(self, requests: AsyncIterator[pb.DeltaDiscoveryRequest], context: Context) -> None:
        await self._serve(requests, context, sotw=False)

    async def _sotw(self, requests: AsyncIterator[pb.DiscoveryRequest], context: Context) -> None:
        await self._serve(requests, context, sotw=True)

    async def _serve(self, requests: AsyncIterator[Message], context: Context, *, sotw: bool) -> None:
        stream = requests.__aiter__()
        try:
            first = await stream.__anext__()
        except StopAsyncIteration:
            return
        proxy = await self._admit(first, context)
        account = f"{proxy.namespace}/{proxy.service_account}"
        if refusal := self._limits.enter(proxy.id, account, asyncio.get_running_loop().time()):
            await self._leave(proxy, refusal, context)
        try:
            await self._converse(first, stream, proxy, context, sotw=sotw)
        finally:
            self._limits.leave(proxy.id, account)

    async def _converse(self, first: Message, stream: AsyncIterator[Message], proxy: Proxy, context: Context, *, sotw: bool) -> None:
        outbox: asyncio.Queue[Push] = asyncio.Queue()
        session = self._hub.connect(proxy, sotw=sotw, send=lambda pushes: queue(outbox, pushes))
        encode = encode_sotw if sotw else encode_delta
        writer = tasks.spawn(write(outbox, context, encode, sent=self._sent), name=f"ads write {proxy.id}")
        watchdog, pace, now = _Patience(session), Pace(), asyncio.get_running_loop().time
        message = first
        try:
            while message is not None:
                if delay := pace.delay(message.ByteSize(), now()):
                    await asyncio.sleep(delay)  # the client is held up by the transport's flow control meanwhile
                if excess := session.on_request(decode_request(message)):
                    await self._leave(proxy, excess, context)
                watchdog.look()
                message = await anext(stream, None)
        finally:
            watchdog.stop()
            session.close()
            await tasks.cancel_all(writer)

    async def _leave(self, proxy: Proxy, reason: str, context: Context) -> None:
        _log.warning("xDS stream refused", node=proxy.id, reason=reason)
        await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, reason)

    async def _admit(self, first: Message, context: Context) -> Proxy:
        try:
            proxy = proxy_from_node(first.node)
        except NodeError as error:
            _log.warning("xDS stream refused", node=first.node.id[:200], reason=str(error))
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            raise
        if self._callers is None:
            return proxy
        stranger = self._callers.stranger(context)
        if stranger and (too_often := self._limits.meet(stranger, asyncio.get_running_loop().time())):
            await self._leave(proxy, too_often, context)
        if refusal := _mismatch(proxy, await self._callers.of(context)):
            _log.warning("xDS stream refused", node=proxy.id, reason=refusal)
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, refusal)
        return proxy


class _Patience:
    """Lets a session go on when its client did not ask in time."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._timer: asyncio.TimerHandle | None = None

    def look(self) -> None:
        if not self._session.waits:
            self.stop()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_PATIENCE, self._over)

    def _over(self) -> None:
        self._timer = None
        self._session.on_patience_over()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def queue(outbox: "asyncio.Queue[Push]", pushes: tuple[Push, ...]) -> None:
    """Have `write` send them."""
    for push in pushes:
        outbox.put_nowait(push)


class Room:
    """Memory for responses under way, shared by all streams; a client that is slow to read gives its part back after a while.

    Why: a response exists as bytes from its encoding until the client has read it; all at once they are hundreds of megabytes. Nobody
    waits longer than `longest` seconds for a turn: slow clients that come again and again hold up nobody else for good.
    """

    def __init__(self, most: int = 4 << 20, patience: float = 1.0, longest: float = 5.0) -> None:
        self._free = most
        self._most = most
        self._patience = patience
        self._longest = longest
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def share(self, size: int) -> AsyncIterator[None]:
        """Room for `size` bytes inside, in the order of asking."""
        size = min(size, self._most)
        loop = asyncio.get_running_loop()
        if self._waiting or size > self._free:
            turn: asyncio.Future[None] = loop.create_future()
            self._waiting.append((size, turn))
            try:
                await asyncio.wait((turn,), timeout=self._longest)
            except asyncio.CancelledError:
                self._leave(size, turn)
                raise
            if not turn.done():
                self._waiting.remove((size, turn))
                size = 0
        else:
            self._free -= size
        part = [size]
        timer = loop.call_later(self._patience, self._give_back, part)
        try:
            yield
        finally:
            timer.cancel()
            self._give_back(part)

    def _leave(self, size: int, turn: "asyncio.Future[None]") -> None:
        """Nobody waits for `turn` any more; it may have come already."""
        if turn.done() and not turn.cancelled():
            self._give_back([size])
        elif (size, turn) in self._waiting:
            self._waiting.remove((size, turn))
            self._admit()

    def _give_back(self, part: list[int]) -> None:
        if part:
            self._free += part.pop()
            self._admit()

    def _admit(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._free:
            size, turn = self._waiting.popleft()
            if not turn.done():
                self._free -= size
                turn.set_result(None)


_room = Room()


async def write(
    outbox: "asyncio.Queue[Push]", context: Context, encode: Callable[[Push], bytes], room: Room = _room, sent: Sent | None = None
) -> None:
    """Send what comes into the outbox, in order, until cancelled."""
    now = asyncio.get_running_loop().time
    while True:
        push = await outbox.get()
        async with room.share(sum(len(frame.entry) for frame in push.frames)):
            begun = now()
            data = encode(push)
            made, size = now(), len(data)
            await context.write(data)
            del data
        if sent is not None:
            sent(push, size, made - begun, now() - made)


def _mismatch(proxy: Proxy, caller: Caller | None) -> str | None:
    """Why the caller may not be this node, or None."""
    wanted = f"node {proxy.id} needs a certificate or token of service account {proxy.service_account} in namespace {proxy.namespace}"
    if caller is None:
        return f"{wanted}; this client proved nothing that this mesh knows"
    if (caller.identity.namespace, caller.identity.service_account) != (proxy.namespace, proxy.service_account):
        return f"{wanted}; this client proved {caller.identity.uri}"
    if caller.pod and caller.pod != proxy.name:
        return f"node {proxy.id} needs a token of its own; this client showed that of the pod {caller.pod}"
    return None


def decode_request(message: Message) -> Request:
    """A DeltaDiscoveryRequest or DiscoveryRequest, as an event."""
    error = message.error_detail.message if message.HasField("error_detail") else None
    if isinstance(message, pb.DiscoveryRequest):
        return Request(
            type_url=message.type_url,
            subscribe=tuple(map(intern, message.resource_names)),
            nonce=message.response_nonce,
            error=error,
            replace=True,
        )
    return Request(
        type_url=message.type_url,
        subscribe=tuple(map(intern, message.resource_names_subscribe)),  # thousands of names that all proxies have in common
        unsubscribe=tuple(message.resource_names_unsubscribe),
        initial=dict(message.initial_resource_versions),
        nonce=message.response_nonce,
        error=error,
    )


def encode_delta(push: Push) -> bytes:
    """A DeltaDiscoveryResponse."""
    tail = text(4, push.type_url) + text(5, push.nonce) + join(6, (name.encode() for name in push.removed))
    return b"".join([*(frame.entry for frame in push.frames), tail])


def encode_sotw(push: Push) -> bytes:
    """A DiscoveryResponse; its version is the nonce, as each push of a stream is a version of its own."""
    tail = text(4, push.type_url) + text(5, push.nonce)
    return b"".join([text(1, push.nonce), *(frame.sotw_entry for frame in push.frames), tail])
