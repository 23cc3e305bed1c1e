"""The lock files are complete, hashed and agree with pyproject.toml."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOCKS = ("requirements.lock", "requirements-dev.lock")


def _pins(path: Path) -> dict[str, str]:
    """Name to version of everything that a lock file pins."""
    pins = re.findall(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", path.read_text(), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in pins}


def _required(root: Path, groups: tuple[str, ...]) -> list[Requirement]:
    project = tomllib.loads((root / "pyproject.toml").read_text())
    listed = [*project["project"]["dependencies"], *(each for group in groups for each in project["dependency-groups"][group])]
    return [Requirement(each) for each in listed]


@pytest.mark.parametrize(("lock", "groups"), [(LOCKS[0], ("build",)), (LOCKS[1], ("build", "dev"))])
def test_lock_pins_what_pyproject_asks_for(root: Path, lock: str, groups: tuple[str, ...]) -> None:
    """Each requirement is pinned to a version that satisfies it (otherwise: `make lock`)."""
    pins = _pins(root / lock)
    wrong = [
        str(each)
        for each in _required(root, groups)
        if not each.specifier.contains(pins.get(canonicalize_name(each.name), "0.0.0.dev0"), prereleases=True)
    ]
    assert wrong == []


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_holds_nothing_that_nobody_asked_for(root: Path, lock: str) -> None:
    """What stands in a lock file on pyproject's account is in pyproject.toml still (otherwise: `make lock`)."""
    asked = {canonicalize_name(each.name) for each in _required(root, ("build", "dev"))}
    text = (root / lock).read_text()
    blocks = re.split(r"^(?=[A-Za-z0-9._-]+==)", text, flags=re.MULTILINE)[1:]
    on_account = [canonicalize_name(block.split("==")[0]) for block in blocks if "pyproject.toml" in block]
    assert on_account
    assert [name for name in on_account if name not in asked] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_hashes(root: Path, lock: str) -> None:
    """The installer takes only what was seen when the lock was written."""
    blocks = re.split(r"^(?=[A-Za-z0-9._-]+==)", (root / lock).read_text(), flags=re.MULTILINE)[1:]
    assert blocks
    assert [block.split("==")[0] for block in blocks if "--hash=sha256:" not in block] == []


def test_both_locks_pin_the_same_versions(root: Path) -> None:
    """Tests run on the versions that users get."""
    users, developers = (_pins(root / lock) for lock in LOCKS)
    assert {name: version for name, version in users.items() if developers.get(name) != version} == {}
