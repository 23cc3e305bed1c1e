"""Objects from a folder of YAML and JSON files, and single files, followed live.

Why: a control plane without any API, for tests, static meshes and a first look. A file that cannot be read as a whole (an editor is in
the middle of writing it, a typing error) keeps the objects it last gave. An object carries as generation how often it changed here, as
files have none. Must not interpret any kind.
"""

import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace
from watchfiles import awatch

from lateen.api.decode import Decoded, decode_documents
from lateen.api.kinds import by_kind
from lateen.api.meta import Key, ObjectMeta
from lateen.runtime import log
from lateen.util.problem import Problem

__all__ = ["Folder", "OnObject", "follow_file", "follow_folder"]

_ENDINGS = (".yaml", ".yml", ".json")
_LARGEST = 100 << 20
_log = log.get("files")

_Mark = tuple[int, int, int]  # inode, size, time of writing
OnObject = Callable[[Key, Struct | None, int], None]  # None: it is gone; the number is its generation


class _Change(Struct, frozen=True):
    obj: Struct
    generation: int


class Folder:
    """What the files of a folder say; `update` with a file's bytes (None: it is gone) tells `on_object` what changed.

    Of an object that two files have, the one of the file first by name counts.
    """

    def __init__(self, on_object: OnObject) -> None:
        self._on_object = on_object
        self._files: dict[str, Mapping[Key, Struct]] = {}
        self._told: dict[Key, _Change] = {}
        self._last: dict[Key, int] = {}

    def update(self, name: str, data: bytes | None) -> tuple[Problem, ...]:
        """Take a file's content; the problems of what was left as it was, and of objects that another file has too."""
        before = self._files.get(name, {})
        found: Mapping[Key, Struct] = {}
        problems: tuple[Problem, ...] = ()
        if data is not None:
            found, problems = _objects(data, name, before)
            if any(problem.code == "syntax" for problem in problems):
                return problems
        self._files.pop(name, None)
        if found:
            self._files[name] = found
        for key in {**before, **found}:
            self._tell(key)
        return problems + self._doubles(name, found)

    def _tell(self, key: Key) -> None:
        obj = next((self._files[name][key] for name in sorted(self._files) if key in self._files[name]), None)
        told = self._told.get(key)
        if obj is None:
            if self._told.pop(key, None) is not None:
                self._on_object(key, None, 0)
        elif told is None or told.obj != obj:
            self._last[key] = generation = self._last.get(key, 0) + 1
            self._told[key] = _Change(obj, generation)
            self._on_object(key, _stamped(obj, generation), generation)

    def _doubles(self, name: str, found: Mapping[Key, Struct]) -> tuple[Problem, ...]:
        return tuple(
            Problem(code="duplicate-object", message=f"{key} is in {other} and in {name}: the one in {min(name, other)} counts")
            for other in sorted(self._files)
            if other != name
            for key in sorted(found.keys() & self._files[other].keys())
        )


def _objects(data: bytes, name: str, before: Mapping[Key, Struct]) -> tuple[Mapping[Key, Struct], tuple[Problem, ...]]:
    """What a file says; an object with an error in it stays as it was before."""
    if not data.strip():
        return {}, (Problem(code="syntax", message=f"{name}: is empty; remove the file to remove its objects"),)
    found: dict[Key, Struct] = {}
    problems: list[Problem] = []
    for one in decode_documents(data, name):
        problems += one.problems
        key = _key(one)
        obj = one.obj if one.obj is not None or key is None else before.get(key)
        if key is not None and obj is not None:
            found[key] = obj
    return found, tuple(problems)


def _key(one: Decoded) -> Key | None:
    info = by_kind(one.key.kind) if one.key is not None else None
    if one.key is None or info is None or not info.namespaced or one.key.namespace:
        return one.key
    return Key(one.key.kind, "default", one.key.name)


def _stamped(obj: Struct, generation: int) -> Struct:
    meta = getattr(obj, "metadata", None)
    return replace(obj, metadata=replace(meta, generation=generation)) if isinstance(meta, ObjectMeta) else obj


async def follow_folder(path: Path, folder: Folder, synced: Callable[[], None], changed: Callable[[], None]) -> None:
    """Keep `folder` at what the files below `path` say, until cancelled: `synced` after the first look, `changed` after each later one."""
    marks: dict[Path, _Mark] = {}
    _look(path, marks, folder, set())
    synced()
    async for changes in awatch(path, debounce=200, step=20, yield_on_timeout=True, ignore_permission_denied=True):
        _look(path, marks, folder, {Path(name) for _, name in changes})
        changed()


def _look(path: Path, marks: dict[Path, _Mark], folder: Folder, doubtful: set[Path]) -> None:
    """Take what differs from the last look. All files are looked at: a folder replaced as a whole (Kubernetes' volumes) names none."""
    present = {file: mark for file in sorted(path.rglob("*")) if file.suffix in _ENDINGS and (mark := _mark(file)) is not None}
    for file in [file for file in marks if file not in present]:
        del marks[file]
        folder.update(str(file), None)
    for file, mark in present.items():
        if (marks.get(file) != mark or file in doubtful) and (data := _read(file)) is not None:
            marks[file] = mark
            for problem in folder.update(str(file), data):
                _log.warning("file not taken as it is", file=str(file), problem=problem.message)


def _mark(file: Path) -> _Mark | None:
    """What differs once a file was written; None where it is no file of objects."""
    with suppress(OSError):
        about = file.stat()
        if stat.S_ISREG(about.st_mode) and about.st_size <= _LARGEST:
            return about.st_ino, about.st_size, about.st_mtime_ns
    return None


def _read(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except OSError as error:
        _log.warning("file cannot be read", file=str(file), reason=error.strerror)
        return None


async def follow_file(path: Path, tell: Callable[[bytes], None]) -> None:
    """Tell a file's content now and at every change until cancelled; of a file that is gone the last content stays."""
    last: bytes | None = None
    changes = awatch(path.parent, debounce=200, step=20, recursive=False, yield_on_timeout=True)
    while True:
        data = _read(path)
        if data is not None and data != last:
            last = data
            tell(data)
        await anext(changes)
