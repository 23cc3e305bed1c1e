"""What is asked for by a POST to a part of an object: a token of a service account, the eviction of a pod.

Why: `kubectl create token` and `kubectl drain`. Nothing of it is stored as such. Must not sign: the node does.
"""

from functools import partial

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from lateen.kube import errors
from lateen.kube.options import DeleteOptions, check_delete
from lateen.kube.paths import Target
from lateen.kube.records import JsonObject, section
from lateen.serve.http_kube import protobuf
from lateen.serve.http_kube.answers import json_response
from lateen.serve.http_kube.bodies import content_type, parse, read_body
from lateen.serve.http_kube.live import LiveStore
from lateen.serve.http_kube.node import NodeBackend
from lateen.util.times import rfc3339

__all__ = ["Actions"]

_HOUR = 3600
_SHORTEST, _LONGEST = 600, 1 << 32


class Actions:
    """The subresources `token` and `eviction`."""

    def __init__(self, live: LiveStore, node: NodeBackend | None) -> None:
        self._live = live
        self._node = node

    def handles(self, target: Target) -> bool:
        """Whether this is one of them."""
        return (target.info.plural, target.subresource) in (("serviceaccounts", "token"), ("pods", "eviction"))

    async def handle(self, request: Request, target: Target) -> Response:
        """Do it."""
        if request.method != "POST":
            raise errors.method_not_allowed()
        body = await read_body(request)
        media = content_type(request)
        raw = protobuf.decode_protobuf(body) if media == protobuf.MEDIA_TYPE else parse(target, media, body)
        if not isinstance(raw, dict):
            raise errors.bad_request("the body must be an object")
        if self._live.store.get(target.ref) is None:
            raise errors.not_found(target.info, target.name)
        return await (self._token if target.subresource == "token" else self._evict)(target, raw)

    async def _token(self, target: Target, raw: JsonObject) -> Response:
        if self._node is None:
            raise errors.error(503, "ServiceUnavailable", "this API server has no node, which is what signs tokens")
        spec = section(raw, "spec")
        audiences, seconds = spec.get("audiences") or [], spec.get("expirationSeconds") or _HOUR
        if not isinstance(audiences, list) or not all(isinstance(each, str) for each in audiences):
            raise errors.bad_request("spec.audiences must be a list of names")
        if not isinstance(seconds, int) or isinstance(seconds, bool) or not _SHORTEST <= seconds <= _LONGEST:
            text = f"Invalid value: {seconds!s:.20}: may not specify a duration less than 10 minutes or larger than 2^32 seconds"
            cause = errors.Cause("FieldValueInvalid", "spec.expirationSeconds", text)
            raise errors.invalid(msgspec.structs.replace(target.info, kind="TokenRequest", group="authentication.k8s.io"), "", (cause,))
        token, expires = await self._node.token(target.namespace, target.name, audiences, seconds)
        answer = {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"name": target.name, "namespace": target.namespace, "creationTimestamp": rfc3339(self._live.now().timestamp())},
            "spec": {"audiences": audiences, "expirationSeconds": seconds, "boundObjectRef": spec.get("boundObjectRef")},
            "status": {"token": token, "expirationTimestamp": rfc3339(expires)},
        }
        return json_response(answer, 201)

    async def _evict(self, target: Target, raw: JsonObject) -> Response:
        """There are no disruption budgets here: every eviction is a deletion."""
        try:
            options = msgspec.convert(section(raw, "deleteOptions"), DeleteOptions)
        except msgspec.ValidationError as problem:
            raise errors.bad_request(f"deleteOptions cannot be read: {problem}") from problem
        pod = msgspec.structs.replace(target, subresource="")
        await self._live.write(partial(self._live.registry.delete, pod, check_delete(options)))
        return json_response({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}, 201)
