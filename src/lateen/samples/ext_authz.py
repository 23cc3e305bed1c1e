"""The ext-authz sample: an authorizer over HTTP (port 8000) and gRPC (port 9000) that lets in what says `x-ext-authz: allow`.

Over gRPC a caller whose certificate is of the service account given with `-allow_service_account` (default `a`) is let in as well.
Must not decide by anything else: it shows how a service is asked.
"""

import argparse
import asyncio
import re
from collections.abc import Awaitable, Callable

import grpc
from envoy.config.core.v3 import base_pb2
from envoy.service.auth.v3 import external_auth_pb2, external_auth_pb2_grpc

from lateen.samples.http1 import Headers, Request, Response
from lateen.samples.web import Server, listen, print_line, run_until_stopped

__all__ = ["Authorizer", "check_http"]

_HEADER = "x-ext-authz"
_RESULT, _RECEIVED, _OVERRIDE = "x-ext-authz-check-result", "x-ext-authz-check-received", "x-ext-authz-additional-header-override"
_DENIED = "denied by ext_authz for not found header `x-ext-authz: allow` in the request"
_FORBIDDEN = 403
_PERMISSION_DENIED = 7


async def check_http(request: Request) -> Response:
    """Answer a check over HTTP: 200, or 403 with the reason."""
    allowed = request.headers.get(_HEADER) == "allow"
    told = (
        (_RESULT, "allowed" if allowed else "denied"),
        (_RECEIVED, f"{request.method} {request.headers.get('host')}{request.target}"),
        (_OVERRIDE, request.headers.get(_OVERRIDE)),
    )
    return Response(200 if allowed else _FORBIDDEN, b"" if allowed else _DENIED.encode(), Headers(told))


class Authorizer(external_auth_pb2_grpc.AuthorizationServicer):  # type: ignore[misc]  # generated code has no types
    """Answers checks over gRPC."""

    def __init__(self, account: str) -> None:
        self._account = account

    async def Check(self, request: external_auth_pb2.CheckRequest, _context: object) -> external_auth_pb2.CheckResponse:  # noqa: N802 - gRPC's
        """Let in by the header, or by the caller's service account."""
        attributes = request.attributes
        owner = re.fullmatch(r"spiffe://.+/ns/[^/]+/sa/([^/]+)", attributes.source.principal)
        account = owner[1] if owner else ""
        allowed = attributes.request.http.headers.get(_HEADER) == "allow" or account == self._account
        print_line(
            f"Check {attributes.source.principal or '-'} {attributes.request.http.path or '-'}: {'allowed' if allowed else 'denied'}"
        )
        answer = external_auth_pb2.CheckResponse()
        told = answer.ok_response.headers if allowed else answer.denied_response.headers
        told.add(header=base_pb2.HeaderValue(key=_RESULT, value="allowed" if allowed else "denied"))
        if not allowed:
            answer.status.code = _PERMISSION_DENIED
            answer.denied_response.status.code = _FORBIDDEN
            answer.denied_response.body = _DENIED
        return answer


async def _serve(http: int, rpc: int, account: str) -> None:
    async def start() -> Callable[[], Awaitable[None]]:
        web = Server(check_http, log=print_line)
        await web.start(listen(http))
        server = grpc.aio.server()
        external_auth_pb2_grpc.add_AuthorizationServicer_to_server(Authorizer(account), server)
        if not server.add_insecure_port(f"[::]:{rpc}"):
            raise SystemExit(f"ext_authz cannot listen on port {rpc}")
        await server.start()
        print_line(f"ext_authz listening on ports {http} (HTTP) and {rpc} (gRPC)")

        async def stop() -> None:
            await server.stop(grace=0)
            await web.stop()

        return stop

    await run_until_stopped(start)


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m lateen.samples.ext_authz")
    parser.add_argument("-http", "--http", type=int, default=8000)
    parser.add_argument("-grpc", "--grpc", type=int, default=9000)
    parser.add_argument("-allow_service_account", "--allow_service_account", default="a")
    options = parser.parse_args()
    asyncio.run(_serve(options.http, options.grpc, options.allow_service_account))


if __name__ == "__main__":
    _main()
