"""The documents tell the truth about the tree."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

Tracked = Callable[[str], list[Path]]

CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FRAGMENT = re.compile(r"\d+(-[a-z0-9-]+)?\.(added|changed|fixed|removed|deprecated|security)\.md")
DECISION = re.compile(r"(\d{3})-[a-z0-9-]+\.md")


def _module_exists(package: Path, words: list[str]) -> bool:
    """Whether `words` is a module of the package, or a name that a module or a package's file mentions."""
    path = package.joinpath(*words)
    if path.is_dir() or path.with_suffix(".py").is_file():
        return True
    holder = package.joinpath(*words[:-1])
    sources = [holder.with_suffix(".py"), holder / "__init__.py"]
    return any(re.search(rf"\b{re.escape(words[-1])}\b", source.read_text()) for source in sources if source.is_file())


def missing_modules(text: str, root: Path) -> list[str]:
    """The modules, files and folders that `text` names in backticks and that do not exist."""
    package = root / "src" / "lateen"
    packages = {path.name for path in package.iterdir() if path.is_dir()}
    missing = []
    for word in CODE.findall(text):
        dotted = re.fullmatch(r"(?:lateen\.)?([a-z_]+(?:\.[A-Za-z_]+)+)(?:\(\))?", word)
        if word == "lateen.yaml":
            continue
        if re.fullmatch(r"[\w./-]+(\.py|/)", word):
            exists = (package / word).exists() or (root / word).exists()
        elif dotted and (word.startswith("lateen.") or dotted[1].split(".")[0] in packages):
            exists = _module_exists(package, dotted[1].split("."))
        else:
            continue
        if not exists:
            missing.append(word)
    return missing


@pytest.mark.parametrize("document", ["ARCHITECTURE.md", "CONTRIBUTING.md", "README.md"])
def test_documents_name_only_modules_that_exist(root: Path, document: str) -> None:
    """A module, file or folder named in backticks is there."""
    assert missing_modules((root / document).read_text(), root) == []


def test_a_module_that_does_not_exist_is_found(root: Path) -> None:
    """The check above sees files, folders, dotted modules and names inside modules."""
    text = "`util/nothing.py` `nothing/` `lateen.util.nothing` `util.hosts.nothing` `util.hosts.matches` `util/hosts.py` `docs/`"
    assert missing_modules(text, root) == ["util/nothing.py", "nothing/", "lateen.util.nothing", "util.hosts.nothing"]


def test_architecture_names_every_package(root: Path) -> None:
    """The code map leaves no package out."""
    text = (root / "ARCHITECTURE.md").read_text()
    packages = [path.parent.name for path in sorted((root / "src" / "lateen").glob("*/__init__.py"))]
    assert [name for name in packages if f"`{name}/`" not in text] == []


def test_links_between_documents_resolve(root: Path, tracked: Tracked) -> None:
    """A relative link leads to a file, and its anchor to a heading."""
    broken = []
    for document in tracked("*.md"):
        for link in LINK.findall(document.read_text()):
            if re.match(r"[a-z]+:", link):
                continue
            name, _, anchor = link.partition("#")
            target = document.parent / name if name else document
            if not target.exists() or (anchor and anchor not in _anchors(target)):
                broken.append(f"{document.relative_to(root)}: {link}")
    assert broken == []


def _anchors(document: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_decisions_are_numbered_without_gaps(root: Path) -> None:
    """docs/decisions holds 001, 002, ... once each, and its README."""
    names = sorted(path.name for path in (root / "docs" / "decisions").iterdir() if path.name != "README.md")
    numbers = [int(match[1]) if (match := DECISION.fullmatch(name)) else name for name in names]
    assert numbers == list(range(1, len(names) + 1))


def test_decisions_have_the_usual_parts(root: Path) -> None:
    """A decision says what it is, why, and what follows."""
    lacking = [
        f"{path.name}: {part}"
        for path in sorted((root / "docs" / "decisions").glob("[0-9]*.md"))
        for part in ("## Decision", "## Why", "## What follows")
        if part not in path.read_text()
    ]
    assert lacking == []


def test_changelog_fragments_are_named_by_issue_and_kind(root: Path) -> None:
    """`changes/<issue>[-<slug>].<kind>.md`, and none is empty."""
    fragments = [path for path in sorted((root / "changes").iterdir()) if path.name != "README.md"]
    assert [path.name for path in fragments if not FRAGMENT.fullmatch(path.name)] == []
    assert [path.name for path in fragments if not path.read_text().strip()] == []


def test_every_dependency_has_its_reason(root: Path) -> None:
    """docs/dependencies.md has a row for each dependency of pyproject.toml, and no other."""
    import tomllib

    project = tomllib.loads((root / "pyproject.toml").read_text())
    wanted = [*project["project"]["dependencies"], *(each for group in project["dependency-groups"].values() for each in group)]
    names = {re.match(r"[A-Za-z0-9-]+", each)[0].lower() for each in wanted}  # type: ignore[index]
    rows = re.findall(r"^\| `([A-Za-z0-9-]+)` \| \S", (root / "docs" / "dependencies.md").read_text(), re.MULTILINE)
    assert sorted(name.lower() for name in rows) == sorted(names)
