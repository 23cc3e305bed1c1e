"""Running the node in namespaces of its own: `run_node`, and the small parent that stays on the host.

Why: whatever the node makes (links, rules, mounts, processes) lives in namespaces that the kernel removes with the node's
first process, and that process dies with the parent, even by `kill -9`. As root this is done directly; otherwise inside a
user namespace whose users 1 to n are mapped to the range that /etc/subuid gives this user. The parent must do nothing but
wait, hand signals on, and say why the node ended.
"""

import contextlib
import os
import pwd
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from msgspec import Struct

from lateen.local import syscalls
from lateen.local.pidone import PidOne
from lateen.local.spawnwire import pair

__all__ = ["IdRange", "IsolationError", "NodeContext", "mapped_ranges", "parse_ranges", "run_isolated", "run_node"]

_MAP_SECONDS = 10
_PATIENCE = 3  # the third signal ends a node that does not come to its end


class IsolationError(Exception):
    """A sentence saying why the node's namespaces could not be made."""


class IdRange(Struct, frozen=True, kw_only=True):
    """Users or groups `first` to `first + count - 1` of the host, which a user may use in namespaces."""

    first: int
    count: int


class NodeContext(Struct, frozen=True, kw_only=True):
    """What the node process is given: its door to the first process, the host's sockets, and a place for secrets."""

    channel: socket.socket  # for `spawner.Spawner`
    listeners: tuple[socket.socket, ...]  # those given to run_node, in order; they belong to the host's network
    private: Path  # a folder in memory that only this node sees
    rootless: bool


def parse_ranges(text: str, names: tuple[str, ...]) -> list[IdRange]:
    """The ranges that a file like /etc/subuid gives to one of the names (a user's name, or number)."""
    rows = [line.strip().split(":") for line in text.splitlines()]
    return [IdRange(first=int(row[1]), count=int(row[2])) for row in rows if len(row) == 3 and row[0] in names]


def mapped_ranges() -> tuple[IdRange | None, IdRange | None]:
    """The widest range of users and of groups of the user who runs this process."""
    uid = os.getuid()
    with contextlib.suppress(KeyError):
        names = (str(uid), pwd.getpwuid(uid).pw_name)
        return _widest("/etc/subuid", names), _widest("/etc/subgid", names)
    return _widest("/etc/subuid", (str(uid),)), _widest("/etc/subgid", (str(uid),))


def _widest(path: str, names: tuple[str, ...]) -> IdRange | None:
    file = Path(path)
    ranges = parse_ranges(file.read_text(), names) if file.exists() else []
    return max(ranges, key=lambda each: each.count, default=None)


def run_node(main: Callable[[NodeContext], int], published: Sequence[socket.socket], *, run_dir: Path) -> int:
    """Run `main` as the node process in namespaces of its own until it returns; returns its exit code.

    Call it from a process with one thread. `published` are sockets already listening on the host; they are closed here and
    live on in the node. `run_dir` must exist; the node's private folder is mounted inside it, in the node's namespaces only.
    """
    rootless = os.geteuid() != 0
    private = run_dir / "private"
    private.mkdir(mode=0o700, exist_ok=True)

    def first_process(parent: int) -> int:
        syscalls.mount("lateen-private", private, "tmpfs", "mode=0700")
        ours, node_end = pair()
        context = NodeContext(channel=node_end, listeners=tuple(published), private=private, rootless=rootless)

        def node() -> int:
            ours.close()
            return main(context)

        return PidOne(ours, parent).run(node)

    pid, alive = _start(first_process, rootless=rootless)
    for each in published:
        each.close()
    try:
        code = _attend(pid)
    finally:
        os.close(alive)
    if code == 128 + signal.SIGKILL:
        sys.stderr.write("lateen: the node was killed (SIGKILL). If nobody did it, the machine may be out of memory: see dmesg.\n")
    return code


def run_isolated(check: Callable[[], str]) -> str:
    """Call `check` in namespaces as the node's, thrown away afterwards, and return what it says."""
    reader, writer = os.pipe()

    def first_process(_parent: int) -> int:
        os.write(writer, check().encode()[:60_000])
        return 0

    pid, alive = _start(first_process, rootless=os.geteuid() != 0)
    os.close(writer)
    with os.fdopen(reader, "rb") as said:
        text = said.read().decode()
    os.waitpid(pid, 0)
    os.close(alive)
    return text


def _start(first_process: Callable[[int], int], *, rootless: bool) -> tuple[int, int]:
    """Fork the first process of new namespaces; its number on the host, and a descriptor whose closing ends it.

    Forks twice, as only children are in a new PID namespace. The process between is gone when this returns.
    """
    if threading.active_count() > 1:
        raise IsolationError("The node must be started before other threads are; this is a defect of Lateen.")
    sys.stdout.flush()
    sys.stderr.flush()
    syscalls.subreaper()
    alive, held = os.pipe()
    ours, theirs = socket.socketpair()
    between = os.fork()
    if not between:
        os.close(held)
        ours.close()
        _between(theirs, alive, first_process, rootless=rootless)
    os.close(alive)
    theirs.close()
    try:
        with ours:
            if rootless:
                _map_ids(between, ours)
            said = ours.recv(4096).decode()
            if not said.startswith("pid "):
                raise IsolationError(said or "The node's namespaces could not be made: the process that was to make them died.")
            os.waitpid(between, 0)
            ours.send(b"go")
    except IsolationError:
        os.close(held)
        os.waitpid(between, 0)
        raise
    return int(said.removeprefix("pid ")), held


def _between(channel: socket.socket, alive: int, first_process: Callable[[int], int], *, rootless: bool) -> NoReturn:
    doing = "A user namespace cannot be made"
    try:
        if rootless:
            syscalls.unshare(syscalls.CLONE_NEWUSER)
            channel.send(b"map")
            if channel.recv(8) != b"mapped":
                os._exit(1)
            os.setresgid(0, 0, 0)
            os.setresuid(0, 0, 0)
        doing = "The node's namespaces cannot be made"
        kinds = (syscalls.CLONE_NEWNS, syscalls.CLONE_NEWPID, syscalls.CLONE_NEWNET, syscalls.CLONE_NEWIPC)
        syscalls.unshare(sum(kinds))
        syscalls.make_private()
    except OSError as error:
        channel.send(f"{doing}: {error.strerror}.".encode())
        os._exit(1)
    pid = os.fork()
    if pid:
        channel.send(f"pid {pid}".encode())
        os._exit(0)
    os._exit(_first(channel, alive, first_process))


def _first(channel: socket.socket, alive: int, first_process: Callable[[int], int]) -> int:
    """The first process: wait until the parent has adopted it, so that the kernel ends it with the parent."""
    code = 1
    try:
        if channel.recv(8) != b"go":
            return 1
        channel.close()
        os.setsid()  # the terminal's Ctrl-C is for the parent, which hands it on
        syscalls.die_with_parent()
        syscalls.mount("proc", Path("/proc"), "proc")
        code = first_process(alive)
    except OSError as error:
        sys.stderr.write(f"lateen: the node's namespaces could not be prepared: {error.strerror}.\n")
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:  # noqa: BLE001  (the end of a forked process: nothing above may run)
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _map_ids(pid: int, channel: socket.socket) -> None:
    if channel.recv(8) != b"map":
        raise IsolationError("User namespaces cannot be made by this user on this machine.")
    users, groups = mapped_ranges()
    if not users or not groups:
        raise IsolationError("This user has no range of users and groups in /etc/subuid and /etc/subgid.")
    for program, own, each in (("newuidmap", os.getuid(), users), ("newgidmap", os.getgid(), groups)):
        numbers = (pid, 0, own, 1, 1, each.first, each.count)
        try:
            done = subprocess.run([program, *map(str, numbers)], capture_output=True, text=True, timeout=_MAP_SECONDS, check=False)
        except FileNotFoundError:
            raise IsolationError(f"There is no {program} on this machine (Debian's package uidmap).") from None
        if done.returncode:
            raise IsolationError(f"The users of a namespace cannot be mapped: {' '.join(done.stderr.split())}.")
    channel.send(b"mapped")


def _attend(pid: int) -> int:
    """Wait for the first process and hand signals on; the third one ends it at once."""
    seen = 0

    def hand_on(number: int, _frame: object) -> None:
        nonlocal seen
        seen += 1
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number if seen < _PATIENCE else signal.SIGKILL)

    before = {each: signal.signal(each, hand_on) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return status if status >= 0 else 128 - status
