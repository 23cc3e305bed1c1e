"""Reviews: may this be done, who am I, and whose token is this.

Why: kubectl auth, istioctl and controllers ask before they act; a control plane asks for whom it may sign. Everyone who was let in may
do everything. Must not store anything, nor read tokens itself: the node does.
"""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from lateen.kube.errors import bad_request, missing_kind
from lateen.kube.records import JsonObject, section
from lateen.serve.http_kube import protobuf
from lateen.serve.http_kube.answers import json_response
from lateen.serve.http_kube.auth import caller
from lateen.serve.http_kube.bodies import content_type, read_body
from lateen.serve.http_kube.node import NodeBackend

__all__ = ["review"]

_EVERYTHING = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
_ANYWHERE = {"verbs": ["*"], "nonResourceURLs": ["*"]}
_OWN_AUDIENCE = "https://kubernetes.default.svc.cluster.local"  # of tokens that name none
_EXTRA = "authentication.kubernetes.io"
_ACCESS = ("selfsubjectaccessreviews", "subjectaccessreviews", "localsubjectaccessreviews")


async def review(request: Request, resource: str, node: NodeBackend | None) -> Response:
    """Answer a review of that resource."""
    raw = await _read(request)
    if resource in _ACCESS:
        status: JsonObject = {"allowed": True}
    elif resource == "selfsubjectrulesreviews":
        status = {"resourceRules": [_EVERYTHING], "nonResourceRules": [_ANYWHERE], "incomplete": False}
    elif resource == "selfsubjectreviews":
        status = {"userInfo": {"username": caller(request.scope), "groups": ["system:masters", "system:authenticated"]}}
    elif resource == "tokenreviews" and node is not None:
        status = await _token(section(raw, "spec"), node)
        raw["spec"] = {}  # the token is not given back
    else:
        raise missing_kind()
    return json_response(raw | {"metadata": section(raw, "metadata") | {"creationTimestamp": None}, "status": status}, 201)


async def _token(spec: JsonObject, node: NodeBackend) -> JsonObject:
    wanted = spec.get("audiences") or [_OWN_AUDIENCE]
    try:
        holder = await node.holder(str(spec.get("token", "")))
        audiences = [each for each in holder.audiences if isinstance(wanted, list) and each in wanted]
        if not audiences:
            raise ValueError(f"invalid bearer token: it is for {', '.join(holder.audiences)}")
    except ValueError as error:
        return {"user": {}, "error": str(error)}
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{holder.namespace}", "system:authenticated"]
    user: JsonObject = {"username": f"system:serviceaccount:{holder.namespace}:{holder.account}", "groups": groups}
    if holder.pod:
        user["extra"] = {f"{_EXTRA}/pod-name": [holder.pod], f"{_EXTRA}/pod-uid": [holder.uid]}
    return {"authenticated": True, "user": user, "audiences": audiences}


async def _read(request: Request) -> JsonObject:
    body = await read_body(request)
    if content_type(request) == protobuf.MEDIA_TYPE:
        return protobuf.decode_protobuf(body)
    try:
        return msgspec.json.decode(body, type=JsonObject)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as problem:
        raise bad_request(f"the review cannot be read as JSON: {problem}") from problem
