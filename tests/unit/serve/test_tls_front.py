"""The secure door: certificates are asked for but not demanded, lists of revoked ones are respected, from the moment they change."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from lateen.ca.csr import new_request
from lateen.ca.signer import SelfSignedRoot, Signer
from lateen.ca.spiffe import Identity
from lateen.runtime.clock import SystemClock
from lateen.serve.grpc_doors import Door, open_secure_door
from lateen.server.rootca import ControlPlaneIdentity
from lateen.testing.mesh import free_port

CLOCK = SystemClock()
THIEF, OWNER = Identity("cluster.local", "default", "thief"), Identity("cluster.local", "default", "owner")


class Who:
    """Answers who the caller is; `stay` leaves the stream open."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def register(self, server: grpc.aio.Server) -> None:
        stay: grpc.RpcMethodHandler[Any, Any] = grpc.unary_stream_rpc_method_handler(self._stay)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Who", {"stay": stay}),))

    async def _stay(self, _: bytes, context: Any) -> AsyncIterator[bytes]:
        peer = self._door.peer(context.peer())
        yield ",".join(peer.names).encode() if peer is not None else b"did not come through the door"
        await asyncio.Event().wait()


class Yard:
    """A door of a mesh, and its authority."""

    def __init__(self) -> None:
        self.root = SelfSignedRoot.create("cluster.local", CLOCK.now())
        self.signer = Signer(self.root)
        self.address = f"localhost:{free_port()}"
        identities = ControlPlaneIdentity(self.signer, Identity("cluster.local", "istio-system", "istiod"), CLOCK)
        self.door = open_secure_door(self.address, identities)
        self.door.serve(Who(self.door))

    def certificate(self, holder: Identity) -> tuple[bytes, bytes]:
        """Key and chain."""
        key, csr = new_request(holder)
        return key.reveal(), self.signer.sign(csr, holder, 0, CLOCK.now())[0]

    def revoke(self, *chains: bytes) -> None:
        """Put a list in force that names the leaves of these chains."""
        now = datetime.fromtimestamp(CLOCK.now(), UTC)
        builder = x509.CertificateRevocationListBuilder(self.root.certificate.subject, now, now + timedelta(days=1))
        for chain in chains:
            serial = x509.load_pem_x509_certificate(chain).serial_number
            builder = builder.add_revoked_certificate(x509.RevokedCertificateBuilder(serial, now).build())
        pem = builder.sign(self.root.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        self.signer.use(msgspec.structs.replace(self.root.issuer, revoked_pem=pem))
        self.signer.revoke(CLOCK.now())

    @asynccontextmanager
    async def call(self, *proof: bytes) -> AsyncIterator[Any]:
        """An open call with this certificate."""
        async with grpc.aio.secure_channel(self.address, grpc.ssl_channel_credentials(self.root.certificate_pem, *proof)) as channel:
            stay: Any = channel.unary_stream("/test.Who/stay")
            yield stay(b"", timeout=10)


@asynccontextmanager
async def yard() -> AsyncIterator[Yard]:
    made = Yard()
    await made.door.start()
    try:
        async with asyncio.timeout(30):
            yield made
    finally:
        await made.door.stop(0)


async def code(call: Any) -> grpc.StatusCode:
    """How it ends."""
    try:
        while await call.read() is not grpc.aio.EOF:
            pass
    except grpc.aio.AioRpcError as error:
        return error.code()
    found: grpc.StatusCode = await call.code()
    return found


def test_a_client_is_who_its_certificate_says_or_nobody() -> None:
    """With a certificate of the mesh its URI is known; without one the client is let in as nobody; each call by its own connection."""

    async def run() -> None:
        async with yard() as made, made.call(*made.certificate(OWNER)) as own, made.call() as nobody:
            assert await own.read() == OWNER.uri.encode()
            assert await nobody.read() == b""

    asyncio.run(run())


def test_a_revoked_certificate_ends_what_is_open_and_opens_nothing() -> None:
    """A list that names the thief ends his connection at once and lets him open none; the owner's stays. Another list lets him in."""

    async def run() -> None:
        async with yard() as made:
            thief, owner = made.certificate(THIEF), made.certificate(OWNER)
            async with made.call(*thief) as stolen, made.call(*owner) as own:
                assert await stolen.read() == THIEF.uri.encode()
                assert await own.read() == OWNER.uri.encode()
                made.revoke(thief[1])
                assert await code(stolen) == grpc.StatusCode.UNAVAILABLE
                assert not own.done()
            async with made.call(*thief) as again, made.call(*owner) as own:
                assert await code(again) == grpc.StatusCode.UNAVAILABLE
                assert await own.read() == OWNER.uri.encode()
            made.revoke()
            async with made.call(*thief) as again:
                assert await again.read() == THIEF.uri.encode()

    asyncio.run(run())


def test_an_address_that_is_taken_is_told() -> None:
    """The sentence names the address and what to do."""

    async def run() -> None:
        async with yard() as made:
            second = open_secure_door(made.address, ControlPlaneIdentity(made.signer, OWNER, CLOCK))
            with pytest.raises(OSError, match=f"{made.address}: cannot be listened on"):
                await second.start()
            await second.stop(0)

    asyncio.run(run())
