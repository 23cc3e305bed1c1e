"""The OpenAPI documents made from our types."""

import json
import re
from typing import Any

import pytest

from lateen.api.kinds import KINDS
from lateen.kube.openapi import document, document_names, swagger


@pytest.mark.parametrize("name", document_names())
def test_every_reference_leads_to_a_schema(name: str) -> None:
    """A document stands alone, and every kind of its group and version has a schema with the kind's name."""
    found: Any = document(name)
    schemas = found["components"]["schemas"]
    refs = {part.split('"')[0] for part in json.dumps(found).split("#/components/schemas/")[1:]}
    assert refs <= set(schemas)
    named = {gvk["kind"] for schema in schemas.values() for gvk in schema.get("x-kubernetes-group-version-kind", ())}
    served = {i.kind for i in KINDS for v in i.versions if name == (f"apis/{i.group}/{v}" if i.group else f"api/{v}")}
    assert named == served
    assert '"null"' not in json.dumps(found)


def test_lists_of_built_in_kinds_name_the_keys_they_merge_by() -> None:
    """Kubectl computes its patches from them; Istio's lists have none."""
    core: Any = document("api/v1")
    schemas = core["components"]["schemas"]
    assert schemas["PodSpec"]["properties"]["containers"]["x-kubernetes-patch-merge-key"] == "name"
    assert schemas["Container"]["properties"]["volumeMounts"]["x-kubernetes-patch-merge-key"] == "mountPath"
    assert "x-kubernetes-patch-merge-key" not in json.dumps(document("apis/networking.istio.io/v1"))


def test_every_patch_knows_field_validation() -> None:
    """Version 3 and version 2 tell kubectl that the server validates."""
    for name in document_names():
        found: Any = document(name)
        for path, operations in found["paths"].items():
            if path.endswith("/{name}"):
                assert "fieldValidation" in {parameter["name"] for parameter in operations["patch"]["parameters"]}
    old: Any = swagger()
    assert len(old["paths"]) == sum(len(info.versions) for info in KINDS)


def test_version_2_has_every_kind_with_all_that_it_is_made_of() -> None:
    """No reference leads nowhere."""
    old = json.dumps(swagger())
    found: Any = swagger()
    assert {name.removeprefix('"#/definitions/').removesuffix('"') for name in re.findall(r'"#/[^"]*"', old)} <= found["definitions"].keys()
    assert len(found["definitions"]) > sum(len(info.versions) for info in KINDS)
