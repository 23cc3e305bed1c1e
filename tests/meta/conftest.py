"""Readers of the tree that several of the house's tests share."""

import ast
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def package(root: Path) -> Path:
    """The folder of the package `lateen`."""
    return root / "src" / "lateen"


@pytest.fixture(scope="session")
def modules(package: Path) -> dict[str, ast.Module]:
    """Every module of the package, parsed, by its path inside it."""
    return {str(path.relative_to(package)): ast.parse(path.read_text()) for path in sorted(package.rglob("*.py"))}


@pytest.fixture(scope="session")
def test_functions(root: Path) -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every test function of the tree, by `path::name` as pytest says it."""
    found: dict[str, ast.FunctionDef | ast.AsyncFunctionDef] = {}
    for path in sorted((root / "tests").rglob("test_*.py")):
        name = str(path.relative_to(root))
        _collect(ast.parse(path.read_text()).body, name, found)
    return found


def _collect(body: list[ast.stmt], prefix: str, found: dict[str, ast.FunctionDef | ast.AsyncFunctionDef]) -> None:
    for node in body:
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            _collect(node.body, f"{prefix}::{node.name}", found)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test"):
            found[f"{prefix}::{node.name}"] = node


@pytest.fixture(scope="session")
def tracked(root: Path) -> Callable[[str], list[Path]]:
    """`tracked(pattern)`: the tree's own files, without what tools leave in it."""
    ignored = {".venv", ".git", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", ".nox", "__pycache__", ".import_linter_cache"}

    def find(pattern: str) -> list[Path]:
        return [
            path
            for path in sorted(root.rglob(pattern))
            if path.is_file() and not any(part in ignored or part.endswith(".egg-info") for part in path.relative_to(root).parts)
        ]

    return find
