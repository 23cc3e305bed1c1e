"""Keeps the public keys of token issuers in the graph: fetched when a RequestAuthentication first names them, and again every 20 minutes.

Keys that were fetched once stay in force when a later fetch fails, as an issuer's outage must not refuse every user. Must not decide
whose keys are wanted.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol

from lateen.ca.rotation import retry_delay
from lateen.runtime import log, tasks
from lateen.runtime.clock import Clock

__all__ = ["KeySets"]

_REFRESH = 20 * 60.0  # seconds, as istiod
_log = log.get("jwks")


class Source(Protocol):
    """Fetches; ValueError says why not."""

    async def fetch(self, address: str) -> str: ...


class KeySets:
    """One task for each address that is wanted; `tell` is given what it fetched, None when it is not wanted any more;
    `fetched`, whether a fetch went well.
    """

    def __init__(
        self, source: Source, tell: Callable[[str, str | None], None], clock: Clock, fetched: Callable[..., None] = lambda **_: None
    ) -> None:
        self._source = source
        self._tell = tell
        self._clock = clock
        self._fetched = fetched
        self._following: dict[str, asyncio.Task[None]] = {}

    def want(self, addresses: Iterable[str]) -> None:
        """Follow these addresses and no other."""
        wanted = frozenset(addresses)
        for address in sorted(wanted - self._following.keys()):
            self._following[address] = tasks.spawn(self._follow(address), name=f"keys of {address}")
        for address in sorted(self._following.keys() - wanted):
            self._following.pop(address).cancel()
            self._tell(address, None)

    async def stop(self) -> None:
        """Follow nothing any more."""
        await tasks.cancel_all(*self._following.values())

    async def _follow(self, address: str) -> None:
        failures = 0
        while True:
            try:
                keys = await self._source.fetch(address)
                self._fetched(good=True)
                self._tell(address, keys)
                failures = 0
                await self._clock.sleep(_REFRESH)
            except ValueError as error:
                failures += 1
                self._fetched(good=False)
                _log.warning("keys not fetched, those from before stay in force", reason=str(error))
                await self._clock.sleep(retry_delay(failures))
