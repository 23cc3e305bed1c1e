"""Which trees pods must see, and who may read them."""

import sys
from pathlib import Path

from lateen.local.mounts import needed_trees, unreadable


def test_python_and_lateen_are_among_the_trees(tmp_path: Path) -> None:
    """The interpreter, its packages, Lateen and what the caller adds are covered, none twice."""
    paths = [Path(each.path) for each in needed_trees([tmp_path])]
    for wanted in (Path(sys.executable).resolve(), Path(sys.prefix), Path(__file__).parents[3] / "src/lateen", tmp_path):
        assert any(wanted.is_relative_to(path) for path in paths)
    assert not any(one.is_relative_to(other) for one in paths for other in paths if one != other)
    assert not any(each.writable for each in needed_trees([tmp_path]))


def test_what_does_not_exist_is_no_tree(tmp_path: Path) -> None:
    """A missing folder cannot be shown."""
    assert str(tmp_path / "gone") not in [each.path for each in needed_trees([tmp_path / "gone"])]


def test_unreadable_names_what_others_may_not_read(tmp_path: Path) -> None:
    """A private file, a folder that cannot be entered, a program that cannot be run."""
    files = {"open": 0o644, "private": 0o600, "program": 0o755, "own-program": 0o744}
    for name, mode in files.items():
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(mode)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder").chmod(0o754)
    assert [path.name for path in unreadable(sorted(tmp_path.iterdir()))] == ["folder", "own-program", "private"]
