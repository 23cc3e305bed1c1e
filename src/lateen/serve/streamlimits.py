"""How many xDS streams are let in: new ones per second, open ones of one node and of one service account.

Why: whoever has a workload's certificate could open streams until nothing is left for the others (docs/decisions/022). Must not know
what streams carry; time comes in.
"""

import os
from collections import Counter

from lateen.serve.ratelimits import CallerLimits, Rate

__all__ = ["Pace", "StreamLimits", "streams_per_second"]

_OF_NODE, _OF_ACCOUNT, _AT_ONCE = 10, 2000, 2000
_STRANGERS = 10, 100  # per second and at once, for each address (docs/decisions/025)
_PER_SECOND, _REQUESTS_AT_ONCE = 200, 4000
_BYTES = 4096  # that count as one more request


def streams_per_second() -> float:
    """Istiod's own choice: 15, and 5 for each processor; 100 at most."""
    return min(15 + 5 * (os.cpu_count() or 1), 100)


class Pace:
    """How fast the requests of one stream are read: so many at once, then so many a second; a long one counts for several."""

    def __init__(self) -> None:
        self._rate = Rate(_PER_SECOND, _REQUESTS_AT_ONCE)

    def delay(self, size: int, now: float) -> float:
        """Seconds to wait before a request of `size` bytes is acted on; `now` in seconds of one monotonic clock."""
        return self._rate.delay(1 + size / _BYTES, now)


class StreamLimits:
    """Counts what is open; `at_once` streams may come before `per_second` counts."""

    def __init__(
        self, *, per_second: float | None = None, at_once: int = _AT_ONCE, of_node: int = _OF_NODE, of_account: int = _OF_ACCOUNT
    ) -> None:
        self._rate = Rate(per_second or streams_per_second(), at_once)
        self._most = {"node": of_node, "account": of_account}
        self._open: Counter[tuple[str, str]] = Counter()
        self._strangers = CallerLimits(*_STRANGERS, "streams with a token")

    def meet(self, address: str, now: float) -> str:
        """Why an address without a certificate is not asked for its token again, "" where it is."""
        return self._strangers.take(address, now)

    def enter(self, node: str, account: str, now: float) -> str | None:
        """Why one more stream is not let in, or None: then `leave` is to be called. `now` in seconds of one monotonic clock."""
        for kind, name in (("node", node), ("account", account)):
            if self._open[kind, name] >= self._most[kind]:
                return f"{kind} {name} has {self._most[kind]} streams open: close some first"
        if not self._rate.take(now):
            return f"request rate limit exceeded: more than {self._rate.per_second:g} streams per second; try again later"
        self._open["node", node] += 1
        self._open["account", account] += 1
        return None

    def leave(self, node: str, account: str) -> None:
        """A stream that was let in has ended."""
        for key in (("node", node), ("account", account)):
            self._open[key] -= 1
            if not self._open[key]:
                del self._open[key]
