"""How many xDS streams are let in: new ones per second, open ones of one node and of one service account.

Why: whoever has a workload's certificate could open streams until nothing is left for the others (docs/decisions/022). Must not know
what streams carry; time comes in.
"""

import os
from collections import Counter

from lateen.serve.ratelimits import Rate

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
        self._rate = Rate(per_second or streams_per_second(), at_once)
        self._most = {"node": of_node, "account": of_account}
        self._open: Counter[tuple[str, str]] = Counter()

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
