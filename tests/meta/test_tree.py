"""What holds for every file of the tree."""

import ast
from collections.abc import Callable
from pathlib import Path

# Spelt in pieces, so that this file does not name them.
REGISTRY_HOSTS = tuple(
    ".".join(parts)
    for parts in (
        ("py" + "pi", "org"),
        ("pythonhosted", "org"),
        ("registry", "npmjs", "org"),
        ("proxy", "golang", "org"),
        ("crates", "io"),
        ("deb", "debian", "org"),
        ("archive", "ubuntu", "com"),
    )
)


def test_no_file_names_a_package_registry(root: Path, tracked: Callable[[str], list[Path]]) -> None:
    """Where packages come from is the machine's business: neither a host nor an index option stands in the tree."""
    needles = (*REGISTRY_HOSTS, "--" + "index-url", "--extra-" + "index-url")
    found = [
        f"{path.relative_to(root)}: {needle}"
        for path in tracked("*")
        for text in [path.read_bytes().decode(errors="replace")]
        for needle in needles
        if needle in text
    ]
    assert found == []


def test_every_test_says_what_it_expects(test_functions: dict[str, ast.FunctionDef | ast.AsyncFunctionDef]) -> None:
    """A test's docstring states the expected behaviour."""
    assert [name for name, node in test_functions.items() if not ast.get_docstring(node)] == []


def test_no_test_sleeps(root: Path) -> None:
    """Tests wait for conditions: `time.sleep` and `asyncio.sleep` of more than nothing are left to programs under test."""
    sleeping = []
    for path in sorted((root / "tests").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {"time.sleep", "asyncio.sleep"}:
                argument = ast.unparse(node.args[0]) if node.args else ""
                if argument != "0":
                    sleeping.append(f"{path.relative_to(root)}:{node.lineno}")
    assert sleeping == []


def test_continuous_integration_runs_make_test_and_nothing_else(root: Path) -> None:
    """`.ci/run` is executable and calls the README's test command."""
    script = root / ".ci" / "run"
    lines = [line for line in script.read_text().splitlines() if line and not line.startswith(("#", "set ", "cd "))]
    assert lines == ["make test"]
    assert script.stat().st_mode & 0o111
    assert "make test" in (root / "README.md").read_text()
