"""The form a client wants its answer in: objects, a table for people, or metadata alone.

Must not decide what is answered.
"""

from enum import Enum
from typing import NamedTuple

import msgspec
from starlette.requests import Request

from lateen.kube.errors import bad_request, error
from lateen.kube.listing import Page
from lateen.kube.paths import Target
from lateen.kube.records import JsonObject, Stored, load
from lateen.kube.table import column_definitions, metadata_only, row
from lateen.serve.http_kube.answers import accepts, list_body, list_metadata, object_body
from lateen.serve.http_kube.live import LiveStore

__all__ = ["OBJECTS", "Form", "Shape", "render_list", "render_object", "table_of"]

_encoder = msgspec.json.Encoder()
_META_VERSION = "meta.k8s.io/v1"


class Shape(Enum):
    """What the answer is made of."""

    OBJECTS = "json"
    TABLE = "table"
    METADATA = "metadata"


class Form(NamedTuple):
    """A shape, and what a table carries beside its cells."""

    shape: Shape
    include: str = "Metadata"

    @classmethod
    def of(cls, request: Request) -> "Form":
        """The form that the Accept header asks for; ApiError 406 where we have none of those."""
        found = accepts(request.headers.get("accept", ""))
        if not found:
            available = "application/json, application/json;as=Table;v=v1;g=meta.k8s.io"
            raise error(406, "NotAcceptable", f"only the following media types are accepted: {available}")
        include = request.query_params.get("includeObject", "") or "Metadata"
        if include not in ("None", "Metadata", "Object"):
            raise bad_request(f'unrecognized includeObject value: "{include[:40]}"')
        return cls(Shape(found), include)


OBJECTS = Form(Shape.OBJECTS)


def render_object(form: Form, target: Target, stored: Stored, live: LiveStore) -> bytes:
    """One object in the form."""
    if form.shape is Shape.OBJECTS:
        return object_body(target, stored)
    if form.shape is Shape.METADATA:
        return _encoder.encode(metadata_only(load(stored.body)))
    return _encoder.encode(table_of(form, target, Page([stored], stored.rv), live))


def render_list(form: Form, target: Target, page: Page, live: LiveStore) -> bytes:
    """A list in the form."""
    if form.shape is Shape.OBJECTS:
        return list_body(target, page)
    if form.shape is Shape.TABLE:
        return _encoder.encode(table_of(form, target, page, live))
    items = [metadata_only(load(stored.body)) for stored in page.items]
    head = {"kind": "PartialObjectMetadataList", "apiVersion": _META_VERSION, "metadata": list_metadata(page)}
    return _encoder.encode(head | {"items": items})


def table_of(form: Form, target: Target, page: Page, live: LiveStore, *, head: bool = True) -> JsonObject:
    """A Table; without `head` it has no column definitions, as the later events of a watch."""
    now = live.now()
    return {
        "kind": "Table",
        "apiVersion": _META_VERSION,
        "metadata": list_metadata(page),
        "columnDefinitions": column_definitions(target.info, target.version) if head else None,
        "rows": [row(target.info, target.version, stored, now, form.include) for stored in page.items],
    }
