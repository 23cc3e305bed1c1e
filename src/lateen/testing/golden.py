"""Golden files: a case's objects and what becomes of them for one proxy, written to be read in a diff.

`<case>.in.yaml` opens with a comment that says what the case proves; one of its documents, of kind `Proxy`, is whom the configuration
is for. What the case's `show` names (kinds and names of resources) is in `<case>.model.yaml` as plans and in `<case>.xds.yaml` as
messages, so that a diff tells whether meaning or printing moved. Must not hide anything of what it shows but a plan's defaults.
"""

import fnmatch
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct, convert
from msgspec.structs import fields

from lateen.compile.world import World
from lateen.model.frame import Snapshot
from lateen.model.mesh import Settings
from lateen.model.scope import Proxy
from lateen.testing.messages import KINDS, kind_messages, plain
from lateen.testing.world import MemoryWorld
from lateen.util.selectors import canonical

__all__ = ["Case", "Show", "cases_in", "compile_case", "expected_files", "print_case", "short", "stale_files"]

_IN, _MODEL, _XDS = ".in.yaml", ".model.yaml", ".xds.yaml"


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
    role: str = "sidecar"  # or router, or grpc
    namespace: str = "default"
    address: str = "10.0.0.1"
    labels: Mapping[str, str] = {}
    quic: bool = False  # the control plane's switch


def cases_in(folder: Path) -> list[Path]:
    """All cases of a folder and its areas."""
    return sorted(folder.rglob(f"*{_IN}"))


def expected_files(case: Path) -> tuple[Path, Path]:
    """Where a case's plans and its configuration are kept."""
    name = case.name.removesuffix(_IN)
    return case.with_name(name + _MODEL), case.with_name(name + _XDS)


def stale_files(folder: Path) -> list[Path]:
    """Expected files without a case."""
    wanted = {file for case in cases_in(folder) for file in expected_files(case)}
    return [file for ending in (_MODEL, _XDS) for file in sorted(folder.rglob(f"*{ending}")) if file not in wanted]


def compile_case(case: Path) -> tuple[Case, Snapshot]:
    """Whom the case is about, and that proxy's whole configuration; ValueError where the case cannot be read."""
    who, _, snapshot = _compiled(case)
    return who, snapshot


def _compiled(case: Path) -> tuple[Case, World, Snapshot]:
    text = case.read_text()
    if not text.startswith("# "):
        raise ValueError(f"{case}: the first line must be a comment that says what the case proves")
    parts = text.split("\n---\n")
    described = [part for part in parts if _kind(part) == "Proxy"]
    if len(described) != 1:
        raise ValueError(f"{case}: expected one document of kind Proxy, found {len(described)}")
    who = convert(yaml.safe_load(described[0]), Case)  # noqa: TID251 - no object of the API
    world = MemoryWorld(Settings(quic=who.quic))
    world.load("\n---\n".join(part for part in parts if part not in described), source=case.name)
    if world.problems:
        raise ValueError("; ".join(problem.message for problem in world.problems))
    proxy = Proxy(id=case.name, kind=who.role, namespace=who.namespace, name="app", addresses=(who.address,), labels=canonical(who.labels))
    snapshot = world.snapshot(proxy)
    return who, world.world, snapshot


def _kind(part: str) -> str:
    return next((line.removeprefix("kind:").strip() for line in part.splitlines() if line.startswith("kind:")), "")


def print_case(case: Path) -> tuple[str, str]:
    """What the case shows, as plans and as messages, in YAML; see `expected_files`."""
    who, world, snapshot = _compiled(case)
    show = who.show
    data = {kind: dict(_shown(kind, getattr(show, kind), snapshot)) for kind in KINDS if getattr(show, kind)}
    empty = [kind for kind, found in data.items() if not found]
    if empty:
        raise ValueError(f"{case}: `show` names no existing {', '.join(empty)}")
    plans = {
        kind: {name: found for name, found in named.items() if name in data[kind]} for kind, named in _plans(world).items() if kind in data
    }
    return _yaml(plans), _yaml(data)


def _yaml(data: object) -> str:
    return yaml.safe_dump(data, sort_keys=True, width=120)


def _shown(kind: str, patterns: tuple[str, ...], snapshot: Snapshot) -> Iterator[tuple[str, Any]]:
    for name, message in sorted(kind_messages(snapshot, kind).items()):
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
            yield name, plain(message)


def _plans(world: World) -> dict[str, dict[str, Any]]:
    """Every plan of the one proxy, by kind and name."""
    clusters = [
        *(plan for _, plan in world.clusters.plans.items()),
        *(plan for _, plan in world.passed_on.plans.items()),
        *(plan for _, plans in world.clusters.inbound.items() for plan in plans),
    ]
    gateways = [view for _, view in world.listeners.gateways.items()]
    endpoints = [plan for found in (world.clusters.endpoints, world.passed_on.endpoints) for _, plan in found.items()]
    listeners = [plan for _, plans in world.listeners.outbound.items() for plan in plans]
    listeners += [plan for _, plan in world.listeners.inbound.items()] + [plan for view in gateways for plan in view.listeners]
    calls = {plan.name: short(plan) for _, plans in world.proxyless.calls.items() for plan in plans}
    calls |= {plan.name: short(plan) for _, plans in world.proxyless.servers.items() for plan in plans}
    tables = [table for _, table in world.routes.tables.items()]
    routes = {
        name: [host for key in keys if (host := world.routes.hosts.get(key)) is not None]
        for table in tables
        for name, keys in table.items()
    }
    routes |= {name: list(hosts) for view in gateways for name, hosts in view.routes.items()}
    proxyless = ((name, world.proxyless.hosts.get(key)) for _, table in world.proxyless.tables.items() for name, key in table.items())
    routes |= {name: [host] for name, host in proxyless if host is not None}
    return {
        "clusters": {plan.name: short(plan) for plan in clusters},
        "endpoints": {plan.cluster: short(plan) for plan in endpoints},
        "listeners": {plan.name: short(plan) for plan in listeners} | calls,
        "routes": {name: short(hosts) for name, hosts in routes.items()},
    }


def short(value: Any) -> Any:  # noqa: ANN401 - any plan
    """Plain data without what is a plan's default."""
    if isinstance(value, Struct):
        known = {field.name: getattr(value, field.name) for field in fields(value)}
        return {name: short(found) for name, found in known.items() if found != _default(value, name)}
    if isinstance(value, (tuple, list)):
        return [short(one) for one in value]
    if isinstance(value, Mapping):
        return {str(key): short(one) for key, one in value.items()}
    return value if isinstance(value, (bool, int, float, type(None))) else str(value)


def _default(value: Struct, name: str) -> object:
    return next(field.default for field in fields(value) if field.name == name)
