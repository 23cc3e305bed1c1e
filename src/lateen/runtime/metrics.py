"""Counters and histograms of this process, printed in Prometheus' text format.

Why not prometheus-client: it writes `_total` behind every counter's name, and the names that dashboards for Istio ask for have none
(docs/decisions/021). A counter is a dictionary entry; whatever can be counted when it is asked for is a `Reading`, so that it costs
nothing before. Must not know what is counted.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

__all__ = ["CONTENT_TYPE", "Counter", "Histogram", "Reading", "Registry"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Labels = tuple[str, ...]
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


class Reading(NamedTuple):
    """A family whose values are known when somebody asks: label values -> value."""

    name: str
    help: str
    labels: Labels
    values: Mapping[Labels, float]
    kind: str = "gauge"


class Counter:
    """Counts up, for each set of label values that was met; one without labels begins at 0."""

    def __init__(self, name: str, help: str, labels: Labels, kind: str) -> None:  # noqa: A002 - the format's own word
        self._family = (name, help, labels)
        self._kind = kind
        self._values: dict[Labels, float] = {} if labels else {(): 0.0}

    def add(self, *labels: str, by: float = 1.0) -> None:
        """Count `by` more."""
        self._values[labels] = self._values.get(labels, 0.0) + by

    def lines(self) -> Iterable[str]:
        """In the text format."""
        return _lines(Reading(*self._family, self._values, self._kind))


class Histogram:
    """Counts observations by upper bounds, which rise; the last one, infinity, is understood."""

    def __init__(self, name: str, help: str, bounds: Sequence[float], labels: Labels) -> None:  # noqa: A002 - the format's own word
        self._name, self._help, self._labels = name, help, labels
        self._bounds = tuple(bounds)
        self._counts: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, float] = {}
        if not labels:
            self._begin(())

    def observe(self, value: float, *labels: str) -> None:
        """Take `value` in."""
        if labels not in self._counts:
            self._begin(labels)
        self._counts[labels][bisect_left(self._bounds, value)] += 1
        self._sums[labels] += value

    def _begin(self, labels: Labels) -> None:
        self._counts[labels] = [0] * (len(self._bounds) + 1)
        self._sums[labels] = 0.0

    def lines(self) -> Iterable[str]:
        """In the text format: counts up to each bound, sum, count."""
        yield from _head(self._name, self._help, "histogram")
        for labels in sorted(self._counts):
            seen = 0
            for bound, count in zip((*map(_number, self._bounds), "+Inf"), self._counts[labels], strict=True):
                seen += count
                yield f"{self._name}_bucket{_braces((*self._labels, 'le'), (*labels, bound))} {seen}"
            yield f"{self._name}_sum{_braces(self._labels, labels)} {_number(self._sums[labels])}"
            yield f"{self._name}_count{_braces(self._labels, labels)} {seen}"


class Registry:
    """All that one process tells of itself."""

    def __init__(self) -> None:
        self._counted: list[Counter | Histogram] = []
        self._read: list[Callable[[], Iterable[Reading]]] = []

    def counter(self, name: str, help: str, *labels: str, kind: str = "counter") -> Counter:  # noqa: A002 - the format's own word
        """A new counter; `kind` is "gauge" where Istio calls what it counts one."""
        made = Counter(name, help, labels, kind)
        self._counted.append(made)
        return made

    def histogram(self, name: str, help: str, bounds: Sequence[float], *labels: str) -> Histogram:  # noqa: A002 - the format's own word
        """A new histogram."""
        made = Histogram(name, help, bounds, labels)
        self._counted.append(made)
        return made

    def reads(self, read: Callable[[], Iterable[Reading]]) -> None:
        """Ask `read` whenever somebody wants to know."""
        self._read.append(read)

    def text(self) -> str:
        """Everything, now."""
        lines = [line for one in self._counted for line in one.lines()]
        lines += [line for read in self._read for reading in read() for line in _lines(reading)]
        return "\n".join((*lines, ""))


def _lines(reading: Reading) -> Iterable[str]:
    yield from _head(reading.name, reading.help, reading.kind)
    for labels in sorted(reading.values):
        yield f"{reading.name}{_braces(reading.labels, labels)} {_number(reading.values[labels])}"


def _head(name: str, help: str, kind: str) -> tuple[str, str]:  # noqa: A002 - the format's own word
    return f"# HELP {name} {help}", f"# TYPE {name} {kind}"


def _braces(names: Labels, values: Labels) -> str:
    pairs = ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in zip(names, values, strict=True))
    return f"{{{pairs}}}" if pairs else ""


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))
