"""Collects what a validator finds, each finding at its path.

Why: validators walk an object once and must say every mistake with the field it is in. Must not know any kind.
"""

from typing import NamedTuple

from lateen.util.problem import Severity

__all__ = ["Report", "Verdict"]

Step = str | int


class Verdict(NamedTuple):
    """One finding at a path of the object as JSON writes it."""

    path: tuple[Step, ...]
    message: str
    severity: Severity
    code: str = ""  # of analysis, where it has one of its own for this


class Report:
    """Findings about the part of the object at `path`; parts of it are reported `at` paths below."""

    __slots__ = ("_found", "_path")

    def __init__(self, path: tuple[Step, ...] = (), found: list[Verdict] | None = None) -> None:
        self._path = path
        self._found: list[Verdict] = [] if found is None else found

    def at(self, *steps: Step) -> "Report":
        """The same report, below."""
        return Report((*self._path, *steps), self._found)

    def error(self, message: str) -> None:
        """What is here is refused."""
        self._found.append(Verdict(self._path, message, "error"))

    def warn(self, message: str, code: str = "") -> None:
        """What is here is taken, but is not what its writer wants."""
        self._found.append(Verdict(self._path, message, "warning", code))

    @property
    def found(self) -> tuple[Verdict, ...]:
        """All findings so far."""
        return tuple(self._found)
