"""Every module says what it is and what it offers; the layering holds."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest


def _all_of(tree: ast.Module) -> list[str] | None:
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets):
            return [str(name) for name in ast.literal_eval(node.value)]
    return None


def test_every_module_opens_with_a_docstring(modules: dict[str, ast.Module]) -> None:
    """A reader learns from the first lines what a module is for."""
    assert [name for name, tree in modules.items() if not ast.get_docstring(tree)] == []


def test_every_package_names_its_entry_point_and_its_imports(modules: dict[str, ast.Module]) -> None:
    """A package's docstring says where to begin and what the package may import."""
    packages = {
        name: ast.get_docstring(tree) or "" for name, tree in modules.items() if name.count("/") == 1 and name.endswith("/__init__.py")
    }
    assert packages
    assert [name for name, said in packages.items() if "Entry point" not in said or "ay import" not in said] == []


def test_every_module_lists_its_public_names(modules: dict[str, ast.Module]) -> None:
    """`__all__` is a module's public face; only package files and programs' `__main__` may lack it."""
    assert [name for name, tree in modules.items() if Path(name).stem not in {"__init__", "__main__"} and _all_of(tree) is None] == []


def test_every_listed_name_is_real(modules: dict[str, ast.Module]) -> None:
    """What `__all__` promises can be imported."""
    missing = []
    for name, tree in modules.items():
        listed = _all_of(tree)
        if listed:
            dotted = "lateen." + name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            module = importlib.import_module(dotted)
            missing += [f"{dotted}.{each}" for each in listed if not hasattr(module, each)]
    assert missing == []


def test_every_package_is_typed(package: Path) -> None:
    """`py.typed` tells users' type checkers to read our types."""
    assert (package / "py.typed").exists()


@pytest.mark.slow
def test_layering_holds(root: Path) -> None:
    """The import contracts of pyproject.toml are kept (the same check as `make lint`)."""
    checked = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-logo", "--no-cache"],
        cwd=root, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout + checked.stderr
