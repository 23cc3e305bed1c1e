"""Reviews: may this be done, and who am I.

Why: kubectl auth, istioctl and controllers ask before they act. Everyone who was let in may do everything. Must not store anything.
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

__all__ = ["review"]

_EVERYTHING = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
_ANYWHERE = {"verbs": ["*"], "nonResourceURLs": ["*"]}
_ACCESS = ("selfsubjectaccessreviews", "subjectaccessreviews", "localsubjectaccessreviews")


async def review(request: Request, resource: str) -> Response:
    """Answer a review of that resource."""
    raw = await _read(request)
    if resource in _ACCESS:
        status: JsonObject = {"allowed": True}
    elif resource == "selfsubjectrulesreviews":
        status = {"resourceRules": [_EVERYTHING], "nonResourceRules": [_ANYWHERE], "incomplete": False}
    elif resource == "selfsubjectreviews":
        status = {"userInfo": {"username": caller(request.scope), "groups": ["system:masters", "system:authenticated"]}}
    else:
        raise missing_kind()
    return json_response(raw | {"metadata": section(raw, "metadata") | {"creationTimestamp": None}, "status": status}, 201)


async def _read(request: Request) -> JsonObject:
    body = await read_body(request)
    if content_type(request) == protobuf.MEDIA_TYPE:
        return protobuf.decode_protobuf(body)
    try:
        return msgspec.json.decode(body, type=JsonObject)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as problem:
        raise bad_request(f"the review cannot be read as JSON: {problem}") from problem
