"""One object from two sources: the API's form counts, the folder's waits for the API's to go; a problem says so.

Why: a folder is for what seldom changes, the API for what people do now. Must not do I/O.
"""

from collections.abc import Callable

from msgspec import Struct

from lateen.api.meta import Key
from lateen.util.problem import Problem

__all__ = ["Combined"]

Choose = Callable[[Key, Struct | None, int], None]


class Combined:
    """Both sources tell their forms (None: it is gone) with generations; `choose` is told the form that counts."""

    def __init__(self, choose: Choose) -> None:
        self._choose = choose
        self._folder: dict[Key, tuple[Struct, int]] = {}
        self._api: set[Key] = set()

    def from_api(self, key: Key, obj: Struct | None, generation: int) -> None:
        """The API's newest form."""
        if obj is not None:
            self._api.add(key)
            self._choose(key, obj, generation)
            return
        self._api.discard(key)
        waiting = self._folder.get(key)
        if waiting is None:
            self._choose(key, None, generation)
        else:
            self._choose(key, *waiting)

    def from_folder(self, key: Key, obj: Struct | None, generation: int) -> None:
        """The folder's newest form."""
        if obj is None:
            self._folder.pop(key, None)
        else:
            self._folder[key] = obj, generation
        if key not in self._api:
            self._choose(key, obj, generation)

    def problems(self) -> tuple[Problem, ...]:
        """Objects that both have."""
        return tuple(
            Problem(
                code="two-sources",
                message=f"{key} is in the API and in the folder: the API's form counts; remove one of the two",
                kind=key.kind,
                namespace=key.namespace,
                name=key.name,
                severity="warning",
            )
            for key in sorted(self._folder.keys() & self._api)
        )
