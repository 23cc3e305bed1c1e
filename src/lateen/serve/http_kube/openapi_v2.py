"""OpenAPI version 2 in the protobuf form that kubectl asks for.

Why: kubectl before 1.29 reads only this one; later ones ask for it and go on without. The messages are gnostic's `openapi_v2.Document`.
Must not know what stands in a kind.
"""

from functools import lru_cache

from msgspec import json

from lateen.kube.defined import BUILT_IN, Kinds
from lateen.kube.openapi import PatchOperation, definitions, patch_operations
from lateen.kube.records import JsonObject, section
from lateen.util.wire import join, length_delimited, text, varint

__all__ = ["MEDIA_TYPE", "swagger_protobuf"]

_TEXTS = {"$ref": 1, "format": 2, "title": 3, "description": 4, "pattern": 12}
MEDIA_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"


@lru_cache(maxsize=4)
def swagger_protobuf(kinds: Kinds = BUILT_IN) -> bytes:
    """The document."""
    info = text(1, "Lateen") + text(2, "1")
    paths = join(2, [text(1, one.path) + length_delimited(2, length_delimited(8, _operation(one))) for one in patch_operations(kinds)])
    return text(1, "2.0") + length_delimited(2, info) + length_delimited(8, paths) + length_delimited(9, _named(definitions(kinds)))


def _operation(one: PatchOperation) -> bytes:
    parameters = join(8, [_query_parameter(name) for name in ("dryRun", "fieldManager", "fieldValidation")])
    kind = f'group: "{one.group}"\nkind: {one.kind}\nversion: {one.version}\n'
    extensions = [_extension("x-kubernetes-action", "patch\n"), _extension("x-kubernetes-group-version-kind", kind)]
    return text(5, f"patch{one.kind}{one.version}") + parameters + join(13, extensions)


def _query_parameter(name: str) -> bytes:
    query = text(2, "query") + text(4, name) + text(6, "string")
    return length_delimited(1, length_delimited(2, length_delimited(3, query)))


def _extension(name: str, yaml: str) -> bytes:
    return text(1, name) + length_delimited(2, text(2, yaml))


def _named(schemas: JsonObject) -> bytes:
    return join(1, [text(1, name) + length_delimited(2, _schema(section(schemas, name))) for name in schemas])


def _schema(schema: JsonObject) -> bytes:
    """A `Schema`: its texts, then what it is made of, then what OpenAPI does not know (`x-...`), as YAML (JSON is)."""
    made = [text(number, str(schema[name])) for name, number in _TEXTS.items() if name in schema]
    made += [text(19, str(name)) for name in _values(schema, "required")]
    made += [length_delimited(20, text(2, _yaml(value))) for value in _values(schema, "enum")]
    further = schema.get("additionalProperties")
    if further is not None:
        made.append(length_delimited(21, length_delimited(1, _schema(further)) if isinstance(further, dict) else _true(2, further)))
    if "type" in schema:
        made.append(length_delimited(22, text(1, str(schema["type"]))))
    if "items" in schema:
        made.append(length_delimited(23, length_delimited(1, _schema(section(schema, "items")))))
    if "properties" in schema:
        made.append(length_delimited(25, _named(section(schema, "properties"))))
    made += [length_delimited(31, _extension(name, _yaml(value))) for name, value in schema.items() if name.startswith("x-")]
    return b"".join(made)


def _values(schema: JsonObject, name: str) -> list[object]:
    found = schema.get(name)
    return found if isinstance(found, list) else []


def _true(field: int, value: object) -> bytes:
    return varint(field << 3) + varint(1) if value else b""


def _yaml(value: object) -> str:
    return json.encode(value).decode() + "\n"
