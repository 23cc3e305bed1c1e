"""Server-side apply: a configuration merged into an object, and who owns what after it.

Why: several writers share an object, each says only its own fields; what one no longer says goes, unless another says it too; what
another says differently is a conflict. Must not write, and must not know HTTP.
"""

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from lateen.api.kinds import KindInfo
from lateen.kube.errors import ApiError, error
from lateen.kube.fieldset import FieldSet, Path, difference, fields_of, path_text
from lateen.kube.managed import UPDATE, Entry, Writer, owned_view
from lateen.kube.records import JsonObject, is_custom, resource_id, section
from lateen.kube.structure import SET, element, is_atomic_map, list_keys

__all__ = ["Applied", "apply_configuration", "check_configuration", "first_owner"]


class Applied(Struct, frozen=True):
    """The merged object and its new entries."""

    object: JsonObject
    entries: tuple[Entry, ...]


def check_configuration(info: KindInfo, version: str, configuration: JsonObject) -> None:
    """ApiError 500, as Kubernetes has it, where a keyed list is no list or names an element twice."""
    problem = _list_problem(resource_id(info), owned_view(configuration, "") | owned_view(configuration, "status"), ())
    if problem:
        name = section(configuration, "metadata").get("name", "")
        group = info.api_version_of(version) if info.group else f"/{version}"
        raise error(500, "", f"failed to create typed patch object (/{name}; {group}, Kind={info.kind}): {problem}")


def _list_problem(resource: str, value: object, names: Path) -> str:
    if isinstance(value, dict):
        found = (_list_problem(resource, child, (*names, key)) for key, child in value.items())
        return next((problem for problem in found if problem), "")
    keys = list_keys(resource, names)
    where = "".join(f".{name}" for name in names)
    if not isinstance(value, list):
        return f"{where}: expected list, got &{{{value}}}" if keys and value is not None else ""
    seen: set[str] = set()
    for item in value:
        step = element(keys, item) if keys else ""
        if keys and not step:
            missing = ", ".join(keys)
            return f"{where}: element 0: associative list with keys has an element that omits key field {missing}"
        if step and step in seen:
            return f"{where}: duplicate entries for key {path_text((step,))}"
        seen.add(step)
        if problem := _list_problem(resource, item, names) if isinstance(item, dict) else "":
            return problem
    return ""


def first_owner(info: KindInfo, configuration: JsonObject, writer: Writer, now: str) -> Entry:
    """The entry of the one who creates an object by applying it."""
    return Entry(writer, fields_of(resource_id(info), owned_view(configuration, writer.subresource)), now)


def apply_configuration(
    info: KindInfo, live: JsonObject, configuration: JsonObject, entries: Sequence[Entry], writer: Writer, now: str, *, force: bool
) -> Applied:
    """The object with the configuration merged in; ApiError 409 where others own what it changes and `force` is not given."""
    resource = resource_id(info)
    said = fields_of(resource, owned_view(configuration, writer.subresource))
    mine = [entry for entry in entries if _same_applier(entry.writer, writer)]
    others = [entry for entry in entries if not _same_applier(entry.writer, writer)]
    before = frozenset[Path]().union(*(entry.fields for entry in mine))
    kept = said.union(*(entry.fields for entry in others))
    merged = _merge_map(resource, live, configuration, ())
    for path in _outermost(before - kept):
        if not any(other[: len(path)] == path for other in kept):
            _prune(resource, merged, path, ())
    found = difference(resource, owned_view(live, writer.subresource), owned_view(merged, writer.subresource), custom=is_custom(info))
    touched = found.changed | found.added | found.removed
    conflicts = [(entry, entry.fields & touched) for entry in others if entry.fields & touched]
    if conflicts and not force:
        raise _conflict(conflicts)
    others = [replace(entry, fields=entry.fields - touched) for entry in others]
    return Applied(merged, (*others, Entry(writer, said, now)))


def _outermost(paths: FieldSet) -> list[Path]:
    """Those that are not part of another: an element of a list goes as a whole, with what defaults added to it."""
    return sorted(path for path in paths if not any(path[:length] in paths for length in range(1, len(path))))


def _same_applier(one: Writer, other: Writer) -> bool:
    return (one.manager, one.operation, one.subresource) == (other.manager, other.operation, other.subresource)


def _conflict(conflicts: Sequence[tuple[Entry, FieldSet]]) -> ApiError:
    found = [(_manager_text(entry.writer), sorted(path_text(path) for path in paths)) for entry, paths in conflicts]
    found.sort()
    total = sum(len(paths) for _, paths in found)
    if total == 1:
        manager, (path,) = found[0]
        message = f"Apply failed with 1 conflict: conflict with {manager}: {path}"
    else:
        parts = [
            f"conflict{'s' if len(paths) > 1 else ''} with {manager}:" + "".join(f"\n- {path}" for path in paths)
            for manager, paths in found
        ]
        message = f"Apply failed with {total} conflicts: " + "\n".join(parts)
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {manager}", "field": path}
        for manager, paths in found
        for path in paths
    ]
    return error(409, "Conflict", message, {"causes": causes})


def _manager_text(writer: Writer) -> str:
    text = msgspec.json.encode(writer.manager).decode()
    if writer.subresource:
        text += f' with subresource "{writer.subresource}"'
    return f"{text} using {writer.api_version}" if writer.operation == UPDATE else text


def _merge(resource: str, live: object, said: object, names: Path) -> object:
    if isinstance(said, dict) and isinstance(live, dict) and not is_atomic_map(resource, names):
        return _merge_map(resource, live, said, names)
    if isinstance(said, list) and isinstance(live, list) and (keys := list_keys(resource, names)):
        return _merge_list(resource, live, said, names, keys)
    return said


def _merge_map(resource: str, live: Mapping[str, object], said: Mapping[str, object], names: Path) -> JsonObject:
    result = dict(live)
    for key, value in said.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merge(resource, live.get(key), value, (*names, key))
    return result


def _merge_list(resource: str, live: list[object], said: list[object], names: Path, keys: tuple[str, ...]) -> list[object]:
    wanted = {element(keys, item): item for item in said}
    present = {element(keys, item): item for item in live}
    merged = [
        item if (step := element(keys, item)) not in wanted or keys == SET else _merge_item(resource, item, wanted[step], names)
        for item in live
    ]
    return [*merged, *(item for step, item in wanted.items() if step not in present)]


def _merge_item(resource: str, live: object, said: object, names: Path) -> object:
    return _merge_map(resource, live, said, names) if isinstance(live, dict) and isinstance(said, dict) else said


def _prune(resource: str, parent: object, path: Path, names: Path) -> None:
    """Take a field out; a map that is left empty goes too. `parent` is changed in place, along the path it is made our own first."""
    step, rest = path[0], path[1:]
    if isinstance(parent, dict):
        key = step[2:]
        if key not in parent:
            return
        if rest:
            child = parent[key] = _own(parent[key])
            _prune(resource, child, rest, (*names, key))
            if child in ({}, []):
                del parent[key]
        else:
            del parent[key]
    elif isinstance(parent, list):
        _prune_item(resource, parent, path, names)


def _prune_item(resource: str, items: list[object], path: Path, names: Path) -> None:
    keys = list_keys(resource, names)
    at = next((index for index, item in enumerate(items) if element(keys, item) == path[0]), None)
    if at is None:
        return
    if len(path) == 1:
        del items[at]
    else:
        items[at] = _own(items[at])
        _prune(resource, items[at], path[1:], names)


def _own(value: object) -> object:
    if isinstance(value, dict):
        return dict(value)
    return list(value) if isinstance(value, list) else value
