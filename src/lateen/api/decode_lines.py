"""Where each field of a document stands.

Why: problems name a line. Must not enter the graph: a moved line would look like a changed object.
"""

from collections.abc import Callable, Iterator, Mapping

from lateen.api.decode_fields import Path

__all__ = ["Lines"]


class Lines(Mapping[Path, int]):
    """From a field's path to its line; made when it is first asked, for it is needed only where something is wrong."""

    __slots__ = ("_index", "_known", "_prefix")

    def __init__(self, index: Callable[[], Mapping[Path, int]], prefix: Path = ()) -> None:
        self._index = index
        self._prefix = prefix
        self._known: Mapping[Path, int] | None = None

    def below(self, prefix: Path) -> "Lines":
        """The lines of one part, with paths that begin there."""
        return Lines(self._paths, self._prefix + prefix)

    def at(self, path: Path) -> int:
        """The line of the field, or of the nearest one around it; 0 where nothing is known."""
        known, whole = self._paths(), self._prefix + path
        return next((known[whole[:end]] for end in range(len(whole), -1, -1) if whole[:end] in known), 0)

    def _paths(self) -> Mapping[Path, int]:
        if self._known is None:
            self._known = self._index()
        return self._known

    def _own(self) -> dict[Path, int]:
        start = len(self._prefix)
        return {path[start:]: line for path, line in self._paths().items() if path[:start] == self._prefix}

    def __getitem__(self, path: Path) -> int:
        return self._paths()[self._prefix + path]

    def __iter__(self) -> Iterator[Path]:
        return iter(self._own())

    def __len__(self) -> int:
        return len(self._own())

    def __repr__(self) -> str:
        return "Lines(...)"
