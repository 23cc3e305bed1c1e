"""The recent changes of one resource, for watches that resume.

Why: each resource has a history of its own, so that a kind that changes all the time never expires the watches of the others.
`floor` is the revision of the newest change that was forgotten: a watch may resume at it or later. Must not decide who watches.
"""

from bisect import bisect_right
from collections.abc import Sequence

from lateen.kube.errors import expired
from lateen.kube.records import Change

__all__ = ["History"]

_MAX_CHANGES = 4096
_MAX_BYTES = 4 << 20
_SLACK = 256  # forgotten in steps, so that neither memory nor disk is touched for each change


class History:
    """Changes in order of revision, the oldest forgotten by count and by size."""

    def __init__(self, floor: int = 0, *, max_changes: int = _MAX_CHANGES, max_bytes: int = _MAX_BYTES) -> None:
        self.floor = floor
        self._changes: list[Change] = []
        self._bytes = 0
        self._max_changes = max_changes
        self._max_bytes = max_bytes

    def append(self, change: Change) -> bool:
        """Add the newest change; true when old ones were forgotten and `floor` moved."""
        self._changes.append(change)
        self._bytes += len(change.stored.body)
        slack = min(_SLACK, self._max_changes // 4)
        if len(self._changes) <= self._max_changes + slack and self._bytes <= self._max_bytes:
            return False
        return self._forget()

    def _forget(self) -> bool:
        drop = max(0, len(self._changes) - self._max_changes)
        kept = self._bytes - sum(len(c.stored.body) for c in self._changes[:drop])
        while kept > self._max_bytes * 3 // 4 and drop < len(self._changes) - 1:
            kept -= len(self._changes[drop].stored.body)
            drop += 1
        if not drop:
            return False
        self.floor = self._changes[drop - 1].stored.rv
        self._bytes = kept
        del self._changes[:drop]
        return True

    def since(self, revision: int) -> Sequence[Change]:
        """All changes after `revision`; ApiError 410 when some of them are forgotten."""
        if revision < self.floor:
            raise expired(revision, self.floor)
        return self._changes[bisect_right(self._changes, revision, key=lambda change: change.stored.rv) :]
