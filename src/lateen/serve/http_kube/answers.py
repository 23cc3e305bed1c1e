"""Answers as bytes, and what a client accepts.

Why: objects and lists are joined from the store's ready bytes. Must not read the store.
"""

from collections.abc import Iterable, Mapping

import msgspec
from starlette.responses import Response

from lateen.kube.errors import ApiError
from lateen.kube.listing import Page
from lateen.kube.paths import Target
from lateen.kube.records import Stored, is_custom, render

__all__ = ["accepts", "failure", "json_response", "list_body", "list_metadata", "object_body", "with_warnings"]

_encoder = msgspec.json.Encoder()


def json_response(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer; bytes are sent as they are."""
    content = body if isinstance(body, bytes) else _encoder.encode(body)
    return Response(content, status, headers, "application/json")


def failure(error: ApiError) -> Response:
    """The Status that tells why a request was refused."""
    headers: dict[str, str] = {}
    details = error.status.get("details")
    if isinstance(details, dict) and "retryAfterSeconds" in details:
        headers["Retry-After"] = str(details["retryAfterSeconds"])
    return json_response(error.status, error.code, headers)


def with_warnings(response: Response, warnings: Iterable[str]) -> Response:
    """The response with one Warning header per finding."""
    for text in warnings:
        quoted = text.encode("ascii", "replace").decode().replace("\\", "\\\\").replace('"', '\\"')
        response.headers.append("Warning", f'299 - "{" ".join(quoted.split())}"')
    return response


def object_body(target: Target, stored: Stored) -> bytes:
    """An object in the version that was asked for."""
    return render(stored, target.info.kind, target.info.api_version_of(target.version))


def list_body(target: Target, page: Page) -> bytes:
    """A list. Items of built-in kinds carry no kind of their own, custom ones do, as on Kubernetes."""
    custom = is_custom(target.info)
    items = [object_body(target, stored) if custom else stored.body for stored in page.items]
    head = {
        "kind": f"{target.info.kind}List",
        "apiVersion": target.info.api_version_of(target.version),
        "metadata": list_metadata(page),
    }
    return b'%s,"items":[%s]}' % (_encoder.encode(head)[:-1], b",".join(items))


def list_metadata(page: Page) -> dict[str, object]:
    """A list's metadata."""
    metadata: dict[str, object] = {"resourceVersion": str(page.revision)}
    if page.token:
        metadata["continue"] = page.token
        if page.remaining is not None:
            metadata["remainingItemCount"] = page.remaining
    return metadata


def accepts(header: str) -> str:
    """The first form of those a client accepts that we have: "json", "table" or "metadata"; "" where there is none."""
    for item in header.split(",") if header.strip() else ("*/*",):
        media, *rest = (part.strip() for part in item.split(";"))
        parameters = dict(part.split("=", 1) for part in rest if "=" in part)
        if media not in ("application/json", "application/*", "*/*"):
            continue
        form = parameters.get("as")
        if form is None:
            return "json"
        if parameters.get("g") == "meta.k8s.io" and parameters.get("v") in ("v1", "v1beta1"):
            if form == "Table":
                return "table"
            if form in ("PartialObjectMetadata", "PartialObjectMetadataList"):
                return "metadata"
    return ""
