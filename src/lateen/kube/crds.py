"""CustomResourceDefinitions of the custom kinds, made from the types that decode them.

For clusters whose API server has them not yet, and for clients that ask which kinds there are. Schemas say shapes, ranges and choices;
rules between fields are the webhook's. Must not do I/O.
"""

from lateen.api.kinds import KINDS, Column, KindInfo
from lateen.kube.crdschema import schema_of_kind
from lateen.kube.records import JsonObject, is_custom, resource_id
from lateen.kube.subresources import subresource

__all__ = ["CUSTOM", "definition"]

CUSTOM = tuple(info for info in KINDS if is_custom(info))
_ANYTHING: JsonObject = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def definition(info: KindInfo, *, schemas: bool = True) -> JsonObject:
    """The definition of a custom kind; without `schemas` every version takes anything."""
    names: JsonObject = {
        "kind": info.kind,
        "listKind": f"{info.kind}List",
        "plural": info.plural,
        "singular": info.singular,
        **({"shortNames": list(info.short_names)} if info.short_names else {}),
        **({"categories": list(info.categories)} if info.categories else {}),
    }
    spec: JsonObject = {
        "group": info.group,
        "names": names,
        "scope": "Namespaced" if info.namespaced else "Cluster",
        "versions": [_version(info, version, schemas=schemas) for version in info.versions],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": resource_id(info)},
        "spec": spec,
    }


def _version(info: KindInfo, version: str, *, schemas: bool) -> JsonObject:
    schema = schema_of_kind(info) if schemas and info.type is not None else dict(_ANYTHING)
    return {
        "name": version,
        "served": True,
        "storage": version == (info.storage_version or info.versions[0]),
        "schema": {"openAPIV3Schema": schema},
        **({"subresources": {"status": {}}} if subresource(info, "status") else {}),
        **({"additionalPrinterColumns": [_column(column) for column in info.columns]} if info.columns else {}),
    }


def _column(column: Column) -> JsonObject:
    more: JsonObject = {"priority": column.priority} if column.priority else {}
    return {"name": column.name, "type": column.type, "jsonPath": column.jsonpath} | more
