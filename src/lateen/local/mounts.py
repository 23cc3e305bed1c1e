"""What a pod sees of the file system: the machine's programs, read-only; no home folders; its own /tmp, /run and volumes.

Why a root of its own: Python, the package and Envoy may live under a private home (0700), where the user of a sidecar or an
app could not reach them, and the rest of that home is no business of theirs. So the root is built anew: the machine's
top folders are bound into it, homes and the mesh's own folders are not, and the trees that programs need are bound back at
the paths they have. Everything here runs in a forked child inside a mount namespace of its own and changes no file.
"""

import os
import stat
import sys
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from lateen.local import syscalls

__all__ = ["EVERYBODYS", "Exposed", "View", "add_volume", "build_root", "needed_trees", "regrow", "unreadable"]

# Users' own, or made anew for each pod.
_LEFT_OUT = frozenset({"home", "lost+found", "proc", "root", "run", "tmp"})
EVERYBODYS = (Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"))  # noqa: S108  (each pod's own)
_MOST_ENTRIES = 5000
_MOST_LINKS = 40


class Exposed(Struct, frozen=True, kw_only=True):
    """A folder or file that pods see at the path it has on the machine, even under a private folder."""

    path: str
    writable: bool = False


class View(Struct, frozen=True, kw_only=True):
    """What pods see beyond the machine's programs, and what of these they do not."""

    exposed: tuple[Exposed, ...] = ()
    hidden: tuple[str, ...] = ()


def needed_trees(extra: Iterable[Path] = ()) -> tuple[Exposed, ...]:
    """The trees of this Python, its packages and Lateen itself, and `extra`; none lies inside another."""
    paths = [Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve(), Path(__file__).parents[1], *extra]
    paths += [path for path in map(Path, sys.path) if path.name in {"site-packages", "dist-packages"}]
    kept: list[Path] = []
    for path in sorted({Path(os.path.normpath(each)) for each in paths if each.exists()}):
        if not any(path.is_relative_to(each) for each in kept):
            kept.append(path)
    return tuple(Exposed(path=str(path)) for path in kept)


def unreadable(paths: Iterable[Path]) -> list[Path]:
    """Those of `paths` that users other than their owner may not read (and, for folders and programs, enter or run)."""
    found = []
    for path in paths:
        mode = path.stat().st_mode
        wanted = stat.S_IROTH | (stat.S_IXOTH if stat.S_ISDIR(mode) or mode & stat.S_IXUSR else 0)
        if mode & wanted != wanted:
            found.append(path)
    return found


def build_root(view: View, stage: Path) -> None:
    """Make the root that every pod's is a copy of, at `stage`, and move into it."""
    syscalls.mount("lateen-root", stage, "tmpfs", "mode=0755,size=64m")
    _show_machine(stage)
    for folder in EVERYBODYS:
        if _under(stage, folder).is_dir():
            syscalls.mount("lateen-folder", _under(stage, folder), "tmpfs", "mode=1777,size=1m")
    for exposed in view.exposed:
        _expose(stage, exposed)
    for path in view.hidden:
        covered = _under(stage, Path(path).resolve())
        if covered.is_dir():
            syscalls.mount("lateen-hidden", covered, "tmpfs", "mode=0,size=4k")
            syscalls.remount(covered, read_only=True)
    syscalls.remount(stage, read_only=True, recursive=False)
    syscalls.pivot(stage)


def _show_machine(stage: Path) -> None:
    """The machine's top folders, read-only but for devices, and empty ones in place of users' own."""
    for entry in sorted(Path("/").iterdir()):
        if entry.name in _LEFT_OUT:
            continue
        if entry.is_symlink():
            (stage / entry.name).symlink_to(entry.readlink())
        elif os.path.isdir(entry):  # noqa: PTH112  (false, not an error, for another user's FUSE mount)
            _bind(entry, stage / entry.name, writable=entry.name == "dev")
    for name in ("home", "root", "run", "tmp"):
        (stage / name).mkdir()
    _bind(Path("/proc"), stage / "proc", writable=True)


def _under(stage: Path, path: Path) -> Path:
    return stage / path.relative_to("/")


def _bind(source: Path, target: Path, *, writable: bool) -> None:
    if source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.touch()
    syscalls.bind(source, target)
    if not writable:
        syscalls.remount(target, read_only=True)


def _expose(stage: Path, exposed: Exposed) -> None:
    """Walk down to the tree: copy symbolic links on the way, open folders that others may not enter, bind the tree itself."""
    at, left, links = Path("/"), list(Path(exposed.path).parts[1:]), 0
    while left:
        here = at / left.pop(0)
        inside = _under(stage, here)
        if here.is_symlink():
            links += 1
            if links > _MOST_LINKS:
                raise OSError(f"{exposed.path} leads through more than {_MOST_LINKS} symbolic links.")
            if not inside.is_symlink() and not inside.exists():
                inside.symlink_to(here.readlink())
            left = list(Path(os.path.normpath(at.joinpath(here.readlink(), *left))).parts[1:])
            at = Path("/")
            continue
        at = here
        if left:
            _open_folder(inside)
        elif not inside.exists() or exposed.writable:
            _bind(here, inside, writable=exposed.writable)


def _open_folder(inside: Path) -> None:
    """Have a folder there that everybody may enter: an empty one in place of a private one."""
    if not inside.is_dir():
        inside.mkdir()
    elif not inside.stat().st_mode & stat.S_IXOTH:
        syscalls.mount("lateen-open", inside, "tmpfs", "mode=0755,size=1m")


def regrow(directory: Path, mode: int = 0o755) -> None:
    """Cover a folder with an empty, writable one that shows the same entries, so that others can be added."""
    old = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        names = sorted(os.listdir(old))  # noqa: PTH208  (by descriptor: the path is about to be covered)
        if len(names) > _MOST_ENTRIES:
            raise OSError(f"{directory} has {len(names)} entries: too many to mount something beside them.")
        syscalls.mount("lateen-folder", directory, "tmpfs", f"mode={mode:o}")
        for name in names:
            source = Path(f"/proc/self/fd/{old}", name)
            if source.is_symlink():
                (directory / name).symlink_to(source.readlink())
            else:
                _bind(source, directory / name, writable=True)
    finally:
        os.close(old)


def add_volume(tree: int, target: Path, *, read_only: bool) -> None:
    """Mount what `syscalls.clone_mount` returned at `target`, making the place for it where there is none.

    What is mounted below `target` stays to be seen there, whatever the order of mounting: volumes within volumes, the pod's
    resolv.conf below a volume at /etc, and the trees that programs need, as those of a clone of Lateen below /tmp.
    """
    place = target.resolve()
    if not place.exists():
        _make_place(place, directory=stat.S_ISDIR(os.fstat(tree).st_mode))
    below = {path: syscalls.clone_mount(path) for path in _mounted_below(place)}
    syscalls.move_mount(tree, place)
    for path, kept in below.items():
        if not path.exists():
            _make_place(path, directory=stat.S_ISDIR(os.fstat(kept).st_mode))
    if read_only:
        syscalls.remount(place, read_only=True)
    for path, kept in below.items():
        syscalls.move_mount(kept, path)
        os.close(kept)


def _mounted_below(place: Path) -> list[Path]:
    """Where something is mounted below `place`, the outermost of each branch. The kernel writes blanks and the like in octal."""
    lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
    points = [Path(os.fsdecode(line.split(b" ")[4].decode("unicode_escape").encode("latin-1"))) for line in lines]
    kept: list[Path] = []
    for path in sorted({each for each in points if each != place and each.is_relative_to(place)}):
        if not any(path.is_relative_to(each) for each in kept) and path.exists():
            kept.append(path)
    return kept


def _make_place(place: Path, *, directory: bool) -> None:
    parent = next(each for each in place.parents if each.is_dir())
    if parent != Path("/") and os.statvfs(parent).f_flag & os.ST_RDONLY:
        regrow(parent)
    (place if directory else place.parent).mkdir(parents=True, exist_ok=True)
    if not directory:
        place.touch()
