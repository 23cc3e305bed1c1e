"""Sets of fields, and what they become in `managedFields`.

Why: who owns which field is a set of paths; a path's steps are those of Kubernetes' FieldsV1: `f:name`, `k:{"name":"a"}`, `v:"x"`.
Must not know managers.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import msgspec

from lateen.kube.records import JsonObject
from lateen.kube.structure import SET, element, is_atomic_map, list_keys

__all__ = ["Difference", "FieldSet", "Path", "decode_fields", "difference", "encode_fields", "fields_of", "path_text"]

Path = tuple[str, ...]
FieldSet = frozenset[Path]
_ABSENT = msgspec.UNSET
# Go writes these even when they are empty, so that nobody adds them.
_ALWAYS = frozenset({"metadata", "spec", "status", "template", "strategy", "updateStrategy", "loadBalancer", "containers"})


class Difference(NamedTuple):
    """Fields whose value changed, that are new, and that are gone."""

    changed: FieldSet
    added: FieldSet
    removed: FieldSet


def decode_fields(fields: Mapping[str, object]) -> FieldSet:
    """The set that a FieldsV1 names."""
    return frozenset(_decoded(fields, ()))


def _decoded(node: Mapping[str, object], path: Path) -> Iterator[Path]:
    for key, child in node.items():
        if key == ".":
            yield path
        elif isinstance(child, dict) and child:
            yield from _decoded(child, (*path, key))
        else:
            yield (*path, key)


def encode_fields(paths: Iterable[Path]) -> JsonObject:
    """The FieldsV1 of a set; sorted, so that equal sets give equal bytes."""
    root: JsonObject = {}
    ordered = sorted(paths)
    for at, path in enumerate(ordered):
        node = root
        for step in path:
            child = node.setdefault(step, {})
            node = child if isinstance(child, dict) else {}
        if at + 1 < len(ordered) and ordered[at + 1][: len(path)] == path:
            node["."] = {}
    return root


def path_text(path: Path) -> str:
    """The path for people: `.spec.containers[name="a"].image`."""
    return "".join(_step_text(step) for step in path)


def _step_text(step: str) -> str:
    kind, _, rest = step.partition(":")
    if kind == "f":
        return f".{rest}"
    if kind == "k":
        keys = msgspec.json.decode(rest, type=dict[str, object])
        return "[" + ",".join(f"{key}={msgspec.json.encode(value).decode()}" for key, value in keys.items()) + "]"
    return f"[={rest}]"


def fields_of(resource: str, obj: Mapping[str, object]) -> FieldSet:
    """The fields that a configuration says something about."""
    return frozenset(_mentioned(resource, obj, (), ()))


def _mentioned(resource: str, value: object, path: Path, names: Path) -> Iterator[Path]:
    if isinstance(value, dict) and value and not (names and is_atomic_map(resource, names)):
        for key, child in value.items():
            yield from _mentioned(resource, child, (*path, f"f:{key}"), (*names, key))
    elif isinstance(value, list) and value and (keys := list_keys(resource, names)):
        for item in value:
            here = (*path, element(keys, item))
            yield here
            if keys != SET:
                yield from _mentioned(resource, item, here, names)
    else:
        yield path


def difference(resource: str, old: Mapping[str, object], new: Mapping[str, object], *, custom: bool) -> Difference:
    """What an update did."""
    walk = _Walk(resource, custom=custom)
    walk.compare(dict(old), dict(new), (), ())
    return Difference(frozenset(walk.changed), frozenset(walk.added), frozenset(walk.removed))


class _Walk:
    def __init__(self, resource: str, *, custom: bool) -> None:
        self._resource = resource
        self._silent = frozenset({"metadata"}) if custom else _ALWAYS
        self.changed: set[Path] = set()
        self.added: set[Path] = set()
        self.removed: set[Path] = set()

    def compare(self, old: object, new: object, path: Path, names: Path) -> None:
        if old is _ABSENT:
            self._collect(self.added, new, path, names)
        elif new is _ABSENT:
            self._collect(self.removed, old, path, names)
        elif old is new:
            return
        else:
            before, after = self._children(old, path, names), self._children(new, path, names)
            if before is None or after is None:
                if msgspec.json.encode(old, order="deterministic") != msgspec.json.encode(new, order="deterministic"):
                    self.changed.add(path)
                return
            for step in before | after:
                inner = (*names, step[2:]) if step.startswith("f:") else names
                self.compare(before.get(step, _ABSENT), after.get(step, _ABSENT), (*path, step), inner)

    def _collect(self, into: set[Path], value: object, path: Path, names: Path) -> None:
        children = self._children(value, path, names)
        if not children or path[-1].removeprefix("f:") not in self._silent:
            into.add(path)
        for step, child in (children or {}).items():
            self._collect(into, child, (*path, step), (*names, step[2:]) if step.startswith("f:") else names)

    def _children(self, value: object, path: Path, names: Path) -> dict[str, object] | None:
        """The parts that are owned one by one; None where there are none."""
        if isinstance(value, dict):
            if path and path[-1].startswith("f:") and is_atomic_map(self._resource, names):
                return None
            return {f"f:{key}": child for key, child in value.items()}
        if isinstance(value, list) and names and (keys := list_keys(self._resource, names)):
            found = {element(keys, item): item for item in value}
            return None if "" in found else found
        return None
