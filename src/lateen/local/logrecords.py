"""The lines of a container's log as Kubernetes' nodes keep them: when, where from, whether the line ends, what was said.

Why the time is kept: `kubectl logs --since` and `--timestamps` ask for it. Must not read files.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

from lateen.kube.options import LogOptions

__all__ = ["LogView", "records"]

_WHOLE, _PART = b" stdout F ", b" stdout P "


def records(data: bytes, when: float) -> bytes:
    """What a program printed at a time (seconds since the epoch), as records."""
    time = _time(when)
    *lines, rest = data.split(b"\n")
    made = b"".join([time + _WHOLE + line + b"\n" for line in lines])
    return made + time + _PART + rest + b"\n" if rest else made


def _time(when: float) -> bytes:
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z").encode()


class LogView:
    """What of a log is shown, by its options; `begin` takes what is there, `more` what comes."""

    def __init__(self, options: LogOptions) -> None:
        self._options = options
        self._since = b"" if options.since is None else _time(options.since)
        self._rest = b""
        self._in_line = False
        self._left = options.limit

    @property
    def full(self) -> bool:
        """Whether no more is to be shown."""
        return self._left == 0

    def begin(self, data: bytes) -> bytes:
        """The text so far: its last lines, or all."""
        shown = list(self._lines(data))
        tail = self._options.tail
        if tail is not None:
            shown = _last(shown, tail)
        return self._limited(b"".join(shown))

    def more(self, data: bytes) -> bytes:
        """The text of further records."""
        return self._limited(b"".join(self._lines(data)))

    def _lines(self, data: bytes) -> Iterator[bytes]:
        """What is shown of each record; one that is not whole yet is kept."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        for record in whole:
            time, _, after = record.partition(b" ")
            said, ends = after[9:], after[:9] == _WHOLE[1:]
            if time >= self._since:
                stamp = time + b" " if self._options.timestamps and not self._in_line else b""
                yield stamp + said + (b"\n" if ends else b"")
                self._in_line = not ends

    def _limited(self, text: bytes) -> bytes:
        if self._left is None:
            return text
        text = text[: self._left]
        self._left -= len(text)
        return text


def _last(shown: list[bytes], count: int) -> list[bytes]:
    """The last `count` lines, of which the very last may not have ended."""
    return b"".join(shown).splitlines(keepends=True)[-count:] if count else []
