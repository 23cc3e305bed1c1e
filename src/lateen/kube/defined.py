"""Kinds that users define, and the set of all kinds that are served.

Why: a CustomResourceDefinition says at run time what `api.kinds` says of the built-in kinds; paths, discovery, OpenAPI and the registry ask
one set of kinds, which is replaced whole when a definition changes. Must not judge definitions: see `definitions`.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import NamedTuple, cast

from msgspec import Struct

from lateen.api.gatewaycommon import GROUP
from lateen.api.kinds import KINDS, Column, KindInfo
from lateen.kube.crdschema import schema_of_kind
from lateen.kube.records import JsonObject, dicts, section

__all__ = [
    "BUILT_IN",
    "DEFINITIONS",
    "DefinedKind",
    "Kinds",
    "ScalePaths",
    "VersionForm",
    "defined_kind",
    "form_of",
    "is_established",
    "kinds_with",
]

DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"
_ANYTHING: JsonObject = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_VERSION = re.compile(r"v(\d+)(?:(alpha|beta)(\d+))?")
_STAGES = {None: 0, "beta": 1, "alpha": 2}


class ScalePaths(NamedTuple):
    """Where the numbers of the scale subresource stand: `.spec.replicas`; the selector's may be empty."""

    replicas: str
    status: str
    selector: str


class VersionForm(Struct, frozen=True, kw_only=True, eq=False):
    """One served version of a defined kind."""

    schema: JsonObject
    columns: tuple[Column, ...]
    status: bool
    scale: ScalePaths | None
    selectable: tuple[str, ...]
    warning: str  # told with every request, "" where there is none


class DefinedKind(KindInfo, frozen=True, kw_only=True, eq=False):
    """A kind of a user's definition; two of them are equal only where they are the same object."""

    forms: Mapping[str, VersionForm]
    terminating: bool = False


class Kinds:
    """The kinds that are served; never changed, only replaced."""

    def __init__(self, infos: Iterable[KindInfo]) -> None:
        self.all = tuple(infos)
        self._by_plural = {(info.group, info.plural): info for info in self.all}
        self._served = {(info.group, version) for info in self.all for version in info.versions}

    def by_plural(self, group: str, plural: str) -> KindInfo | None:
        """The kind that a path names."""
        return self._by_plural.get((group, plural))

    def serves(self, group: str, version: str) -> bool:
        """Whether anything is served there."""
        return (group, version) in self._served


BUILT_IN = Kinds(KINDS)


def kinds_with(definitions: Iterable[JsonObject]) -> Kinds:
    """The built-in kinds and those of the established definitions; a definition of a built-in kind changes nothing."""
    infos = [defined_kind(one) for one in definitions if is_established(one)]
    added = [info for info in infos if info.versions and BUILT_IN.by_plural(info.group, info.plural) is None]
    return Kinds((*KINDS, *added)) if added else BUILT_IN


def is_established(definition: JsonObject) -> bool:
    """Whether the definition's condition says so."""
    conditions = dicts(section(definition, "status").get("conditions"))
    return any(one.get("type") == "Established" and one.get("status") == "True" for one in conditions)


def defined_kind(definition: JsonObject) -> DefinedKind:
    """What a sound definition says."""
    spec = section(definition, "spec")
    names = section(spec, "names")
    served = sorted((one for one in dicts(spec.get("versions")) if one.get("served")), key=lambda one: _priority(str(one["name"])))
    kind, group = str(names.get("kind")), str(spec.get("group"))
    return DefinedKind(
        kind=kind,
        group=group,
        versions=tuple(str(one["name"]) for one in served),
        plural=str(names.get("plural")),
        singular=str(names.get("singular") or kind.lower()),
        short_names=_texts(names.get("shortNames")),
        categories=_texts(names.get("categories")),
        namespaced=spec.get("scope") == "Namespaced",
        apart=f"{kind}.{group}",
        forms={str(one["name"]): _form(one, f"{group}/{one['name']} {kind}") for one in served},
        terminating="deletionTimestamp" in section(definition, "metadata"),
    )


def form_of(info: KindInfo, version: str = "") -> VersionForm | None:
    """What a definition says of a version (the preferred where none is named); None for a kind that has none.

    The Gateway API's kinds are judged by definitions made from their types (docs/decisions/023).
    """
    if isinstance(info, DefinedKind):
        return info.forms[version or info.versions[0]]
    return _of_gateway_api(info) if info.group == GROUP else None


@cache
def _of_gateway_api(info: KindInfo) -> VersionForm:
    return VersionForm(
        schema=schema_of_kind(info),
        columns=info.columns,
        status=info.kind != "ReferenceGrant",
        scale=None,
        selectable=(),
        warning="",
    )


def _form(version: JsonObject, named: str) -> VersionForm:
    parts = section(version, "subresources")
    scale = section(parts, "scale")
    paths = ScalePaths(*(str(scale.get(name, "")) for name in ("specReplicasPath", "statusReplicasPath", "labelSelectorPath")))
    warning = str(version.get("deprecationWarning") or f"{named} is deprecated") if version.get("deprecated") else ""
    return VersionForm(
        schema=section(section(version, "schema"), "openAPIV3Schema") or _ANYTHING,
        columns=tuple(_column(one) for one in dicts(version.get("additionalPrinterColumns"))),
        status="status" in parts,
        scale=paths if "scale" in parts else None,
        selectable=tuple(str(one.get("jsonPath", "")).lstrip(".") for one in dicts(version.get("selectableFields"))),
        warning=warning,
    )


def _column(column: JsonObject) -> Column:
    priority = column.get("priority")
    made = Column(str(column.get("name", "")), str(column.get("jsonPath", "")), priority=priority if isinstance(priority, int) else 0)
    return Column(made.name, made.jsonpath, cast("str", column.get("type", "string")), made.priority)  # type: ignore[arg-type]


def _texts(value: object) -> tuple[str, ...]:
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()


def _priority(version: str) -> tuple[object, ...]:
    """Kubernetes' order: v2, v1, v1beta2, v1beta1, v1alpha1, and then whatever is named otherwise."""
    found = _VERSION.fullmatch(version)
    return (0, _STAGES[found[2]], -int(found[1]), -int(found[3] or 0)) if found else (1, version)
