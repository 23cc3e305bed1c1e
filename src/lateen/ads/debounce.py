"""When a batch of changes is committed: after a quiet time, or after the longest wait when changes never stop.

Istio's numbers: 100 ms quiet, 10 s at most. Time comes in as an argument; nothing here waits.
"""

__all__ = ["Debounce"]


class Debounce:
    """Tells for a stream of changes when to act. Times are seconds of one monotonic clock."""

    def __init__(self, quiet: float = 0.1, longest: float = 10.0) -> None:
        self._quiet = quiet
        self._longest = longest
        self._first: float | None = None
        self._last = 0.0

    def changed(self, now: float) -> None:
        """A change came in."""
        if self._first is None:
            self._first = now
        self._last = now

    def due(self) -> float | None:
        """When to act; None while there is nothing to act on."""
        if self._first is None:
            return None
        return min(self._last + self._quiet, self._first + self._longest)

    def acted(self) -> None:
        """The batch was taken; the next change starts a new one."""
        self._first = None
