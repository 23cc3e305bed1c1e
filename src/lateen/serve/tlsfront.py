"""TLS in front of a gRPC server: a client's certificate is asked for but not demanded, and looked up in the lists of what was revoked.

Why: gRPC for Python demands a certificate or asks for none, and knows no such lists; a workload's first certificate is asked for with a
token. Each connection goes on to the server over a Unix socket of its own name, by which `peer` tells what it proved. The names are
abstract and nobody's to guess: no file is left. Must not decide who may do what.
"""

import asyncio
import contextlib
import os
import re
import secrets
import socket
import ssl
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Protocol

from cryptography import x509
from msgspec import Struct

from lateen.runtime import log, tasks
from lateen.serve.listening import listen
from lateen.util.redact import Secret

__all__ = ["Front", "Identities", "Peer", "ServerIdentity"]

_HANDSHAKE = 10.0  # seconds
_GOODBYE = 1.0  # seconds for the last bytes to be taken
_SILENCE = 30_000  # milliseconds that a client may leave bytes unacknowledged
_CHUNK = 256 << 10
_BACKLOG = 1024
_ONE_LIST = re.compile(rb"-----BEGIN X509 CRL-----.+?-----END X509 CRL-----", re.DOTALL)
_log = log.get("door")


class ServerIdentity(Struct, frozen=True):
    """The control plane's own: key, chain (leaf first), the roots that clients must chain to, what those revoked; all PEM."""

    key: Secret
    chain: bytes
    roots: bytes
    revoked: bytes = b""


class Identities(Protocol):
    """Gives the certificate to use now, and says when roots or lists have changed."""

    def __call__(self) -> ServerIdentity: ...
    def watch(self, changed: Callable[[], None], /) -> Callable[[], None]: ...


class Peer(Struct, frozen=True):
    """What a connection proved: the URIs of its certificate; none where it showed no certificate. `address` is where it comes from."""

    names: tuple[str, ...] = ()
    address: str = ""


class _Connection:
    def __init__(self, certificate: x509.Certificate | None, client: asyncio.StreamWriter) -> None:
        self.certificate = certificate
        self.client = client
        self.peer = Peer(_uris(certificate) if certificate is not None else (), str((client.get_extra_info("peername") or ("",))[0]))


class Front:
    """Listens at `address` (host:port) once started; the server is to listen at `inner`."""

    def __init__(self, address: str, identities: Identities) -> None:
        self._address = address
        self._identities = identities
        self._name = f"lateen-{secrets.token_hex(16)}"
        self.inner = f"unix-abstract:{self._name}"
        self._count = 0
        self._open: dict[str, _Connection] = {}
        self._serving: set[asyncio.Task[None]] = set()
        self._used: tuple[ServerIdentity, ssl.SSLContext] | None = None
        self._revoked = b""
        self._unwatch: Callable[[], None] = lambda: None

    def peer(self, address: str) -> Peer | None:
        """Who calls from `address`, as gRPC says it; None where it is not a connection that came through here."""
        found = self._open.get(address)
        return found.peer if found is not None else None

    async def start(self) -> None:
        """Accept connections; OSError when the address is taken."""
        self._context()
        listener = listen(self._address, backlog=_BACKLOG)
        self._unwatch = self._identities.watch(self._changed)
        self._spawn(self._accept(listener), f"door {self._address}")

    async def stop(self) -> None:
        """End every connection."""
        self._unwatch()
        await tasks.cancel_all(*self._serving)
        await asyncio.sleep(0)  # transports close their sockets in the loop's next turn

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = tasks.spawn(work, name=name)
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with listener:
            while True:
                try:
                    accepted, _ = await loop.sock_accept(listener)
                except OSError as error:  # no file descriptors left: those that wait stay in line
                    _log.error("connection not accepted", address=self._address, reason=str(error))
                    await asyncio.sleep(0.1)
                    continue
                self._spawn(self._serve(accepted), f"connection of {self._address}")

    async def _serve(self, accepted: socket.socket) -> None:
        try:
            reader, writer = await _streams(accepted, self._context())
        except OSError as error:
            accepted.close()
            _log.debug("handshake failed", address=self._address, reason=str(error) or type(error).__name__)
            return
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        self._count += 1
        name = f"{self._name}-{self._count}"
        self._open[f"unix-abstract:{name}"] = _Connection(x509.load_der_x509_certificate(shown) if shown else None, writer)
        try:
            await self._relay(name, reader, writer)
            async with asyncio.timeout(_GOODBYE):
                writer.close()
                await writer.wait_closed()
        except OSError:
            pass  # the client went away
        finally:
            del self._open[f"unix-abstract:{name}"]
            writer.transport.abort()

    async def _relay(self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner = socket.socket(socket.AF_UNIX)
        inner.setblocking(False)
        inner.bind(f"\0{name}")
        await asyncio.get_running_loop().sock_connect(inner, f"\0{self._name}")
        back, forth = await asyncio.open_unix_connection(sock=inner, limit=_CHUNK)
        pumps = [tasks.spawn(_pump(reader, forth), name="to the server"), tasks.spawn(_pump(back, writer), name="to the client")]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            forth.transport.abort()
            await tasks.cancel_all(*pumps)

    def _context(self) -> ssl.SSLContext:
        """The settings of a handshake now."""
        now = self._identities()
        if self._used is None or self._used[0] != now:
            self._used = now, _settings(now)
        return self._used[1]

    def _changed(self) -> None:
        """End the connections of whom the lists name since; new ones are looked up in their handshake."""
        revoked = self._identities().revoked
        if revoked == self._revoked:
            return
        self._revoked = revoked
        lists = [x509.load_pem_x509_crl(one) for one in _ONE_LIST.findall(revoked)]
        for one in tuple(self._open.values()):
            if one.certificate is not None and _named(one.certificate, lists):
                _log.warning("connection ended: its certificate was revoked", names=one.peer.names)
                one.client.transport.abort()


async def _streams(accepted: socket.socket, context: ssl.SSLContext) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    loop = asyncio.get_running_loop()
    accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _SILENCE)
    reader = asyncio.StreamReader(limit=_CHUNK)
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await loop.connect_accepted_socket(lambda: protocol, accepted, ssl=context, ssl_handshake_timeout=_HANDSHAKE)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await source.read(_CHUNK):
            sink.write(chunk)
            await sink.drain()


def _settings(identity: ServerIdentity) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2"])
    with _in_memory(identity.key.reveal() + identity.chain) as path:
        context.load_cert_chain(path)
    with _in_memory(identity.roots + identity.revoked) as path:
        context.load_verify_locations(path)
    if identity.revoked:
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


@contextlib.contextmanager
def _in_memory(content: bytes) -> Iterator[str]:
    """A file that only this process has: the ssl module reads keys and lists from files alone."""
    descriptor = os.memfd_create("tls", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _uris(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return tuple(names.get_values_for_type(x509.UniformResourceIdentifier))
    except (x509.ExtensionNotFound, ValueError):
        return ()


def _named(certificate: x509.Certificate, lists: list[x509.CertificateRevocationList]) -> bool:
    return any(
        one.issuer == certificate.issuer and one.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None
        for one in lists
    )
