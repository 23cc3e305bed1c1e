"""An Envoy that serves nobody, over ADS: loads clusters and listeners, says what it thinks of them, and has them taken away again.

It is started when it is first needed, and again when it ended. Must not know why it is given something.
"""

import asyncio
from collections.abc import Callable
from itertools import count
from typing import Protocol

from lateen.ads.messages import CDS, LDS, Push, Request
from lateen.model.frame import Frame
from lateen.model.scope import Proxy
from lateen.runtime import tasks
from lateen.serve.grpc_ads import AdsService, Send
from lateen.serve.grpc_doors import Door, open_plaintext_door

__all__ = ["Cage", "LostError", "Program", "TrialEnvoy"]

_GRACE = 0.1


class Program(Protocol):
    """What was started."""

    async def wait(self) -> int:
        """Returns when it has ended."""
        ...


class Cage(Protocol):
    """Where the Envoy runs, unable to harm anyone."""

    @property
    def socket(self) -> str:
        """The path of the Unix socket at which it looks for its server."""
        ...

    async def start(self) -> Program:
        """Start it; the socket is there already. OSError with a sentence when that cannot be done."""
        ...

    async def stop(self) -> None:
        """End it, if it runs."""
        ...


class LostError(Exception):
    """A sentence: Envoy ended, or does not answer any more."""


class _Session:
    """The Envoy's stream: it is given nothing but what is pushed here."""

    def __init__(self, send: Send, ready: Callable[[], None], closed: Callable[[], None]) -> None:
        self._send = send
        self._ready = ready
        self._closed = closed
        self._nonces = map(str, count(1))
        self._answers: dict[str, asyncio.Future[str | None]] = {}
        self._asked: set[str] = set()
        self.waits = False

    def on_request(self, request: Request) -> None:
        answer = self._answers.pop(request.nonce, None)
        if answer is not None and not answer.done():
            answer.set_result(request.error)
        elif request.type_url in (CDS, LDS) and request.type_url not in self._asked:
            self._asked.add(request.type_url)
            self._send((Push(request.type_url, (), (), next(self._nonces)),))
            if request.type_url == LDS:  # which it asks for when it has its clusters
                self._ready()

    def on_patience_over(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(LostError("Envoy ended while it loaded this"))
                answer.exception()  # where several were waited for, one is told
        self._closed()

    async def push(self, type_url: str, frames: tuple[Frame, ...], *, keep: bool = False) -> str | None:
        """Envoy's refusal, or None. Unless to be kept, the frames are taken away at once: Envoy is silent while a cluster warms up."""
        names = tuple(frame.name for frame in frames)
        answer = self._give(type_url, frames, ())
        if not keep:
            await self._give(type_url, (), names)
        return await answer

    async def remove(self, type_url: str, frames: tuple[Frame, ...]) -> None:
        """Take away what was kept."""
        await self._give(type_url, (), tuple(frame.name for frame in frames))

    def _give(self, type_url: str, frames: tuple[Frame, ...], removed: tuple[str, ...]) -> "asyncio.Future[str | None]":
        nonce = next(self._nonces)
        answer: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._answers[nonce] = answer
        self._send((Push(type_url, frames, removed, nonce),))
        return answer


class TrialEnvoy:
    """`patience`: seconds that it may take to start, and to answer."""

    def __init__(self, cage: Cage, patience: float) -> None:
        self._cage = cage
        self._patience = patience
        self._session: _Session | None = None
        self._ready = asyncio.Event()
        self._door: Door | None = None

    def connect(self, proxy: Proxy, *, sotw: bool, send: Send) -> _Session:
        """Its stream."""

        def closed() -> None:
            if self._session is session:
                self._session = None
                self._ready.clear()

        session = self._session = _Session(send, self._ready.set, closed)
        return session

    async def load(self, stand_ins: tuple[Frame, ...], clusters: tuple[Frame, ...], listeners: tuple[Frame, ...]) -> tuple[str, ...]:
        """What it refuses, in its words; `stand_ins` are clusters that the listeners name.

        LostError when it did not survive this; OSError with a sentence when it does not run at all.
        """
        session = await self._running()
        try:
            async with asyncio.timeout(self._patience):
                return await _load(session, stand_ins, clusters, listeners)
        except TimeoutError:
            await self._end()
            raise LostError(f"Envoy did not answer for {self._patience:g} s after it was given this") from None
        except LostError:
            await self._end()
            raise

    async def stop(self) -> None:
        """End it."""
        await self._cage.stop()
        if self._door is not None:
            await self._door.stop(_GRACE)

    async def _end(self) -> None:
        await self._cage.stop()
        self._session = None
        self._ready.clear()

    async def _running(self) -> _Session:
        if self._door is None:
            self._door = open_plaintext_door(f"unix:{self._cage.socket}").serve(AdsService(self, callers=None))
            await self._door.start()
        if self._session is None:
            await self._start()
        if self._session is None:
            raise OSError("the Envoy that tries them ended as soon as it had started")
        return self._session

    async def _start(self) -> None:
        program = await self._cage.start()
        ended = tasks.spawn(program.wait(), name="canary's end")
        ready = tasks.spawn(self._ready.wait(), name="canary's start")
        try:
            await asyncio.wait((ended, ready), timeout=self._patience, return_when=asyncio.FIRST_COMPLETED)
            if ready.done():
                return
            how = f"ended with code {ended.result()}" if ended.done() else f"did not ask for its configuration within {self._patience:g} s"
        finally:
            await tasks.cancel_all(ended, ready)
        await self._end()
        raise OSError(f"the Envoy that tries them {how}")


async def _load(
    session: _Session, stand_ins: tuple[Frame, ...], clusters: tuple[Frame, ...], listeners: tuple[Frame, ...]
) -> tuple[str, ...]:
    said = [await session.push(CDS, clusters)] if clusters else []
    if stand_ins:
        await session.push(CDS, stand_ins, keep=True)
    if listeners:
        said.append(await session.push(LDS, listeners))
    if stand_ins:
        await session.remove(CDS, stand_ins)
    return tuple(words for words in said if words is not None)
