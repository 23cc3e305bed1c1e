"""A workload's own certificates, and those of its files, for its Envoy: SDS over a Unix socket that belongs to one pod.

Why a server for each pod: the socket decides whose key is given, so it lies in a folder that only the pod's proxy user enters, and there is
nothing a client could ask for somebody else's. One costs a file descriptor and a few kilobytes. A new certificate goes to all open
streams; connections of Envoy stay as they are and new ones use it. Must not make certificates.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import grpc
from envoy.service.discovery.v3 import discovery_pb2 as pb

from lateen.ads.messages import SDS, Push
from lateen.ads.stream import Stream
from lateen.model.frame import Frame, Snapshot
from lateen.model.secretplan import SecretPlan
from lateen.runtime import log, tasks
from lateen.serve.grpc_ads import decode_request, encode_delta, encode_sotw, queue, write
from lateen.xds.filesecret import build_file_secret
from lateen.xds.pack import pack
from lateen.xds.secret import build_secret

__all__ = ["SdsServer"]

_SERVICE = "envoy.service.secret.v3.SecretDiscoveryService"
_LONGEST_PATH = 107  # bytes of a Unix socket's address
_SYSTEM_ROOTS = tuple(
    Path(path)
    for path in ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem")
)
_log = log.get("sds")

Context = Any  # grpc.aio.ServicerContext is generic in its stubs only
Message = Any  # DeltaDiscoveryRequest or DiscoveryRequest: xds-protos has no types


class SdsServer:
    """Serves `secrets` at `path` to `user` (uid, gid) alone, and to root. In the path's folder none but the caller may write."""

    def __init__(self, path: Path, user: tuple[int, int], secrets: Iterable[SecretPlan]) -> None:
        if len(os.fsencode(path)) > _LONGEST_PATH:
            raise ValueError(f"{path}: too long for a Unix socket ({_LONGEST_PATH} bytes at most); choose a shorter data or run folder")
        self._path = path
        self._user = user
        self._own = _frames(secrets)
        self._files: dict[str, Frame] = {}
        self._sessions: dict[Stream, asyncio.Queue[Push]] = {}
        self._server: grpc.aio.Server | None = None

    async def start(self) -> None:
        """Open the door."""
        self._path.unlink(missing_ok=True)
        server = grpc.aio.server()
        methods: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "StreamSecrets": grpc.stream_stream_rpc_method_handler(self._sotw, request_deserializer=pb.DiscoveryRequest.FromString),
            "DeltaSecrets": grpc.stream_stream_rpc_method_handler(self._delta, request_deserializer=pb.DeltaDiscoveryRequest.FromString),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, methods),))
        if not server.add_insecure_port(f"unix:{self._path}"):
            raise OSError(f"{self._path}: cannot be listened on")
        self._path.chmod(0o600)
        if os.geteuid() == 0:  # elsewhere agent and Envoy are one user
            os.chown(self._path, *self._user, follow_symlinks=False)
        await server.start()
        self._server = server

    async def stop(self) -> None:
        """Close the door and remove the socket."""
        if self._server is not None:
            await self._server.stop(grace=0)
            self._server = None
        self._path.unlink(missing_ok=True)

    def update(self, secrets: Iterable[SecretPlan]) -> None:
        """Give these out from now on, to open streams at once."""
        self._own = _frames(secrets)
        self._tell()

    def _tell(self) -> None:
        for stream, outbox in self._sessions.items():
            queue(outbox, stream.on_snapshot(self._snapshot()))

    def _snapshot(self) -> Snapshot:
        return {SDS: {**self._files, **self._own}}

    async def _delta(self, requests: AsyncIterator[pb.DeltaDiscoveryRequest], context: Context) -> None:
        await self._serve(requests, context, sotw=False)

    async def _sotw(self, requests: AsyncIterator[pb.DiscoveryRequest], context: Context) -> None:
        await self._serve(requests, context, sotw=True)

    async def _serve(self, requests: AsyncIterator[Message], context: Context, *, sotw: bool) -> None:
        stream = Stream(self._snapshot(), sotw=sotw)
        outbox: asyncio.Queue[Push] = asyncio.Queue()
        self._sessions[stream] = outbox
        writer = tasks.spawn(write(outbox, context, encode_sotw if sotw else encode_delta), name=f"sds write {self._path}")
        try:
            async for message in requests:
                request = decode_request(message)
                if request.type_url != SDS:
                    continue
                self._find_files(request.subscribe)
                queue(outbox, stream.on_request(request))
                if request.error is not None:
                    _log.warning("Envoy refused a certificate", socket=str(self._path), reason=request.error)
                    if any(frame.name in self._files for frame in stream.nacks[SDS].frames):  # the file may come: Envoy asks again
                        await context.abort(grpc.StatusCode.UNAVAILABLE, "a file is missing or not what it should be")
        finally:
            del self._sessions[stream]
            await tasks.cancel_all(writer)

    def _find_files(self, names: Iterable[str]) -> None:
        """Have the secrets of files among `names`."""
        for name in names:
            if name not in self._files and (secret := build_file_secret(name, _system_roots())) is not None:
                self._files[name] = pack(name, SDS, secret)
                self._tell()


def _frames(secrets: Iterable[SecretPlan]) -> dict[str, Frame]:
    return {plan.name: pack(plan.name, SDS, build_secret(plan), plan.owners) for plan in secrets}


def _system_roots() -> str:
    """The machine's CA bundle, where its distribution keeps it; pods see the same file."""
    return str(next((path for path in _SYSTEM_ROOTS if path.exists()), _SYSTEM_ROOTS[0]))
