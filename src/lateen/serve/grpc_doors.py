"""The gRPC doors of the control plane: 15010 in plaintext on loopback, 15012 with TLS for clients with a certificate or a token.

Messages are as large as a mesh's configuration, so the limits are istiod's; a connection is closed after half an hour so that proxies
spread over replicas. Must not know what is served.
"""

from typing import Protocol

import grpc

from lateen.serve.tlsfront import Front, Identities, Peer

__all__ = ["Door", "Service", "open_plaintext_door", "open_secure_door"]

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


class Service(Protocol):
    """Something that is served: it adds its methods to a server."""

    def register(self, server: grpc.aio.Server, /) -> None: ...


class Door:
    """A listening gRPC server."""

    def __init__(self, server: grpc.aio.Server, front: Front | None = None) -> None:
        self._server = server
        self._front = front

    def peer(self, address: str) -> Peer | None:
        """What the connection that gRPC calls `address` proved; None in plaintext."""
        return self._front.peer(address) if self._front is not None else None

    def serve(self, service: Service) -> "Door":
        """Serve `service` here; before `start`."""
        service.register(self._server)
        return self

    async def start(self) -> None:
        """Accept connections; OSError when the address is taken."""
        await self._server.start()
        if self._front is not None:
            await self._front.start()

    async def stop(self, grace: float) -> None:
        """End after `grace` seconds at most."""
        await self._server.stop(grace)
        if self._front is not None:
            await self._front.stop()


def open_plaintext_door(address: str) -> Door:
    """A server for tests and debugging at `address` (loopback), not started."""
    server = grpc.aio.server(options=_OPTIONS)
    _bind(server, address)
    return Door(server)


def open_secure_door(address: str, identities: Identities) -> Door:
    """A server with TLS at `address`, not started; `identities` is asked again for every handshake, so it may rotate."""
    front = Front(address, identities)
    server = grpc.aio.server(options=_OPTIONS)
    _bind(server, front.inner)
    return Door(server, front)


def _bind(server: grpc.aio.Server, address: str) -> None:
    try:
        bound = server.add_insecure_port(address)
    except RuntimeError:
        bound = 0
    if not bound:
        raise OSError(f"{address}: cannot be listened on; another process has it: stop that one or choose another address")
