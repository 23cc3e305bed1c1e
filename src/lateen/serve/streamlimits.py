"""How many xDS streams are let in: new ones per second, open ones of one node and of one service account.

Why: whoever has a workload's certificate could open streams until nothing is left for the others (docs/decisions/022). Must not know
what streams carry; time comes in.
"""

import os
from collections import Counter

__all__ = ["StreamLimits", "streams_per_second"]

_OF_NODE, _OF_ACCOUNT, _AT_ONCE = 10, 2000, 2000


def streams_per_second() -> float:
    """Istiod's own choice: 15, and 5 for each processor; 100 at most."""
    return min(15 + 5 * (os.cpu_count() or 1), 100)


class StreamLimits:
    """Counts what is open; `at_once` streams may come before `per_second` counts."""

    def __init__(
        self, *, per_second: float | None = None, at_once: int = _AT_ONCE, of_node: int = _OF_NODE, of_account: int = _OF_ACCOUNT
    ) -> None:
        self._per_second = per_second or streams_per_second()
        self._at_once = at_once
        self._most = {"node": of_node, "account": of_account}
        self._free = float(at_once)
        self._last: float | None = None
        self._open: Counter[tuple[str, str]] = Counter()

    def enter(self, node: str, account: str, now: float) -> str | None:
        """Why one more stream is not let in, or None: then `leave` is to be called. `now` in seconds of one monotonic clock."""
        for kind, name in (("node", node), ("account", account)):
            if self._open[kind, name] >= self._most[kind]:
                return f"{kind} {name} has {self._most[kind]} streams open: close some first"
        self._free = min(self._at_once, self._free + (now - (self._last if self._last is not None else now)) * self._per_second)
        self._last = now
        if self._free < 1:
            return f"request rate limit exceeded: more than {self._per_second:g} streams per second; try again later"
        self._free -= 1
        self._open["node", node] += 1
        self._open["account", account] += 1
        return None

    def leave(self, node: str, account: str) -> None:
        """A stream that was let in has ended."""
        for key in (("node", node), ("account", account)):
            self._open[key] -= 1
            if not self._open[key]:
                del self._open[key]
