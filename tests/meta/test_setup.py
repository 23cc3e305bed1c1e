"""scripts/setup.sh: what it installs, what it says, and that it does nothing when nothing is missing.

The script runs on a machine made of stand-ins: a `python3`, `apt-get` and `id` that write down how they were called.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

PYTHON = """#!/bin/sh
case "$*" in
*version_info*) exit {too_old} ;;
*ensurepip*) exit {no_venv} ;;
--version) echo "Python 3.9.2" ;;
"-m venv"*) echo venv >>"$CALLS"; mkdir -p .venv/bin; cp "$0" .venv/bin/python ;;
"-m pip --version") ;;
"-m pip"*) echo "$*" >>"$CALLS"; exit {pip_fails} ;;
esac
"""
TOOLS = ("sh", "cat", "cp", "rm", "mkdir", "sha256sum", "basename", "dirname")


@dataclass(frozen=True)
class Machine:
    """A clone with the script and a PATH of stand-ins; `newuidmap` is not on it."""

    clone: Path
    bin: Path

    def command(self, name: str, text: str) -> None:
        """Put a command on the PATH."""
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def python(self, *, too_old: bool = False, no_venv: bool = False, pip_fails: bool = False) -> None:
        """Give the machine a Python."""
        self.command("python3", PYTHON.format(too_old=int(too_old), no_venv=int(no_venv), pip_fails=int(pip_fails)))

    def user(self, uid: int) -> None:
        """Say who runs the script."""
        self.command("id", f"#!/bin/sh\necho {uid}\n")

    def setup(self, mode: str = "run") -> subprocess.CompletedProcess[str]:
        """Run the script."""
        environment = {"PATH": str(self.bin), "CALLS": str(self.clone / "calls")}
        command = [str(self.clone / "scripts" / "setup.sh"), mode]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)

    def calls(self) -> list[str]:
        """How the stand-ins were called since the last look."""
        log = self.clone / "calls"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return lines


@pytest.fixture
def machine(tmp_path: Path, root: Path) -> Machine:
    """A machine where root has Python, apt-get and no uidmap."""
    made = Machine(clone=tmp_path / "clone", bin=tmp_path / "bin")
    (made.clone / "scripts").mkdir(parents=True)
    made.bin.mkdir()
    shutil.copy(root / "scripts" / "setup.sh", made.clone / "scripts")
    for name in ("pyproject.toml", "requirements.lock", "requirements-dev.lock"):
        (made.clone / name).write_text(name)
    for tool in TOOLS:
        (made.bin / tool).symlink_to(shutil.which(tool) or tool)
    made.command("iptables-restore", "#!/bin/sh\n")
    made.command("nft", "#!/bin/sh\n")
    made.command("apt-get", '#!/bin/sh\necho "apt-get $*" >>"$CALLS"\n')
    made.user(0)
    made.python()
    return made


def test_root_gets_only_what_is_missing(machine: Machine) -> None:
    """Root: apt-get is asked for the missing package, then the locked Python packages and Lateen are installed."""
    done = machine.setup()
    assert done.returncode == 0, done.stderr
    debian, venv, packages, itself = machine.calls()
    assert debian.startswith("apt-get install")
    assert debian.endswith(" uidmap")
    assert venv == "venv"
    assert packages.endswith("--require-hashes --only-binary :all: -r requirements.lock")
    assert itself.endswith("--no-deps --no-build-isolation -e .")


def test_nothing_happens_when_nothing_is_missing(machine: Machine) -> None:
    """The second run calls neither apt-get nor pip and says nothing; so does `run` after `dev`."""
    machine.command("newuidmap", "#!/bin/sh\n")
    machine.setup("dev")
    assert any(call.endswith("requirements-dev.lock") for call in machine.calls())
    for mode in ("dev", "run"):
        done = machine.setup(mode)
        assert (done.returncode, done.stderr, machine.calls()) == (0, "", [])


def test_changed_lock_installs_again(machine: Machine) -> None:
    """A lock file that differs from the one installed is installed, into the environment that is there."""
    machine.setup()
    machine.calls()
    (machine.clone / "requirements.lock").write_text("other")
    machine.setup()
    assert "venv" not in (calls := machine.calls())
    assert any("-r requirements.lock" in call for call in calls)


def test_who_is_not_root_is_told_one_line_and_goes_on(machine: Machine) -> None:
    """Not root: the line to run is printed, apt-get is not called, Python packages are installed all the same."""
    machine.user(1000)
    done = machine.setup()
    assert done.returncode == 0
    assert "sudo apt-get install -y uidmap\n" in done.stderr
    assert not any(call.startswith("apt-get") for call in machine.calls())


@pytest.mark.parametrize(
    ("python", "sentence"),
    [
        ({"too_old": True}, "Lateen needs Python 3.11 or later and this machine has Python 3.9.2"),
        ({"no_venv": True}, "sudo apt-get install -y uidmap python3-venv"),
    ],
)
def test_python_that_will_not_do_is_said_before_anything_is_made(machine: Machine, python: dict[str, bool], sentence: str) -> None:
    """Too old, or without venv: one sentence with the remedy, exit code 1, no environment."""
    machine.user(1000)
    machine.python(**python)
    done = machine.setup()
    assert done.returncode == 1
    assert sentence in done.stderr
    assert machine.calls() == []
    assert not (machine.clone / ".venv").exists()


def test_failed_installation_is_not_taken_for_done(machine: Machine) -> None:
    """When pip fails the script fails and says so, and the next run tries again."""
    machine.python(pip_fails=True)
    done = machine.setup()
    assert done.returncode == 1
    assert "pip could not install the packages of requirements.lock" in done.stderr
    machine.python()
    shutil.copy(machine.bin / "python3", machine.clone / ".venv" / "bin" / "python")
    machine.calls()
    assert machine.setup().returncode == 0
    assert any("-r requirements.lock" in call for call in machine.calls())


def test_script_is_executable(root: Path) -> None:
    """Make calls it by its name."""
    assert os.access(root / "scripts" / "setup.sh", os.X_OK)
