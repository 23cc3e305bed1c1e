"""The ASGI application of the embedded Kubernetes API.

Why: one small dispatcher instead of a route per kind; the path says everything. Must not decide who may call: see `auth`.
"""

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from lateen.kube.errors import ApiError, error
from lateen.kube.paths import parse_path
from lateen.runtime import log
from lateen.serve.http_kube.answers import failure, json_response
from lateen.serve.http_kube.live import LiveStore
from lateen.serve.http_kube.resources import Resources
from lateen.serve.http_kube.watching import is_watch, serve_watch

__all__ = ["build_app"]

_HEALTH = ("/healthz", "/livez", "/readyz")
# kubectl's dispatcher picks its client by `minor`; 1.31's sends JSON where 1.32's sends protobuf, which is not read yet
VERSION = {
    "major": "1",
    "minor": "31",
    "gitVersion": "v1.32.0+lateen",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "",
    "compiler": "",
    "platform": "linux/amd64",
}


class _App:
    def __init__(self, live: LiveStore) -> None:
        self._live = live
        self._resources = Resources(live)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        try:
            response = await self._respond(request)
        except ApiError as refused:
            response = failure(refused)
        except Exception as broken:  # noqa: BLE001  a bug must answer 500 as Kubernetes does, not close the connection
            log.get("kube").error("request failed", path=scope["path"], exc_info=broken)
            response = failure(error(500, "InternalError", f"Internal error occurred: {type(broken).__name__}"))
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        path = request.url.path.rstrip("/")
        if path == "/version":
            return json_response(VERSION)
        if path.startswith(_HEALTH):
            return PlainTextResponse("ok")
        target = parse_path(path)
        if target is None:
            return PlainTextResponse("404 page not found\n", 404)
        if is_watch(request, target):
            return serve_watch(self._live, request, target)
        return await self._resources.handle(request, target)


def build_app(live: LiveStore) -> ASGIApp:
    """The application; wrap it with `auth.require_token` where strangers can reach it."""
    return _App(live)
