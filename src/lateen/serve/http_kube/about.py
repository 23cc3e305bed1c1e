"""What the server says of itself: version, health, discovery and OpenAPI.

Must not touch objects.
"""

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import unquote

import msgspec
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from lateen.kube import discovery, openapi
from lateen.kube.defined import Kinds
from lateen.kube.errors import error
from lateen.kube.records import JsonObject
from lateen.serve.http_kube import openapi_v2
from lateen.serve.http_kube.answers import json_response
from lateen.serve.http_kube.node import NodeBackend
from lateen.serve.http_kube.reviews import review

__all__ = ["answer"]

_HEALTH = ("/healthz", "/livez", "/readyz")
_AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_VERSION = {
    "major": "1",
    "minor": "32",
    "gitVersion": "v1.32.0+lateen",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "",
    "compiler": "",
    "platform": "linux/amd64",
}


async def answer(request: Request, kinds: Kinds, node: NodeBackend | None) -> Response | None:
    """The answer to a request about the server; None when the path is about objects."""
    path = request.url.path.rstrip("/")
    if path in _HEALTH or path.startswith(tuple(f"{probe}/" for probe in _HEALTH)):
        return PlainTextResponse("ok")
    if path == "/version":
        return json_response(_VERSION)
    if path in ("", "/api", "/apis"):
        return _root(request, path, kinds)
    if path == "/openapi/v2":
        return _swagger(request, kinds)
    if path == "/openapi/v3" or path.startswith("/openapi/v3/"):
        return _openapi(request, path, kinds)
    parts = path.strip("/").split("/")
    if parts[0] == "apis" and len(parts) == 2:
        return _found(discovery.legacy_group(parts[1], kinds))
    if (parts[0] == "apis" and len(parts) == 3) or (parts[0] == "api" and len(parts) == 2):
        return _found(discovery.legacy_resources(parts[1] if len(parts) == 3 else "", parts[-1], kinds))
    if request.method == "POST" and len(parts) == 4 and parts[1] in ("authorization.k8s.io", "authentication.k8s.io"):
        return await review(request, parts[3], node)
    return None


def _found(body: JsonObject | None) -> Response:
    return json_response(body) if body is not None else PlainTextResponse("404 page not found\n", 404)


def _root(request: Request, path: str, kinds: Kinds) -> Response:
    if not path:
        names = [f"/apis/{g}/{v}" if g else f"/api/{v}" for g, versions in discovery.group_versions(kinds).items() for v in versions]
        return json_response(
            {"paths": ["/api", *names, "/apis", "/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"]}
        )
    for wanted in request.headers.get("accept", "*/*").replace(" ", "").split(","):
        if "as=APIGroupDiscoveryList" in wanted and "v=v2;" in f"{wanted};":
            return _tagged(request, *_aggregated(kinds, path == "/api"), {"Content-Type": _AGGREGATED, "Vary": "Accept"})
        if wanted.partition(";")[0] in ("application/json", "application/*", "*/*") and "as=" not in wanted:
            server = request.headers.get("host", "")
            return json_response(discovery.legacy_versions(server) if path == "/api" else discovery.legacy_groups(kinds))
    raise error(406, "NotAcceptable", "only the following media types are accepted: application/json")


@lru_cache(maxsize=8)
def _aggregated(kinds: Kinds, core: bool) -> tuple[bytes, str]:  # noqa: FBT001
    body = msgspec.json.encode(discovery.aggregated(kinds, core=core))
    return body, hashlib.sha256(body).hexdigest().upper()


def _tagged(request: Request, body: bytes, tag: str, headers: Mapping[str, str]) -> Response:
    common = {"ETag": f'"{tag}"', "Cache-Control": "public", **headers}
    if f'"{tag}"' in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=common)
    return Response(body, headers=common)


@lru_cache(maxsize=64)
def _document(kinds: Kinds, name: str) -> tuple[bytes, str] | None:
    content = openapi.document(name, kinds)
    if content is None:
        return None
    body = msgspec.json.encode(content)
    return body, hashlib.sha512(body).hexdigest().upper()


def _swagger(request: Request, kinds: Kinds) -> Response:
    if "protobuf" in request.headers.get("accept", ""):
        body, media = openapi_v2.swagger_protobuf(kinds), openapi_v2.MEDIA_TYPE
    else:
        body, media = msgspec.json.encode(openapi.swagger(kinds)), "application/json"
    return _tagged(request, body, hashlib.sha512(body).hexdigest().upper(), {"Content-Type": media, "Vary": "Accept"})


def _openapi(request: Request, path: str, kinds: Kinds) -> Response:
    name = unquote(path.removeprefix("/openapi/v3").strip("/"))
    if not name:
        index = {}
        for each in openapi.document_names(kinds):
            found = _document(kinds, each)
            index[each] = {"serverRelativeURL": f"/openapi/v3/{each}?hash={found[1] if found else ''}"}
        return json_response({"paths": index})
    found = _document(kinds, name)
    if found is None:
        return PlainTextResponse("404 page not found\n", 404)
    body, tag = found
    if (wanted := request.query_params.get("hash")) is not None and wanted != tag:
        return RedirectResponse(f"/openapi/v3/{name}?hash={tag}", 301)
    return _tagged(request, body, tag, {"Content-Type": "application/json", "Cache-Control": "public, immutable"})
