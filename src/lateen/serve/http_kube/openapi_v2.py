"""OpenAPI version 2 in the protobuf form that kubectl asks for.

Why: kubectl before 1.29 reads only this one; later ones ask for it and go on without. The messages are gnostic's `openapi_v2.Document`, of
which only the operations that patch are filled in. Must not know what stands in a kind.
"""

from functools import lru_cache

from lateen.kube.defined import BUILT_IN, Kinds
from lateen.kube.openapi import PatchOperation, patch_operations
from lateen.util.wire import join, length_delimited, text

__all__ = ["MEDIA_TYPE", "swagger_protobuf"]

MEDIA_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"


@lru_cache(maxsize=4)
def swagger_protobuf(kinds: Kinds = BUILT_IN) -> bytes:
    """The document."""
    info = text(1, "Lateen") + text(2, "1")
    paths = join(2, [text(1, one.path) + length_delimited(2, length_delimited(8, _operation(one))) for one in patch_operations(kinds)])
    return text(1, "2.0") + length_delimited(2, info) + length_delimited(8, paths) + length_delimited(9, b"")


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
