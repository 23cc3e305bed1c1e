"""The agent of a gRPC program without a proxy: its bootstrap, its certificates as files, a Unix socket that leads to the control plane.

The program speaks in the clear to the socket; from there on its certificate proves who it is, as a sidecar's does. Must not look into
what is said.
"""

import asyncio
import os
import socket
import ssl

from lateen.agent import folder
from lateen.agent.certs import Certificates, Secrets
from lateen.agent.plan import AgentPlan, bootstrap_plan
from lateen.agent.protocols import CertificateSource
from lateen.runtime import log, tasks
from lateen.runtime.clock import Clock
from lateen.runtime.streams import StreamServer
from lateen.xds.bootstrapclusters import Tcp
from lateen.xds.grpcbootstrap import CertificateFiles, build_grpc_bootstrap

__all__ = ["ProxylessAgent", "write_plaintext_bootstrap"]

_LONGEST_REFRESH = 900
_SECONDS = 10.0
_CHUNK = 1 << 16
_log = log.get("agent")


def write_plaintext_bootstrap(plan: AgentPlan, server: str) -> None:
    """The bootstrap alone, of a program that speaks to `server` (host:port) in the clear and has no certificates."""
    _write_bootstrap(plan, build_grpc_bootstrap(bootstrap_plan(plan), server, None))


def _write_bootstrap(plan: AgentPlan, content: bytes) -> None:
    plan.grpc_bootstrap.parent.mkdir(parents=True, exist_ok=True)
    folder.write(plan.grpc_bootstrap, content, plan.user)


class ProxylessAgent:
    """`start` returns when the program can start; then `run` keeps its certificates new."""

    def __init__(self, plan: AgentPlan, source: CertificateSource, clock: Clock) -> None:
        if not isinstance(plan.xds, Tcp) or not plan.xds.server_name:
            raise ValueError("a control plane at an address, with a name, is needed")
        self._plan = plan
        self._server = plan.xds
        self._certificates = Certificates(plan.identity, source, plan.certificate_ttl, clock, lambda _reason: None)
        own = plan.directory
        self._chain, self._key, self._root, self._socket = own / "cert-chain.pem", own / "key.pem", own / "root-cert.pem", own / "XDS"
        self._relay: StreamServer | None = None

    async def start(self) -> None:
        """Certificates, socket, bootstrap; in this order. OSError says what stands in the way."""
        plan = self._plan
        folder.prepare(plan.directory, plan.user)
        self._give(await self._certificates.obtain())
        self._relay = StreamServer(self._listen(), self._carry, name="xds of a gRPC program")
        self._relay.start()
        refresh = max(1, min(_LONGEST_REFRESH, int(plan.certificate_ttl) // 4))
        files = CertificateFiles(chain=str(self._chain), key=str(self._key), root=str(self._root), refresh=refresh)
        _write_bootstrap(plan, build_grpc_bootstrap(bootstrap_plan(plan), f"unix://{self._socket}", files))

    async def run(self) -> None:
        """For ever."""
        await self._certificates.renew(self._give)

    async def stop(self) -> None:
        """Nothing of this agent is left."""
        if self._relay is not None:
            await self._relay.stop()
        for path in (self._plan.grpc_bootstrap, self._socket, self._chain, self._key, self._root):
            path.unlink(missing_ok=True)

    def _give(self, secrets: Secrets) -> None:
        own, root = secrets
        for path, data in (
            (self._root, root.root),
            (self._key, own.key.reveal() if own.key is not None else b""),
            (self._chain, own.chain),
        ):
            folder.write(path, data, self._plan.user)

    def _listen(self) -> socket.socket:
        self._socket.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        try:
            listener.bind(str(self._socket))
            self._socket.chmod(0o600)
            if os.geteuid() == 0:
                os.chown(self._socket, *self._plan.user)
            listener.listen()
        except BaseException:
            listener.close()
            raise
        return listener

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server = self._server
        try:
            async with asyncio.timeout(_SECONDS):
                far_reader, far_writer = await asyncio.open_connection(
                    server.host, server.port, ssl=self._context(), server_hostname=server.server_name
                )
        except OSError as error:  # a timeout is one too
            _log.warning("the control plane is not reached", address=f"{server.host}:{server.port}", reason=str(error) or "no answer")
            return
        ways = (tasks.spawn(_copy(reader, far_writer), name="xds up"), tasks.spawn(_copy(far_reader, writer), name="xds down"))
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await tasks.cancel_all(*ways)
            far_writer.close()

    def _context(self) -> ssl.SSLContext:
        """Read anew for each connection: certificates are renewed."""
        context = ssl.create_default_context(cafile=self._root)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self._chain, self._key)
        context.set_alpn_protocols(["h2"])
        return context


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until either side ends."""
    try:
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    except OSError:
        return
