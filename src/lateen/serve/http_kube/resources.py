"""Get, list, create, replace, patch and delete over HTTP.

Why: turns a request into one call of the registry and its result into an answer. Rules live in `kube`; none is decided here.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from lateen.kube import errors
from lateen.kube.defined import DefinedKind
from lateen.kube.listing import ListOptions, check_revision, list_page
from lateen.kube.options import DeleteOptions, WriteOptions, check_delete, delete_options, refused_option, whole_number, write_options
from lateen.kube.patch import json_patch, merge_patch
from lateen.kube.paths import Target
from lateen.kube.records import JsonObject, Stored, is_custom, load, resource_id, section
from lateen.kube.registry import Written
from lateen.kube.scale import scale_of, scale_paths, with_scale
from lateen.kube.selectors import select
from lateen.kube.strategic import strategic_patch
from lateen.kube.subresources import subresource
from lateen.serve.http_kube.answers import json_response, object_body, with_warnings
from lateen.serve.http_kube.bodies import (
    content_type,
    decode_configuration,
    decode_object,
    duplicate_fields,
    parse,
    parse_delete_options,
    read_body,
)
from lateen.serve.http_kube.forms import OBJECTS, Form, render_list, render_object
from lateen.serve.http_kube.live import LiveStore

__all__ = ["Resources"]

_JSON_PATCH = "application/json-patch+json"
_MERGE_PATCH = "application/merge-patch+json"
_STRATEGIC_PATCH = "application/strategic-merge-patch+json"
_APPLY_PATCH = "application/apply-patch+yaml"
_TOLD_WHOLE = ("pods", "serviceaccounts", "services", "namespaces")  # their deletion answers with the object, not a Status
_Change = Callable[[JsonObject], JsonObject]


class Resources:
    """The handlers; `handle` chooses by method."""

    def __init__(self, live: LiveStore) -> None:
        self._live = live

    async def handle(self, request: Request, target: Target) -> Response:
        """Answer a request for a stored resource that is not a watch."""
        if target.subresource and subresource(target.info, target.subresource, target.version) is None:
            raise errors.missing_kind() if self._live.store.get(target.ref) else errors.not_found(target.info, target.name)
        on_object: Mapping[str, Callable[[Request, Target], Awaitable[Response]]] = {
            "GET": self._get,
            "PUT": self._replace,
            "PATCH": self._patch,
            "DELETE": self._delete,
        }
        on_collection = {"GET": self._list, "POST": self._create, "DELETE": self._delete_collection}
        handler = (on_object if target.name else on_collection).get(request.method)
        if handler is None:
            raise errors.method_not_allowed()
        return await handler(request, target)

    # -- reading ---------------------------------------------------------------------------------------------------

    async def _get(self, request: Request, target: Target) -> Response:
        if revision := request.query_params.get("resourceVersion", ""):
            check_revision(self._live.store, revision)
        stored = self._live.store.get(target.ref)
        if stored is None:
            raise errors.not_found(target.info, target.name)
        if target.subresource == "scale":
            return json_response(_scale_body(target, stored))
        return json_response(render_object(Form.of(request), target, stored, self._live))

    async def _list(self, request: Request, target: Target) -> Response:
        page = list_page(self._live.store, resource_id(target.info), _list_options(request, target))
        return json_response(render_list(Form.of(request), target, page, self._live))

    # -- writing ---------------------------------------------------------------------------------------------------

    async def _create(self, request: Request, target: Target) -> Response:
        options, raw = await self._read(request, target, "CreateOptions")
        if target.info.namespaced and not target.namespace:
            raise errors.bad_request("an empty namespace may not be set during creation")
        if isinstance(target.info, DefinedKind) and target.info.terminating:
            raise errors.method_not_allowed()
        return self._answer(target, await self._live.write(partial(self._live.registry.create, target, raw, options)))

    async def _replace(self, request: Request, target: Target) -> Response:
        if target.subresource == "scale":
            scale = parse(target, "application/json", await read_body(request))
            options = _named(request, write_options("UpdateOptions", request.query_params))
            return await self._modify(target, _through_scale(target, lambda _: _mapping(scale)), options)
        options, raw = await self._read(request, target, "UpdateOptions")
        if self._live.store.get(target.ref) is None:
            raise errors.not_found(target.info, target.name)
        if is_custom(target.info) and not section(raw, "metadata").get("resourceVersion"):
            raise _without_revision(target)
        return await self._modify(target, lambda _: raw, options)

    async def _read(self, request: Request, target: Target, kind: str) -> tuple[WriteOptions, JsonObject]:
        options = _named(request, write_options(kind, request.query_params))
        body = await read_body(request)
        raw = decode_object(target, content_type(request), body)
        if options.validation != "Ignore":
            options = msgspec.structs.replace(options, duplicates=duplicate_fields(body))
        return options, raw

    async def _patch(self, request: Request, target: Target) -> Response:
        options = write_options("PatchOptions", request.query_params)
        media = content_type(request)
        if options.force is not None and media != _APPLY_PATCH:
            text = "Forbidden: may not be specified for non-apply patch"
            raise refused_option("PatchOptions", "force", "FieldValueForbidden", text)
        body = await read_body(request)
        options = _named(request, options)
        if media == _APPLY_PATCH and target.subresource != "scale":
            return await self._apply(request, target, body, options)
        change = _patcher(target, media, body)
        if target.subresource == "scale":
            change = _through_scale(target, change)
        return await self._modify(target, change, options)

    async def _apply(self, request: Request, target: Target, body: bytes, options: WriteOptions) -> Response:
        if not request.query_params.get("fieldManager"):
            raise refused_option("PatchOptions", "fieldManager", "FieldValueRequired", "Required value: is required for apply patch")
        apply = self._live.registry.apply
        return self._answer(target, await self._live.write(partial(apply, target, decode_configuration(target, body), options)))

    async def _modify(self, target: Target, change: _Change, options: WriteOptions) -> Response:
        written = await self._live.write(partial(self._live.registry.modify, target, change, options))
        if target.subresource == "scale":
            return with_warnings(json_response(_scale_body(target, written.stored)), written.warnings)
        return self._answer(target, written)

    async def _delete(self, request: Request, target: Target) -> Response:
        if target.subresource:
            raise errors.method_not_allowed()
        options = await _delete_options(request)
        written = await self._live.write(partial(self._live.registry.delete, target, options))
        if written.gone and target.info.plural not in _TOLD_WHOLE:
            return with_warnings(json_response(_deleted(target, written)), written.warnings)
        return self._answer(target, written)

    async def _delete_collection(self, request: Request, target: Target) -> Response:
        if not target.info.namespaced or not target.namespace:
            raise errors.method_not_allowed()
        options = await _delete_options(request)
        page = list_page(self._live.store, resource_id(target.info), _list_options(request, target))
        for stored in page.items:
            one = msgspec.structs.replace(target, namespace=stored.ref.namespace, name=stored.ref.name)
            try:
                await self._live.write(partial(self._live.registry.delete, one, options))
            except errors.ApiError as error:
                if error.code != 404:
                    raise
        return json_response(render_list(OBJECTS, target, page, self._live))

    def _answer(self, target: Target, written: Written) -> Response:
        response = json_response(object_body(target, written.stored), 201 if written.created else 200)
        return with_warnings(response, written.warnings)


async def _delete_options(request: Request) -> DeleteOptions:
    body = await read_body(request)
    return check_delete(parse_delete_options(content_type(request), body, delete_options(request.query_params)))


def _without_revision(target: Target) -> errors.ApiError:
    cause = errors.Cause("FieldValueInvalid", "metadata.resourceVersion", "Invalid value: 0: must be specified for an update")
    refused = errors.invalid(target.info, target.name, (cause,))
    details = refused.status["details"]
    if isinstance(details, dict):
        details["kind"] = target.info.plural  # here Kubernetes names the resource
    return refused


def _named(request: Request, options: WriteOptions) -> WriteOptions:
    """The options with the writer's name: the one given, or the program's. The mesh's own writes are nobody's (docs/decisions/012)."""
    program = request.headers.get("user-agent", "").partition("/")[0] or "unknown"
    return options if options.manager or program == "lateen" else msgspec.structs.replace(options, manager=program)


def _list_options(request: Request, target: Target) -> ListOptions:
    query = request.query_params
    return ListOptions(
        namespace=target.namespace,
        selection=select(resource_id(target.info), query.get("labelSelector", ""), query.get("fieldSelector", ""), target.selectable),
        limit=max(0, whole_number(query["limit"], "limit")) if query.get("limit") else 0,
        token=query.get("continue", ""),
        revision=query.get("resourceVersion", ""),
        match=query.get("resourceVersionMatch", ""),
    )


def _patcher(target: Target, media: str, body: bytes) -> _Change:
    known = (_JSON_PATCH, _MERGE_PATCH, _STRATEGIC_PATCH, _APPLY_PATCH)
    if media not in known:
        raise errors.error(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})
    if media == _STRATEGIC_PATCH and is_custom(target.info):
        accepted = f"{_JSON_PATCH}, {_MERGE_PATCH}, {_APPLY_PATCH}"
        raise errors.unsupported_media(f"the body of the request was in an unknown format - accepted media types include: {accepted}")
    patch = parse(target, media, body)
    match media:
        case "application/json-patch+json":
            return lambda obj: json_patch(obj, patch)
        case "application/strategic-merge-patch+json":
            return lambda obj: strategic_patch(resource_id(target.info), obj, patch)
        case _:
            return lambda obj: merge_patch(obj, patch)


def _through_scale(target: Target, change: _Change) -> _Change:
    paths = scale_paths(target.info, target.version)
    return lambda obj: with_scale(target.info, obj, change(scale_of(obj, paths)), paths)


def _mapping(value: object) -> JsonObject:
    if not isinstance(value, dict):
        raise errors.bad_request("the body must be an object")
    return value


def _scale_body(target: Target, stored: Stored) -> JsonObject:
    return scale_of(load(stored.body), scale_paths(target.info, target.version))


def _deleted(target: Target, written: Written) -> JsonObject:
    details: JsonObject = {"name": target.name}
    if target.info.group:
        details["group"] = target.info.group
    details["kind"] = target.info.plural
    details["uid"] = written.stored.uid
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
