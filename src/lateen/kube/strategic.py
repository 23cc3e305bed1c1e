"""Strategic merge patch, for the built-in kinds: lists that are merged by a key, and its directives.

Why: kubectl apply, edit and set send it. The keys are Kubernetes', by field name, since a name means the same wherever a mesh meets it;
the exceptions stand in one table. Must not change the patch it is given.
"""

import copy
from collections.abc import Mapping, Sequence

from lateen.kube.errors import bad_request, error
from lateen.kube.records import JsonObject

__all__ = ["merge_key", "strategic_patch"]

_KEYS: Mapping[str, str] = {
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "volumes": "name",
    "imagePullSecrets": "name",
    "env": "name",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
    "schedulingGates": "name",
    "conditions": "type",
    "podIPs": "ip",
    "hostIPs": "ip",
    "secrets": "name",
    "ownerReferences": "uid",
}
_SETS = frozenset({"finalizers"})
_ORDER, _DELETE_FROM = "$setElementOrder/", "$deleteFromPrimitiveList/"


def merge_key(resource: str, path: Sequence[str]) -> str:
    """The key by which the list at `path` is merged; empty where it is replaced."""
    name = path[-1]
    if resource.startswith(("endpointslices", "endpoints")):
        return ""
    if name == "ports":
        return "port" if resource == "services" else "containerPort"
    return _KEYS.get(name, "")


def strategic_patch(resource: str, target: JsonObject, patch: object) -> JsonObject:
    """The patched object; ApiError 400 for what is no patch, 500 for a list element without its key, as Kubernetes."""
    if not isinstance(patch, dict):
        raise bad_request("error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}")
    return _Merge(resource).maps(target, patch, ())


class _Merge:
    def __init__(self, resource: str) -> None:
        self._resource = resource

    def maps(self, target: JsonObject, patch: JsonObject, path: tuple[str, ...]) -> JsonObject:
        directive = patch.get("$patch")
        if directive == "replace":
            return {name: copy.deepcopy(value) for name, value in patch.items() if not name.startswith("$")}
        if directive == "delete":
            return {}
        if directive not in (None, "merge"):
            raise bad_request(f"unknown patch type: {directive!s:.40}")
        result = dict(target)
        retained = patch.get("$retainKeys")
        if isinstance(retained, list):
            result = {name: value for name, value in result.items() if name in retained}
        for name, value in patch.items():
            if not name.startswith("$"):
                self._field(result, name, value, patch, (*path, name))
        self._directives(result, patch, path)
        return result

    def _field(self, result: JsonObject, name: str, value: object, patch: JsonObject, path: tuple[str, ...]) -> None:
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            before = result.get(name)
            result[name] = self.maps(before if isinstance(before, dict) else {}, value, path)
        elif isinstance(value, list):
            before = result.get(name)
            order = patch.get(_ORDER + name)
            result[name] = self._lists(before if isinstance(before, list) else [], value, path, order if isinstance(order, list) else None)
        else:
            result[name] = value

    def _directives(self, result: JsonObject, patch: JsonObject, path: tuple[str, ...]) -> None:
        for directive, value in patch.items():
            if directive.startswith(_DELETE_FROM) and isinstance(value, list):
                name = directive.removeprefix(_DELETE_FROM)
                before = result.get(name)
                if isinstance(before, list):
                    result[name] = [item for item in before if item not in value]
            elif directive.startswith(_ORDER) and directive.removeprefix(_ORDER) not in patch and isinstance(value, list):
                name = directive.removeprefix(_ORDER)
                before = result.get(name)
                if isinstance(before, list):
                    result[name] = self._ordered(before, value, merge_key(self._resource, (*path, name)))

    def _lists(self, target: list[object], patch: list[object], path: tuple[str, ...], order: list[object] | None) -> list[object]:
        if path[-1] in _SETS:
            return self._ordered([*target, *(item for item in patch if item not in target)], order, "")
        key = merge_key(self._resource, path)
        if not key or not all(isinstance(item, dict) for item in (*patch, *target)):
            return copy.deepcopy(patch)
        elements = [item for item in patch if isinstance(item, dict)]
        if any(item.get("$patch") == "replace" for item in elements):
            return [copy.deepcopy(item) for item in elements if item.get("$patch") != "replace"]
        return self._ordered(self._merged(target, elements, key, path), order, key)

    def _merged(self, target: list[object], patch: list[JsonObject], key: str, path: tuple[str, ...]) -> list[object]:
        present = [item for item in target if isinstance(item, dict)]
        added: list[object] = []
        for item in patch:
            value = _key_of(item, key)
            at = next((index for index, there in enumerate(present) if there.get(key) == value), None)
            if item.get("$patch") == "delete":
                present = [there for there in present if there.get(key) != value]
            elif at is None:
                added.append(self.maps({}, item, path))
            else:
                present[at] = self.maps(present[at], item, path)
        return [*added, *present]

    def _ordered(self, items: list[object], order: list[object] | None, key: str) -> list[object]:
        """Named elements in the patch's order; the others keep their place behind the one that stood before them."""
        if not order:
            return items
        wanted = [item.get(key) if key and isinstance(item, dict) else item for item in order]
        rank = {_hashable(value): index for index, value in enumerate(wanted)}
        ranks: list[tuple[int, int]] = []
        last = -1
        for index, item in enumerate(items):
            value = _hashable(item.get(key) if key and isinstance(item, dict) else item)
            last = rank.get(value, last)
            ranks.append((last, index if value not in rank else -1))
        return [item for _, item in sorted(zip(ranks, items, strict=True), key=lambda pair: pair[0])]


def _hashable(value: object) -> object:
    return value if isinstance(value, str | int | float | bool | None) else repr(value)


def _key_of(item: JsonObject, key: str) -> object:
    if key not in item:
        shown = " ".join(f"{name}:{value}" for name, value in item.items())
        raise error(500, "", f"map: map[{shown}] does not contain declared merge key: {key}")
    return item[key]
