"""Golden files: a case's objects, what proxies make of them as Envoy's configuration, written to be read in a diff.

`<case>.in.yaml` opens with a comment that says what the case proves; one of its documents, of kind `Proxy`, is whom the configuration
is for. `<case>.xds.yaml` holds what the case's `show` names: kinds and names of resources. Must not hide anything of what it shows.
"""

import fnmatch
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct, convert

from lateen.model.frame import Snapshot
from lateen.model.scope import Proxy
from lateen.testing.messages import KINDS, frame_message, plain
from lateen.testing.world import MemoryWorld
from lateen.util.selectors import canonical

__all__ = ["Case", "Show", "cases_in", "compile_case", "expected_file", "print_case", "stale_files"]

_IN, _XDS = ".in.yaml", ".xds.yaml"


class Show(Struct, frozen=True, forbid_unknown_fields=True):
    """Which resources a case is about: names with `*`, by kind."""

    clusters: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()
    listeners: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()


class Case(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The `Proxy` document of a case."""

    kind: str
    show: Show
    role: str = "sidecar"  # or router
    namespace: str = "default"
    address: str = "10.0.0.1"
    labels: Mapping[str, str] = {}


def cases_in(folder: Path) -> list[Path]:
    """All cases of a folder and its areas."""
    return sorted(folder.rglob(f"*{_IN}"))


def expected_file(case: Path) -> Path:
    """Where a case's configuration is kept."""
    return case.with_name(case.name.removesuffix(_IN) + _XDS)


def stale_files(folder: Path) -> list[Path]:
    """Expected files without a case."""
    wanted = {expected_file(case) for case in cases_in(folder)}
    return [file for file in sorted(folder.rglob(f"*{_XDS}")) if file not in wanted]


def compile_case(case: Path) -> tuple[Case, Snapshot]:
    """Whom the case is about, and that proxy's whole configuration; ValueError where the case cannot be read."""
    text = case.read_text()
    if not text.startswith("# "):
        raise ValueError(f"{case}: the first line must be a comment that says what the case proves")
    parts = text.split("\n---\n")
    described = [part for part in parts if _kind(part) == "Proxy"]
    if len(described) != 1:
        raise ValueError(f"{case}: expected one document of kind Proxy, found {len(described)}")
    who = convert(yaml.safe_load(described[0]), Case)  # noqa: TID251 - no object of the API
    world = MemoryWorld()
    world.load("\n---\n".join(part for part in parts if part not in described), source=case.name)
    if world.problems:
        raise ValueError("; ".join(problem.message for problem in world.problems))
    proxy = Proxy(id=case.name, kind=who.role, namespace=who.namespace, name="app", addresses=(who.address,), labels=canonical(who.labels))
    return who, world.snapshot(proxy)


def _kind(part: str) -> str:
    return next((line.removeprefix("kind:").strip() for line in part.splitlines() if line.startswith("kind:")), "")


def print_case(case: Path) -> str:
    """The resources that the case shows, as YAML."""
    who, snapshot = compile_case(case)
    show = who.show
    data = {kind: dict(_shown(kind, getattr(show, kind), snapshot)) for kind in KINDS if getattr(show, kind)}
    empty = [kind for kind, found in data.items() if not found]
    if empty:
        raise ValueError(f"{case}: `show` names no existing {', '.join(empty)}")
    return yaml.safe_dump(data, sort_keys=True, width=120)


def _shown(kind: str, patterns: tuple[str, ...], snapshot: Snapshot) -> Iterator[tuple[str, Any]]:
    for name, frame in sorted(snapshot[KINDS[kind]].items()):
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
            yield name, plain(frame_message(frame))
