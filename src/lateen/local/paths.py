"""Where a local mesh keeps what: its data folder, its folder of sockets, and the lock that says whose data they are.

Why: `lateen up`, `down`, `status` and `apply` are separate processes that must find each other by the data folder alone.
Must not know what is in the files.
"""

import contextlib
import fcntl
import hashlib
import os
import signal
import stat
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

__all__ = ["Holder", "Lock", "LockError", "Paths", "holder", "locate", "locate_here"]

_LONGEST_SOCKET_PATH = 107
_DYING_SECONDS = 10


class LockError(Exception):
    """A sentence saying why the data folder cannot be used."""


class Paths(Struct, frozen=True, kw_only=True):
    """The folders of one mesh. `data` lasts; `run` holds sockets and is on this machine only."""

    data: Path
    run: Path
    above: Path | None = None  # the folder of all the user's meshes, where `run` is inside it

    @property
    def lock(self) -> Path:
        """The lock; its text says who holds it."""
        return self.data / "lock"

    @property
    def monitoring_socket(self) -> Path:
        """The control plane's metrics and debug pages, for the owner."""
        return self.run / "monitoring.sock"

    @property
    def api_socket(self) -> Path:
        """Where the embedded API listens for the owner."""
        return self.run / "api.sock"

    @property
    def logs(self) -> Path:
        """Logs of containers, and of the mesh when it runs detached."""
        return self.data / "logs"

    def make(self) -> None:
        """Make the folders, for the owner only; LockError when that is not possible."""
        for folder in (self.data, *self._runs()):
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                raise LockError(f"The folder {folder} cannot be made: {error.strerror}. Name another one with --data-dir.") from error
            if folder.stat().st_uid != os.geteuid():
                raise LockError(f"The folder {folder} belongs to another user: name another one with --data-dir.")
        self.trust()

    def trust(self) -> None:
        """Raise LockError where another user could have put the sockets there: /tmp is everybody's."""
        for folder in self._runs():
            with contextlib.suppress(FileNotFoundError):
                found = folder.lstat()
                if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
                    raise LockError(f"The folder {folder} is not yours alone, so it is not used: remove it, or set XDG_RUNTIME_DIR.")

    def _runs(self) -> tuple[Path, ...]:
        """The folder of sockets, below the user's own."""
        return (self.above, self.run) if self.above else (self.run,)


class Holder(Struct, frozen=True, kw_only=True):
    """Whose a data folder is: the mesh's parent process, when it was started (RFC 3339), and its folder of sockets."""

    pid: int
    started: str
    run: str


def locate_here(data_dir: str | None = None) -> Paths:
    """`locate` for this process: its environment, user and home; LockError as there."""
    return locate(data_dir, os.environ, uid=os.geteuid(), home=Path.home())


def locate(data_dir: str | None, environ: Mapping[str, str], *, uid: int, home: Path) -> Paths:
    """The folders of the mesh with that data folder (None: $LATEEN_DATA_DIR, or the user's own)."""
    usual = Path("/var/lib/lateen") if uid == 0 else home / ".local" / "share" / "lateen"
    named = data_dir or environ.get("LATEEN_DATA_DIR")
    data = Path(named).expanduser().absolute() if named else usual
    runtime = environ.get("XDG_RUNTIME_DIR")
    own = Path(runtime, "lateen") if runtime else Path(f"/tmp/lateen-{uid}")  # noqa: S108  (made for the owner only, and checked)
    run = Path("/run/lateen") if uid == 0 else own
    above = None
    if data.resolve() != usual.resolve():  # meshes of other data folders have sockets of their own
        above, run = run, run / hashlib.sha256(os.fsencode(data.resolve())).hexdigest()[:8]
    paths = Paths(data=data, run=run, above=above)
    if len(os.fsencode(paths.monitoring_socket)) > _LONGEST_SOCKET_PATH:
        raise LockError(f"{paths.monitoring_socket} is too long for a socket's path: set XDG_RUNTIME_DIR to a shorter one.")
    return paths


def holder(paths: Paths) -> Holder | None:
    """Who runs a mesh on the data folder now, if anybody does."""
    try:
        descriptor = os.open(paths.lock, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        with contextlib.suppress(msgspec.DecodeError):
            return msgspec.json.decode(os.pread(descriptor, 4096, 0), type=Holder)
        return Holder(pid=0, started="", run=str(paths.run))
    finally:
        os.close(descriptor)
    return None


class Lock:
    """The data folder is ours until this process and all that it forks have ended."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._descriptor = -1

    def acquire(self, now: float) -> None:
        """Take the lock, or raise LockError saying whose it is. A mesh whose parent was just killed is waited for."""
        try:
            self._descriptor = os.open(self._paths.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._wait_for_the_dying()
            started = datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds")
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, msgspec.json.encode(Holder(pid=os.getpid(), started=started, run=str(self._paths.run))), 0)
        except OSError as error:
            raise LockError(
                f"The data folder {self._paths.data} cannot be written: {error.strerror}. Free or mend it, or name another with --data-dir."
            ) from error

    def take_over(self, seconds: int) -> bool:
        """Wait for whoever has the lock to end; whether it is ours now."""
        self._descriptor = os.open(self._paths.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with contextlib.suppress(TimeoutError), _limit(seconds):
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            return True
        self.release()
        return False

    def release(self) -> None:
        """Let the data folder go."""
        os.close(self._descriptor)
        self._descriptor = -1

    def _wait_for_the_dying(self) -> None:
        other = holder(self._paths)
        if other is None or not _alive(other.pid):
            with contextlib.suppress(TimeoutError), _limit(_DYING_SECONDS):
                fcntl.flock(self._descriptor, fcntl.LOCK_EX)
                return
        self.release()
        whose = f"of process {other.pid}, started {other.started}" if other and other.pid else "that is just starting"
        raise LockError(
            f"The data folder {self._paths.data} is in use by the mesh {whose}: end it with `lateen down`, "
            f"or start another one with --data-dir."
        )


def _alive(pid: int) -> bool:
    return pid > 0 and Path(f"/proc/{pid}").exists()


@contextlib.contextmanager
def _limit(seconds: int) -> Iterator[None]:
    """Raise TimeoutError in this (main) thread after so long."""

    def expired(_number: int, _frame: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, expired)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
