"""Objects as Kubernetes tables: columns of their kind, one row each.

Must not know HTTP nor decide which objects are shown.
"""

import json
import re
from collections.abc import Sequence
from datetime import datetime

from lateen.api.kinds import Column, KindInfo
from lateen.kube.ages import age
from lateen.kube.columns import COLUMNS, ColumnDefinition, created
from lateen.kube.defined import form_of
from lateen.kube.records import JsonObject, Stored, load, render, resource_id, section

__all__ = ["column_definitions", "json_path", "metadata_only", "row"]

_CELLS: dict[str, type | tuple[type, ...]] = {"integer": int, "number": (int, float), "boolean": bool}
_STEP = re.compile(
    r"""\.(?P<name>[\w-]+)|\['(?P<quoted>[^']*)'\]|\[(?P<index>\d+|\*)\]|\[\?\(@\.(?P<field>[\w.]+)\s*==\s*["'](?P<is>[^"']*)["']\)\]"""
)


def column_definitions(info: KindInfo, version: str = "") -> list[JsonObject]:
    """The head of the table."""
    printer = COLUMNS.get(resource_id(info))
    columns = printer.columns if printer else _custom_columns(_columns_of(info, version))
    return [
        {
            "name": column.name,
            "type": column.type,
            "format": "name" if column.name == "Name" else "",
            "description": "",
            "priority": column.priority,
        }
        for column in columns
    ]


def _columns_of(info: KindInfo, version: str) -> Sequence[Column]:
    form = form_of(info, version)
    return info.columns if form is None else form.columns


def _custom_columns(columns: Sequence[Column]) -> Sequence[ColumnDefinition]:
    named = [ColumnDefinition(column.name, column.priority, column.type) for column in columns]
    return [ColumnDefinition("Name"), *(named or [ColumnDefinition("Age", 0, "date")])]


def row(info: KindInfo, version: str, stored: Stored, now: datetime, include: str) -> JsonObject:
    """One object; `include` says what goes beside its cells: None, Metadata or Object."""
    obj = load(stored.body)
    printer = COLUMNS.get(resource_id(info))
    cells = printer.cells(obj, now) if printer else _custom_cells(_columns_of(info, version), obj, now)
    entry: JsonObject = {"cells": cells}
    if include == "Object":
        entry["object"] = load(render(stored, info.kind, info.api_version_of(version)))
    elif include != "None":
        entry["object"] = metadata_only(obj)
    return entry


def metadata_only(obj: JsonObject) -> JsonObject:
    """The object as PartialObjectMetadata."""
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": section(obj, "metadata")}


def _custom_cells(columns: Sequence[Column], obj: JsonObject, now: datetime) -> list[object]:
    name = section(obj, "metadata").get("name", "")
    if not columns:
        return [name, created(obj, now)]
    return [name, *(_custom_cell(json_path(obj, column.jsonpath), column.type, now) for column in columns)]


def _custom_cell(value: object, kind: str, now: datetime) -> object:
    if value is None:
        return None
    if kind == "date":
        return age(value, now)
    if kind in _CELLS:
        return value if isinstance(value, _CELLS[kind]) and (kind == "boolean" or not isinstance(value, bool)) else None
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def json_path(obj: object, path: str) -> object:
    """The value at a path such as `.spec.hosts` or `.status.conditions[?(@.type=="Ready")].status`; None where there is none."""
    value = obj
    for step in _STEP.finditer(path):
        name = step["name"] or step["quoted"]
        if name is not None:
            value = value.get(name) if isinstance(value, dict) else None
        elif step["index"] is not None:
            index = 0 if step["index"] == "*" else int(step["index"])  # of several the first is printed
            value = value[index] if isinstance(value, list) and index < len(value) else None
        else:
            candidates = value if isinstance(value, list) else []
            value = next((item for item in candidates if json_path(item, f".{step['field']}") == step["is"]), None)
    return value
