"""Where a mesh keeps what, and whose it is."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lateen.local.paths import Lock, LockError, Paths, holder, locate

HOME = Path("/home/ann")


def test_usual_folders() -> None:
    """Root's and a user's data and sockets are where the system keeps such things."""
    assert locate(None, {}, uid=0, home=HOME) == Paths(data=Path("/var/lib/lateen"), run=Path("/run/lateen"))
    mine = locate(None, {"XDG_RUNTIME_DIR": "/run/user/1000"}, uid=1000, home=HOME)
    assert mine == Paths(data=HOME / ".local/share/lateen", run=Path("/run/user/1000/lateen"))
    assert locate(None, {}, uid=1000, home=HOME).run == Path("/tmp/lateen-1000")


def test_the_option_wins_over_the_environment(tmp_path: Path) -> None:
    """`--data-dir`, then $LATEEN_DATA_DIR, then the usual folder."""
    environ = {"LATEEN_DATA_DIR": str(tmp_path / "b")}
    assert locate(str(tmp_path / "a"), environ, uid=0, home=HOME).data == tmp_path / "a"
    assert locate(None, environ, uid=0, home=HOME).data == tmp_path / "b"


def test_each_data_folder_has_its_own_sockets(tmp_path: Path) -> None:
    """Two meshes at once do not meet; the same folder is found again, by a symbolic link too."""
    one, two = (locate(str(tmp_path / name), {}, uid=0, home=HOME).run for name in "ab")
    assert one != two
    assert one.parent == two.parent == Path("/run/lateen")
    (tmp_path / "a").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert locate(str(tmp_path / "link"), {}, uid=0, home=HOME).run == one


def test_a_path_too_long_for_a_socket_is_said() -> None:
    """The kernel takes 107 bytes; better a sentence than its error."""
    with pytest.raises(LockError, match="too long for a socket"):
        locate(None, {"XDG_RUNTIME_DIR": "/" + "x" * 100}, uid=1000, home=HOME)


def test_folders_are_the_owners_only(tmp_path: Path) -> None:
    """Keys lie there: nobody else may look inside."""
    paths = Paths(data=tmp_path / "deep/data", run=tmp_path / "run")
    paths.make()
    assert [path.stat().st_mode & 0o777 for path in (paths.data, paths.run)] == [0o700, 0o700]


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    """The sentence names the folder and the option."""
    (tmp_path / "file").write_text("")
    with pytest.raises(LockError, match=r"file/data cannot be made.*--data-dir"):
        Paths(data=tmp_path / "file/data", run=tmp_path / "run").make()


def test_the_lock_says_whose_it_is(tmp_path: Path) -> None:
    """Another process is told by whom and since when the folder is used; afterwards nobody holds it."""
    paths = Paths(data=tmp_path, run=tmp_path)
    assert holder(paths) is None
    lock = Lock(paths)
    lock.acquire(1_790_000_000.0)
    held = holder(paths)
    assert held is not None
    assert (held.pid, held.started, held.run) == (os.getpid(), "2026-09-21T14:13:20+00:00", str(tmp_path))
    with pytest.raises(LockError, match=rf"process {os.getpid()}, started 2026-09-21.*lateen down.*--data-dir"):
        Lock(paths).acquire(0)
    lock.release()
    assert holder(paths) is None
    again = Lock(paths)
    again.acquire(0)
    again.release()


def test_a_mesh_that_is_dying_is_waited_for(tmp_path: Path) -> None:
    """After `kill -9` of the parent its children end a moment later; the next start waits for them."""
    program = (
        "import os, sys; from pathlib import Path; from lateen.local.paths import Lock, Paths\n"
        "Lock(Paths(data=Path(sys.argv[1]), run=Path(sys.argv[1]))).acquire(0)\n"
        "if os.fork(): os._exit(0)\n"
        "print(os.getpid(), flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as started:  # fmt: skip
        assert started.stdout
        child = int(started.stdout.readline())
        assert started.wait(10) == 0  # the parent is gone, the child still holds the lock
        paths = Paths(data=tmp_path, run=tmp_path)
        assert holder(paths) is not None
        before = signal.getsignal(signal.SIGALRM)
        with subprocess.Popen(["sh", "-c", f"sleep 0.2; kill -9 {child}"]):
            lock = Lock(paths)
            lock.acquire(0)
            lock.release()
        assert signal.getsignal(signal.SIGALRM) == before


@pytest.mark.parametrize("how", ["writable by others", "a link"])
def test_a_folder_of_sockets_that_another_user_could_have_made_is_not_used(tmp_path: Path, how: str) -> None:
    """/tmp is everybody's: who can put a socket there would be sent the user's objects. Neither `up` nor any command goes on."""
    above = tmp_path / "lateen-1000"
    if how == "a link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        above.symlink_to(tmp_path / "elsewhere")
    else:
        above.mkdir()
        above.chmod(0o777)
    paths = Paths(data=tmp_path / "data", run=above / "one", above=above)
    for use in (paths.trust, paths.make):
        with pytest.raises(LockError, match=r"lateen-1000 is not yours alone.*XDG_RUNTIME_DIR"):
            use()


def test_a_folder_of_sockets_that_is_not_there_yet_can_be_trusted(tmp_path: Path) -> None:
    """Commands that come before any mesh then say that there is none; `make` makes all levels the owner's alone."""
    paths = Paths(data=tmp_path / "data", run=tmp_path / "user" / "one", above=tmp_path / "user")
    paths.trust()
    paths.make()
    assert (tmp_path / "user").stat().st_mode & 0o777 == 0o700


def test_a_data_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """A lock that cannot be opened is one sentence with the remedy."""
    (tmp_path / "lock").mkdir()
    with pytest.raises(LockError, match=r"cannot be written: Is a directory.*--data-dir"):
        Lock(Paths(data=tmp_path, run=tmp_path)).acquire(0)
