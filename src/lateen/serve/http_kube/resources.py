"""Get, list, create, replace, patch and delete over HTTP.

Why: turns a request into one call of the registry and its result into an answer. Rules live in `kube`; none is decided here.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from lateen.kube import errors
from lateen.kube.listing import ListOptions, check_revision, list_page
from lateen.kube.parameters import check_delete, delete_options, dry_run, whole_number, write_options
from lateen.kube.patch import json_patch, merge_patch
from lateen.kube.paths import Target
from lateen.kube.records import JsonObject, is_custom, resource_id, section
from lateen.kube.registry import Written
from lateen.kube.selectors import select
from lateen.serve.http_kube.answers import json_response, list_body, object_body, with_warnings
from lateen.serve.http_kube.bodies import content_type, decode_object, parse, parse_delete_options, read_body
from lateen.serve.http_kube.live import LiveStore

__all__ = ["Resources"]

_JSON_PATCH = "application/json-patch+json"
_MERGE_PATCH = "application/merge-patch+json"
_STRATEGIC_PATCH = "application/strategic-merge-patch+json"
_APPLY_PATCH = "application/apply-patch+yaml"


class Resources:
    """The handlers; `handle` chooses by method."""

    def __init__(self, live: LiveStore) -> None:
        self._live = live

    async def handle(self, request: Request, target: Target) -> Response:
        """Answer a request for a stored resource that is not a watch."""
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
        revision = request.query_params.get("resourceVersion", "")
        if revision:
            check_revision(self._live.store, revision)
        stored = self._live.store.get(target.ref)
        if stored is None:
            raise errors.not_found(target.info, target.name)
        return json_response(object_body(target, stored))

    async def _list(self, request: Request, target: Target) -> Response:
        options = self._list_options(request, target)
        return json_response(list_body(target, list_page(self._live.store, resource_id(target.info), options)))

    def _list_options(self, request: Request, target: Target) -> ListOptions:
        query = request.query_params
        resource = resource_id(target.info)
        return ListOptions(
            namespace=target.namespace,
            selection=select(resource, query.get("labelSelector", ""), query.get("fieldSelector", "")),
            limit=max(0, whole_number(query["limit"], "limit")) if query.get("limit") else 0,
            token=query.get("continue", ""),
            revision=query.get("resourceVersion", ""),
            match=query.get("resourceVersionMatch", ""),
        )

    # -- writing ---------------------------------------------------------------------------------------------------

    async def _create(self, request: Request, target: Target) -> Response:
        options = write_options("CreateOptions", request.query_params)
        raw = decode_object(target, content_type(request), await read_body(request))
        if target.info.namespaced and not target.namespace:
            raise errors.bad_request("an empty namespace may not be set during creation")
        create = self._live.registry.create
        written = await self._live.write(lambda: create(target.info, target.namespace, raw, dry_run=options.dry_run))
        return self._answer(target, written)

    async def _replace(self, request: Request, target: Target) -> Response:
        options = write_options("UpdateOptions", request.query_params)
        raw = decode_object(target, content_type(request), await read_body(request))
        if is_custom(target.info) and not section(raw, "metadata").get("resourceVersion"):
            errors.reject(target.info, target.name, "metadata.resourceVersion", "Invalid value: 0: must be specified for an update")
        return await self._modify(target, lambda _: raw, dry_run=options.dry_run)

    async def _patch(self, request: Request, target: Target) -> Response:
        options = write_options("PatchOptions", request.query_params)
        media = content_type(request)
        change = _patcher(target, media, await read_body(request))
        return await self._modify(target, change, dry_run=options.dry_run)

    async def _modify(self, target: Target, change: Callable[[JsonObject], JsonObject], *, dry_run: bool) -> Response:
        modify = self._live.registry.modify
        written = await self._live.write(lambda: modify(target.info, target.ref, change, subresource=target.subresource, dry_run=dry_run))
        return self._answer(target, written)

    async def _delete(self, request: Request, target: Target) -> Response:
        if target.subresource:
            raise errors.method_not_allowed()
        options = check_delete(parse_delete_options(await read_body(request), delete_options(request.query_params)))
        dry = dry_run("DeleteOptions", options.dry_run)
        delete = self._live.registry.delete
        written = await self._live.write(lambda: delete(target.info, target.ref, options, dry_run=dry))
        if written.gone and target.info.plural not in ("pods", "serviceaccounts", "services", "namespaces"):
            return with_warnings(json_response(_deleted(target, written)), written.warnings)
        return self._answer(target, written)

    async def _delete_collection(self, request: Request, target: Target) -> Response:
        if not target.info.namespaced or not target.namespace:
            raise errors.method_not_allowed()
        options = check_delete(parse_delete_options(await read_body(request), delete_options(request.query_params)))
        dry = dry_run("DeleteOptions", options.dry_run)
        page = list_page(self._live.store, resource_id(target.info), self._list_options(request, target))
        delete = self._live.registry.delete
        for stored in page.items:
            try:
                await self._live.write(partial(delete, target.info, stored.ref, options, dry_run=dry))
            except errors.ApiError as error:
                if error.code != 404:
                    raise
        return json_response(list_body(target, page))

    def _answer(self, target: Target, written: Written) -> Response:
        response = json_response(object_body(target, written.stored), 201 if written.created else 200)
        return with_warnings(response, written.warnings)


def _patcher(target: Target, media: str, body: bytes) -> Callable[[JsonObject], JsonObject]:
    if media not in (_JSON_PATCH, _MERGE_PATCH, _STRATEGIC_PATCH, _APPLY_PATCH):
        raise errors.error(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})
    patch = parse(target, media, body)
    if media == _JSON_PATCH:
        return lambda obj: json_patch(obj, patch)
    return lambda obj: merge_patch(obj, patch)


def _deleted(target: Target, written: Written) -> JsonObject:
    details: JsonObject = {"name": target.name}
    if target.info.group:
        details["group"] = target.info.group
    details["kind"] = target.info.plural
    details["uid"] = written.stored.uid
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
