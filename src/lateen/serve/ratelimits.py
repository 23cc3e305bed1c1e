"""How often something may happen: so many times at once, then so many per second; and the same for each of many callers.

Time comes in. Must not know what is limited.
"""

from collections import OrderedDict

__all__ = ["CallerLimits", "Rate"]

_CALLERS = 10_000  # remembered; of the others none has asked for longest


class Rate:
    """`at_once` times before `per_second` counts; time that passes unused is not saved above that. `now` is of one monotonic clock."""

    def __init__(self, per_second: float, at_once: int) -> None:
        self.per_second = per_second
        self.at_once = at_once
        self._free = float(at_once)
        self._last: float | None = None

    def take(self, now: float) -> bool:
        """Whether it may happen once more."""
        self._refill(now)
        if self._free < 1:
            return False
        self._free -= 1
        return True

    def delay(self, cost: float, now: float) -> float:
        """Seconds to wait before what counts for `cost` times happens, which it will."""
        self._refill(now)
        self._free -= cost
        return max(0.0, -self._free / self.per_second)

    def _refill(self, now: float) -> None:
        self._free = min(self.at_once, self._free + (now - (self._last if self._last is not None else now)) * self.per_second)
        self._last = now


class CallerLimits:
    """A rate for each caller; what one takes, no other lacks."""

    def __init__(self, per_second: float, at_once: int, what: str) -> None:
        self._per_second = per_second
        self._at_once = at_once
        self._what = what
        self._rates: OrderedDict[str, Rate] = OrderedDict()

    def take(self, caller: str, now: float) -> str:
        """Why the caller may not, "" where it may."""
        rate = self._rates.setdefault(caller, Rate(self._per_second, self._at_once))
        self._rates.move_to_end(caller)
        if len(self._rates) > _CALLERS:
            self._rates.popitem(last=False)
        if rate.take(now):
            return ""
        return f"request rate limit exceeded: {caller} asked for more than {self._per_second:g} {self._what} per second; try again later"
