"""The ASGI application of the embedded Kubernetes API.

Why: one small dispatcher instead of a route per kind; the path says everything. Must not decide who may call: see `auth`.
"""

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from lateen.kube.defined import form_of
from lateen.kube.errors import ApiError, bad_request, error
from lateen.kube.paths import Target, parse_path
from lateen.runtime import log
from lateen.serve.http_kube.about import answer
from lateen.serve.http_kube.actions import Actions
from lateen.serve.http_kube.answers import failure, with_warnings
from lateen.serve.http_kube.live import LiveStore
from lateen.serve.http_kube.node import NodeBackend
from lateen.serve.http_kube.pods import Pods
from lateen.serve.http_kube.resources import Resources
from lateen.serve.http_kube.watching import is_watch, legacy_watch, serve_watch

__all__ = ["build_app"]


class _App:
    def __init__(self, live: LiveStore, node: NodeBackend | None) -> None:
        self._live = live
        self._node = node
        self._resources = Resources(live)
        self._pods = Pods(live, node)
        self._actions = Actions(live, node)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._pods.serve_websocket(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            response = await self._respond(request)
        except ApiError as refused:
            response = failure(refused)
        except RecursionError:
            response = failure(bad_request("the object is nested too deeply: no kind has hundreds of levels; make it flatter"))
        except Exception as broken:  # noqa: BLE001  a bug must answer 500 as Kubernetes does, not close the connection
            log.get("kube").error("request failed", path=scope["path"], exc_info=broken)
            response = failure(error(500, "InternalError", f"Internal error occurred: {type(broken).__name__}"))
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        if (response := await answer(request, self._live.kinds, self._node)) is not None:
            return response
        if (watched := legacy_watch(request.url.path, self._live.kinds)) is not None:
            return serve_watch(self._live, request, watched)
        target = parse_path(request.url.path, self._live.kinds)
        if target is None:
            return PlainTextResponse("404 page not found\n", 404)
        form = form_of(target.info, target.version)
        return with_warnings(await self._about(request, target), (form.warning,) if form and form.warning else ())

    async def _about(self, request: Request, target: Target) -> Response:
        if is_watch(request, target):
            return serve_watch(self._live, request, target)
        if self._actions.handles(target):
            return await self._actions.handle(request, target)
        if self._pods.handles(target):
            return await self._pods.handle(request, target)
        return await self._resources.handle(request, target)


def build_app(live: LiveStore, node: NodeBackend | None = None) -> ASGIApp:
    """The application; without a `node` pods have no logs and run no commands. `server.KubeServer` guards its doors."""
    return _App(live, node)
