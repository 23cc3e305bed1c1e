"""Refusals by Envoy, told on the objects they came from: condition `Rejected` in the object's status.

A frame carries its owners, a refusal its frames; so Envoy's words reach the person who wrote the YAML. Writes at most once a second
and only what changed. Must not change configuration.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping

from msgspec import Struct

from lateen.ads.messages import Nack
from lateen.api.meta import Key
from lateen.kube.errors import ApiError
from lateen.model.scope import Proxy
from lateen.runtime import log, tasks
from lateen.runtime.clock import Clock
from lateen.util.times import rfc3339

__all__ = ["REJECTED", "Refusal", "RefusalWriter", "refusals_by_owner"]

REJECTED = "Rejected"
_INTERVAL = 1.0
_SHOWN_PROXIES = 3
_log = log.get("status")

WriteCondition = Callable[[Key, dict[str, object] | None], Awaitable[None]]  # None: take the condition away


class Refusal(Struct, frozen=True):
    """What Envoys said of one object's generation, and the proxies that said it."""

    generation: int
    message: str
    proxies: tuple[str, ...]


def refusals_by_owner(nacks: Iterable[tuple[Proxy, Nack]]) -> dict[Key, Refusal]:
    """Every object with a refused frame; of several refusals of one object the first in proxy order is quoted."""
    found: dict[Key, Refusal] = {}
    for proxy, nack in sorted(nacks, key=lambda item: item[0].id):
        name = f"{proxy.name}.{proxy.namespace}"
        for key, generation in nack.owners:
            known = found.get(key)
            if known is None:
                found[key] = Refusal(generation, nack.message, (name,))
            elif name not in known.proxies:
                found[key] = Refusal(known.generation, known.message, (*known.proxies, name))
    return found


class RefusalWriter:
    """Keeps the `Rejected` conditions equal to the refusals that stand."""

    def __init__(self, refusals: Callable[[], Mapping[Key, Refusal]], write: WriteCondition, clock: Clock) -> None:
        self._refusals = refusals
        self._write = write
        self._clock = clock
        self._written: dict[Key, Refusal] = {}
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = tasks.spawn(self._run(), name="refusals")

    async def stop(self) -> None:
        if self._task is not None:
            await tasks.cancel_all(self._task)

    def changed(self) -> None:
        """The set of refusals may have changed."""
        self._changed.set()

    async def _run(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self._write_all(self._refusals())
            await self._clock.sleep(_INTERVAL)

    async def _write_all(self, wanted: Mapping[Key, Refusal]) -> None:
        for key in sorted(set(self._written) | set(wanted)):
            refusal = wanted.get(key)
            if refusal == self._written.get(key):
                continue
            try:
                await self._write(key, None if refusal is None else _condition(refusal, self._clock.now()))
            except (OSError, ApiError) as error:
                if isinstance(error, ApiError) and error.code == 404:  # it is gone, and its status with it
                    self._remember(key, None)
                    continue
                _log.warning("status not written", object=str(key), error=str(error))
                continue
            self._remember(key, refusal)

    def _remember(self, key: Key, refusal: Refusal | None) -> None:
        if refusal is None:
            self._written.pop(key, None)
        else:
            self._written[key] = refusal


def _condition(refusal: Refusal, now: float) -> dict[str, object]:
    shown = ", ".join(refusal.proxies[:_SHOWN_PROXIES])
    more = len(refusal.proxies) - _SHOWN_PROXIES
    proxies = f"{shown} and {more} more" if more > 0 else shown
    return {
        "type": REJECTED,
        "status": "True",
        "reason": "RefusedByEnvoy",
        "message": f"{refusal.message} (said by {proxies}; the last form that worked stays in use)",
        "observedGeneration": refusal.generation,
        "lastTransitionTime": rfc3339(now),
    }
