"""Files and functions stay small enough to be read at once."""

import ast
from pathlib import Path

FILE_SOFT, FILE_HARD, FUNCTION_HARD = 400, 600, 60

# Files over FILE_SOFT, with the length they may not pass. This list may only shrink: split the file, then delete its line.
LONG_FILES: dict[str, int] = {}


def test_no_file_is_longer_than_the_limits(package: Path) -> None:
    """A file has at most 400 lines; the listed ones no more than they had, and never over 600."""
    lengths = {str(path.relative_to(package)): path.read_text().count("\n") for path in package.rglob("*.py")}
    assert {name: n for name, n in lengths.items() if n > LONG_FILES.get(name, FILE_SOFT)} == {}
    assert {name: n for name, n in LONG_FILES.items() if n > FILE_HARD} == {}


def test_allow_list_of_long_files_only_shrinks(package: Path) -> None:
    """A listed file that became short, or is gone, leaves the list."""
    stale = [name for name in LONG_FILES if not (package / name).exists() or (package / name).read_text().count("\n") <= FILE_SOFT]
    assert stale == []


def test_no_function_is_longer_than_the_limit(modules: dict[str, ast.Module]) -> None:
    """A function has at most 60 lines."""
    long = {
        f"{name}:{node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for name, tree in modules.items()
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and (node.end_lineno or node.lineno) - node.lineno + 1 > FUNCTION_HARD
    }
    assert long == {}
