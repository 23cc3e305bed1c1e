"""The few Linux system calls that Python 3.11 does not offer: namespaces, mounts, capabilities.

Why: no `ip`, `unshare` or `mount` program is run, so nothing depends on their version and a failure says what failed.
Must not decide anything: each function is one call, and raises OSError with the words of what it was doing.
"""

import ctypes
import errno
import os
import signal
import struct
from pathlib import Path

__all__ = [
    "CAPABILITIES",
    "CLONE_NEWIPC",
    "CLONE_NEWNET",
    "CLONE_NEWNS",
    "CLONE_NEWPID",
    "CLONE_NEWUSER",
    "CLONE_NEWUTS",
    "bind",
    "clone_mount",
    "detach",
    "die_with_parent",
    "drop_capabilities",
    "keep_capabilities",
    "make_private",
    "mount",
    "move_mount",
    "no_new_privileges",
    "pivot",
    "remount",
    "set_capabilities",
    "set_file_owner",
    "set_hostname",
    "setns",
    "subreaper",
    "unshare",
]

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

CAPABILITIES = {"NET_BIND_SERVICE": 10, "NET_ADMIN": 12, "NET_RAW": 13, "SYS_PTRACE": 19}

_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 0x40000
_MNT_DETACH = 2
_AT_FDCWD, _AT_RECURSIVE, _AT_EMPTY_PATH = -100, 0x8000, 0x1000
_OPEN_TREE_CLONE, _MOVE_MOUNT_F_EMPTY_PATH = 1, 4
_ATTR_RDONLY, _ATTR_NOSUID = 1, 2
_PR_SET_PDEATHSIG, _PR_SET_KEEPCAPS, _PR_CAPBSET_DROP = 1, 8, 24
_PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 36, 38, 47
# Calls newer than most C libraries; their numbers are the same on every architecture that came after 2019's common table.
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def _check(result: int, doing: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{doing}: {os.strerror(number)}")
    return result


def _syscall(doing: str, number: int, *arguments: int | bytes) -> int:
    values = [ctypes.c_char_p(each) if isinstance(each, bytes) else ctypes.c_long(each) for each in arguments]
    return _check(_libc.syscall(ctypes.c_long(number), *values), doing)


def _prctl(doing: str, option: int, *arguments: int) -> int:
    padded = (*arguments, 0, 0, 0, 0)[:4]
    return _check(_libc.prctl(option, *(ctypes.c_ulong(each) for each in padded)), doing)


def unshare(flags: int) -> None:
    """Leave the namespaces of `flags` for new ones."""
    _check(_libc.unshare(flags), "making new namespaces")


def setns(namespace: int, kind: int) -> None:
    """Enter the namespace that the file descriptor names; `kind` is a CLONE_ constant. Threads enter alone."""
    _check(_libc.setns(namespace, kind), "entering a namespace")


def mount(source: str, target: Path, filesystem: str, options: str = "") -> None:
    """Mount a new file system."""
    result = _libc.mount(source.encode(), os.fsencode(target), filesystem.encode(), ctypes.c_ulong(0), options.encode())
    _check(result, f"mounting a {filesystem} at {target}")


def _mount_flags(source: Path, target: Path, flags: int, doing: str) -> None:
    _check(_libc.mount(os.fsencode(source), os.fsencode(target), None, ctypes.c_ulong(flags), None), doing)


def bind(source: Path, target: Path) -> None:
    """Show `source` with all that is mounted below it at `target` as well."""
    _mount_flags(source, target, _MS_BIND | _MS_REC, f"binding {source} to {target}")


def make_private() -> None:
    """Keep all mounts made from now on inside this mount namespace."""
    _mount_flags(Path("none"), Path("/"), _MS_REC | _MS_PRIVATE, "making mounts private")


def detach(target: Path) -> None:
    """Unmount `target` and all below it."""
    _check(_libc.umount2(os.fsencode(target), _MNT_DETACH), f"unmounting {target}")


def pivot(root: Path) -> None:
    """Make the mount at `root` this namespace's root and drop the old one."""
    os.chdir(root)
    _syscall(f"changing the root to {root}", _PIVOT_ROOT[os.uname().machine], b".", b".")
    detach(Path())
    os.chdir("/")


def clone_mount(path: Path) -> int:
    """A file descriptor of a copy of what `path` shows, to be put anywhere with `move_mount`, even in another mount namespace."""
    flags = _OPEN_TREE_CLONE | _AT_RECURSIVE | os.O_CLOEXEC
    return _syscall(f"opening {path} for mounting", _OPEN_TREE, _AT_FDCWD, os.fsencode(path), flags)


def move_mount(tree: int, target: Path) -> None:
    """Mount what `clone_mount` returned at `target`."""
    _syscall(f"mounting at {target}", _MOVE_MOUNT, tree, b"", _AT_FDCWD, os.fsencode(target), _MOVE_MOUNT_F_EMPTY_PATH)


def remount(target: Path, *, read_only: bool, recursive: bool = True) -> None:
    """Make a mount read-only or writable again, set-uid programs always without effect."""
    attributes = struct.pack("=4Q", _ATTR_NOSUID | (_ATTR_RDONLY if read_only else 0), 0 if read_only else _ATTR_RDONLY, 0, 0)
    flags = _AT_RECURSIVE if recursive else 0
    _syscall(f"remounting {target}", _MOUNT_SETATTR, _AT_FDCWD, os.fsencode(target), flags, attributes, len(attributes))


def set_hostname(name: str) -> None:
    """Name the host of this UTS namespace."""
    raw = name.encode()[:64]
    _check(_libc.sethostname(raw, len(raw)), f"setting the host name {name}")


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies. Lost at a change of user."""
    _prctl("asking to die with the parent", _PR_SET_PDEATHSIG, signal.SIGKILL)


def subreaper() -> None:
    """Become the parent of descendants whose own parent ended."""
    _prctl("becoming a subreaper", _PR_SET_CHILD_SUBREAPER, 1)


def no_new_privileges() -> None:
    """Set-uid programs give this process and its children nothing from now on."""
    _prctl("giving up new privileges", _PR_SET_NO_NEW_PRIVS, 1)


def keep_capabilities() -> None:
    """Keep permitted capabilities over the next change of user."""
    _prctl("keeping capabilities", _PR_SET_KEEPCAPS, 1)


def drop_capabilities(keep: frozenset[int]) -> None:
    """Remove all capabilities but `keep` from the bounding set: nothing this process starts can get them."""
    for number in range(64):
        if number not in keep and _libc.prctl(_PR_CAPBSET_DROP, ctypes.c_ulong(number), 0, 0, 0) < 0:
            if ctypes.get_errno() == errno.EINVAL:  # the kernel has no capability of this number, nor any above
                return
            _check(-1, "dropping a capability")


def set_file_owner(uid: int, gid: int) -> None:
    """Files and sockets this thread opens from now on count as this user's and group's; nothing else changes."""
    _libc.setfsgid(gid)
    _libc.setfsuid(uid)
    if _libc.setfsuid(-1) != uid or _libc.setfsgid(-1) != gid:  # they report no errors themselves
        raise OSError(errno.EPERM, f"opening files as user {uid}, group {gid}: {os.strerror(errno.EPERM)}")


def set_capabilities(keep: frozenset[int]) -> None:
    """Hold exactly `keep`, and hand them on to programs this process becomes."""
    mask = sum(1 << number for number in keep)
    low, high = mask & 0xFFFFFFFF, mask >> 32
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    data = struct.pack("=6I", low, low, low, high, high, high)
    _check(_libc.capset(header, data), "setting capabilities")
    for number in sorted(keep):
        _prctl("raising a capability", _PR_CAP_AMBIENT, 2, number)
