"""CustomResourceDefinitions that users apply: defaults, what is refused, and the conditions that follow.

Why: what an API server asks of a definition before it serves the kind; the words are Kubernetes'. Sans-I/O: whoever keeps the store asks
`next_status` until there is nothing more to say. Must not serve anything.
"""

from collections.abc import Iterable, Iterator, Mapping

from lateen.api.kinds import KINDS, KindInfo
from lateen.kube.crds import definition
from lateen.kube.defined import BUILT_IN
from lateen.kube.errors import Cause
from lateen.kube.records import JsonObject, dicts, section

__all__ = ["CLEANUP", "check_definition", "fill_definition", "is_built_in", "next_status", "served", "terminating"]

CLEANUP = "customresourcecleanup.apiextensions.k8s.io"
_SCHEMA = "spec.validation.openAPIV3Schema"
_FREE = ("x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields")


def is_built_in(definition: JsonObject) -> bool:
    """Whether the kind is one of the server's own, which a definition does not change."""
    spec = section(definition, "spec")
    return BUILT_IN.by_plural(str(spec.get("group")), str(section(spec, "names").get("plural"))) is not None


def fill_definition(definition: JsonObject) -> None:
    """Defaults of a new definition, and its first status."""
    spec = section(definition, "spec")
    names = section(spec, "names")
    if kind := names.get("kind"):
        names.setdefault("singular", str(kind).lower())
        names.setdefault("listKind", f"{kind}List")
    spec.setdefault("conversion", {"strategy": "None"})
    if is_built_in(definition) and section(definition, "status"):
        return
    stored = [one.get("name") for one in dicts(spec.get("versions")) if one.get("storage")]
    definition["status"] = {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": stored}


# -- what is refused ---------------------------------------------------------------------------------------------------


def check_definition(definition: JsonObject) -> list[Cause]:
    """What no API server takes."""
    spec = section(definition, "spec")
    names, name = section(spec, "names"), section(definition, "metadata").get("name")
    found = [
        Cause("FieldValueRequired", f"spec.{path}", "Required value")
        for path, value in (("group", spec.get("group")), ("names.plural", names.get("plural")), ("names.kind", names.get("kind")))
        if not value
    ]
    if name != f"{names.get('plural')}.{spec.get('group')}":
        found.append(Cause("FieldValueInvalid", "metadata.name", f'Invalid value: "{name}": must be spec.names.plural+"."+spec.group'))
    if (scope := spec.get("scope")) not in ("Cluster", "Namespaced"):
        text = f'Unsupported value: "{scope}": supported values: "Cluster", "Namespaced"'
        found.append(Cause("FieldValueNotSupported", "spec.scope", text))
    versions = dicts(spec.get("versions"))
    if sum(bool(one.get("storage")) for one in versions) != 1:
        text = f"Invalid value: {[one.get('name') for one in versions]}: must have exactly one version marked as storage version"
        found.append(Cause("FieldValueInvalid", "spec.versions", text))
        if not any(one.get("storage") for one in versions):
            found.append(Cause("FieldValueInvalid", "status.storedVersions", "Invalid value: null: must have at least one stored version"))
    if section(spec, "conversion").get("strategy", "None") != "None":
        text = 'Unsupported value: "Webhook": this server converts between versions by their names alone: set strategy to None'
        found.append(Cause("FieldValueNotSupported", "spec.conversion.strategy", text))
    return [*found, *_check_versions(versions)]


def _check_versions(versions: list[JsonObject]) -> Iterator[Cause]:
    seen: set[object] = set()
    one_schema = len(versions) == 1
    for index, version in enumerate(versions):
        at = f"spec.versions[{index}]"
        if not isinstance(version.get("name"), str) or not version["name"]:
            yield Cause("FieldValueRequired", f"{at}.name", "Required value")
        elif version["name"] in seen:
            yield Cause("FieldValueDuplicate", f"{at}.name", f'Duplicate value: "{version["name"]}"')
        seen.add(str(version.get("name")))
        schema = section(version, "schema").get("openAPIV3Schema")
        path = _SCHEMA if one_schema else f"{at}.schema.openAPIV3Schema"
        if not isinstance(schema, dict) or not schema:
            yield Cause("FieldValueRequired", path, "Required value: schemas are required")
            continue
        if schema.get("type") != "object":
            yield Cause("FieldValueInvalid", f"{path}.type", f'Invalid value: "{schema.get("type", "")}": must be object at the root')
        yield from _untyped(schema, path, "")


def _untyped(schema: Mapping[str, object], path: str, what: str) -> Iterator[Cause]:
    """Where a schema is not structural: a place without a type."""
    if what and not schema.get("type") and not any(schema.get(name) for name in _FREE):
        yield Cause("FieldValueRequired", f"{path}.type", f"Required value: must not be empty for specified {what}")
    for name, below in section(schema, "properties").items():
        if isinstance(below, dict):
            yield from _untyped(below, f"{path}.properties[{name}]", "object fields")
    items, values = schema.get("items"), schema.get("additionalProperties")
    if isinstance(items, dict):
        yield from _untyped(items, f"{path}.items", "array items")
    if isinstance(values, dict):
        yield from _untyped(values, f"{path}.additionalProperties", "map values")


# -- conditions --------------------------------------------------------------------------------------------------------


def next_status(definition: JsonObject, others: Iterable[JsonObject], now: str) -> JsonObject | None:
    """The status that follows from the present one; None where it is what it should be. First the names, then the rest."""
    status, names = section(definition, "status"), section(section(definition, "spec"), "names")
    before = {str(one.get("type")): one for one in dicts(status.get("conditions"))}
    rest = [one for kind, one in before.items() if kind not in ("NamesAccepted", "Established")]
    if conflict := _conflict(definition, others):
        reason, message = conflict
        wanted = [_condition("NamesAccepted", "False", reason, message, now)]
        wanted.append(_condition("Established", "False", "NotAccepted", "not all names are accepted", now))
        accepted = section(status, "acceptedNames")
    else:
        named = before.get("NamesAccepted", {}).get("status") == "True" and section(status, "acceptedNames") == names
        wanted, accepted = _accepted(now, established=named), names
    same = all(_says(before.get(str(one["type"]), {}), one) for one in wanted) and section(status, "acceptedNames") == accepted
    return None if same else status | {"conditions": [*wanted, *rest], "acceptedNames": accepted}


def _accepted(now: str, *, established: bool) -> list[JsonObject]:
    """The conditions of a definition whose names nobody else has."""
    status, reason = ("True", "InitialNamesAccepted") if established else ("False", "Installing")
    return [
        _condition("NamesAccepted", "True", "NoConflicts", "no conflicts found", now),
        _condition("Established", status, reason, "the initial names have been accepted", now),
    ]


def served(info: KindInfo, now: str) -> JsonObject:
    """The definition of one of the server's own kinds as it is listed: established, without the schema, which OpenAPI gives."""
    found = definition(info, schemas=False)
    status: JsonObject = {
        "conditions": _accepted(now, established=True),
        "acceptedNames": section(section(found, "spec"), "names"),
        "storedVersions": [info.storage_version or info.versions[0]],
    }
    return found | {"status": status}


def _condition(kind: str, status: str, reason: str, message: str, now: str) -> JsonObject:
    return {"type": kind, "status": status, "lastTransitionTime": now, "reason": reason, "message": message}


def _says(one: JsonObject, other: JsonObject) -> bool:
    return all(one.get(name) == other.get(name) for name in ("status", "reason"))


def _conflict(definition: JsonObject, others: Iterable[JsonObject]) -> tuple[str, str] | None:
    """The name that another kind of the group has, as reason and message."""
    spec = section(definition, "spec")
    names, group, own = section(spec, "names"), spec.get("group"), section(definition, "metadata").get("name")
    words: set[object] = set()
    kinds: set[object] = set()
    for info in KINDS:
        if info.group == group and f"{info.plural}.{info.group}" != own:
            words |= {info.plural, info.singular, *info.short_names}
            kinds |= {info.kind, f"{info.kind}List"}
    for other in others:
        if section(other, "spec").get("group") == group and section(other, "metadata").get("name") != own:
            taken = section(section(other, "status"), "acceptedNames")
            short = taken.get("shortNames")
            words |= {taken.get("plural"), taken.get("singular"), *(short if isinstance(short, list) else ())}
            kinds |= {taken.get("kind"), taken.get("listKind")}
    found: tuple[str, str] | None = None
    short = names.get("shortNames")
    for name in short if isinstance(short, list) else ():
        if name in words:
            found = "ShortNamesConflict", f'"{name}" is already in use'
    for field in ("singular", "plural", "kind", "listKind"):  # the last one is told
        if names.get(field) and names[field] in (kinds if field in ("kind", "listKind") else words):
            found = f"{field[0].upper()}{field[1:]}Conflict", f'"{names[field]}" is already in use'
    return found


def terminating(definition: JsonObject, now: str) -> JsonObject:
    """A definition whose deletion begins: held until its objects are gone."""
    meta, status = section(definition, "metadata"), section(definition, "status")
    held = meta.get("finalizers")
    finalizers = held if isinstance(held, list) else []
    text = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon"
    condition = _condition("Terminating", "True", "InstanceDeletionPending", text, now)
    kept = [one for one in dicts(status.get("conditions")) if one.get("type") != "Terminating"]
    return definition | {
        "metadata": meta | {"finalizers": [*(one for one in finalizers if one != CLEANUP), CLEANUP]},
        "status": status | {"conditions": [*kept, condition]},
    }
