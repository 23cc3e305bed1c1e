"""The gRPC doors of the control plane: 15010 in plaintext on loopback, 15012 with mutual TLS.

Messages are as large as a mesh's configuration, so the limits are istiod's; a connection is closed after half an hour so that proxies
spread over replicas. Must not know what is served.
"""

from collections.abc import Callable
from typing import Protocol

import grpc
from msgspec import Struct

from lateen.util.redact import Secret

__all__ = ["Door", "ServerIdentity", "Service", "open_plaintext_door", "open_secure_door"]

_OPTIONS = (
    ("grpc.max_receive_message_length", 4 << 20),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_concurrent_streams", 100_000),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.max_connection_age_ms", 30 * 60_000),
    ("grpc.max_connection_age_grace_ms", 10_000),
    ("grpc.so_reuseport", 0),
)


class ServerIdentity(Struct, frozen=True):
    """The control plane's own certificate: chain (leaf first), its key, and the roots that clients must chain to; all PEM."""

    key: Secret
    chain: bytes
    roots: bytes


class Service(Protocol):
    """Something that is served: it adds its methods to a server."""

    def register(self, server: grpc.aio.Server, /) -> None: ...


class Door:
    """A listening gRPC server."""

    def __init__(self, server: grpc.aio.Server) -> None:
        self._server = server

    def serve(self, service: Service) -> "Door":
        """Serve `service` here; before `start`."""
        service.register(self._server)
        return self

    async def start(self) -> None:
        """Accept connections."""
        await self._server.start()

    async def stop(self, grace: float) -> None:
        """End after `grace` seconds at most."""
        await self._server.stop(grace)


def open_plaintext_door(address: str) -> Door:
    """A server for tests and debugging at `address` (loopback), not started."""
    server = grpc.aio.server(options=_OPTIONS)
    _bind(server, address, None)
    return Door(server)


def open_secure_door(address: str, identity: Callable[[], ServerIdentity]) -> Door:
    """A server with mutual TLS at `address`, not started; `identity` is asked again for every handshake, so it may rotate."""
    last = identity()

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        nonlocal last
        now = identity()
        if now == last:
            return None
        last = now
        return _configuration(now)

    credentials = grpc.dynamic_ssl_server_credentials(_configuration(last), fetch, require_client_authentication=True)  # type: ignore[arg-type]  # None means unchanged
    server = grpc.aio.server(options=_OPTIONS)
    _bind(server, address, credentials)
    return Door(server)


def _configuration(identity: ServerIdentity) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(identity.key.reveal(), identity.chain)], root_certificates=identity.roots)


def _bind(server: grpc.aio.Server, address: str, credentials: grpc.ServerCredentials | None) -> None:
    try:
        bound = server.add_insecure_port(address) if credentials is None else server.add_secure_port(address, credentials)
    except RuntimeError:
        bound = 0
    if not bound:
        raise OSError(f"{address}: cannot be listened on; another process has it: stop that one or choose another address")
