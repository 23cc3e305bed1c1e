"""How often certificates may be asked for; at the real door too."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc

from lateen.ca.csr import new_request
from lateen.ca.signer import SelfSignedRoot, Signer
from lateen.ca.spiffe import Identity
from lateen.runtime.clock import SystemClock
from lateen.serve.callers import Caller, Callers
from lateen.serve.certificatelimits import CertificateLimits
from lateen.serve.grpc_ca import SERVICE, CertificateService, message_types
from lateen.serve.grpc_doors import open_secure_door
from lateen.serve.ratelimits import CallerLimits
from lateen.server.rootca import ControlPlaneIdentity
from lateen.testing.mesh import free_port

CLOCK = SystemClock()
SIGNER = Signer(SelfSignedRoot.create("cluster.local", CLOCK.now()))
REVIEWS, ADMIN = (Identity("cluster.local", "default", name) for name in ("reviews", "admin"))
Request, Response = message_types()


def test_after_a_burst_so_many_per_second_for_each_caller() -> None:
    """Two at once, then one a second; the others are not touched, and a caller of long ago is forgotten, not remembered as spent."""
    limits = CallerLimits(1, 2, "certificates")
    assert [limits.take("a", 10.0) == "" for _ in range(3)] == [True, True, False]
    assert limits.take("a", 10.5) == "request rate limit exceeded: a asked for more than 1 certificates per second; try again later"
    assert (limits.take("b", 10.5), limits.take("a", 11.1)) == ("", "")
    for other in range(10_000):
        limits.take(str(other), 12.0)
    assert [limits.take("a", 12.0) == "" for _ in range(3)] == [True, True, False]


def test_a_pod_takes_nothing_from_others_of_its_account() -> None:
    """By a token that is bound to a pod; and all pods of an account have a limit together."""
    limits = CertificateLimits(account=(1, 3), pod=(1, 1))
    first, second = Caller(REVIEWS, "reviews-0"), Caller(REVIEWS, "reviews-1")
    assert limits.caller(first, 0) == ""
    assert "default/reviews in pod reviews-0 asked" in limits.caller(first, 0)
    assert [limits.caller(one, 0) == "" for one in (second, Caller(REVIEWS), Caller(REVIEWS))] == [True, True, False]
    assert limits.caller(Caller(ADMIN), 0) == ""


class Reviews:
    """The cluster's word, and how often it was asked for."""

    def __init__(self) -> None:
        self.count = 0

    async def __call__(self, _token: str) -> Caller | None:
        self.count += 1
        return None


@asynccontextmanager
async def asking(limits: CertificateLimits, reviews: Reviews, *holders: Identity | None) -> AsyncIterator[list[Any]]:
    """The service at a door of its own; for each holder a way to ask that gives the status and what was said."""
    door = open_secure_door(
        address := f"localhost:{free_port()}", ControlPlaneIdentity(SIGNER, Identity("cluster.local", "istio-system", "istiod"), CLOCK)
    )
    callers = Callers("cluster.local", door.peer, reviews)
    service = CertificateService(lambda csr, who, ttl: SIGNER.sign(csr, who, ttl, CLOCK.now()), callers, limits=limits)
    await door.serve(service).start()
    channels = []

    def way(holder: Identity | None) -> Any:
        key, csr = new_request(holder or REVIEWS)
        proof = () if holder is None else (key.reveal(), SIGNER.sign(csr, holder, 0, CLOCK.now())[0])
        channel = grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(SIGNER.roots_pem, *proof))
        channels.append(channel)
        create: Any = channel.unary_unary(f"/{SERVICE}/CreateCertificate", Request.SerializeToString, Response.FromString)

        async def ask() -> tuple[grpc.StatusCode, str]:
            call = create(Request(csr=csr.decode()), metadata=[("authorization", "Bearer forged")], timeout=10)
            return await call.code(), await call.details()

        return ask

    yield [way(holder) for holder in holders]
    for channel in channels:
        await channel.close()
    await door.stop(0)


def test_who_asks_too_often_is_told_and_nobody_else_lacks() -> None:
    """RESOURCE_EXHAUSTED with a sentence that names the caller; another caller's certificate is signed meanwhile."""

    async def main() -> None:
        async with asking(CertificateLimits(account=(0.001, 2)), Reviews(), REVIEWS, ADMIN) as (reviews, admin):
            assert [(await reviews())[0] for _ in range(2)] == [grpc.StatusCode.OK] * 2
            code, said = await reviews()
            assert code == grpc.StatusCode.RESOURCE_EXHAUSTED
            assert "default/reviews asked for more than 0.001 certificates per second" in said
            assert (await admin())[0] == grpc.StatusCode.OK

    asyncio.run(asyncio.wait_for(main(), 30))


def test_forged_tokens_are_reviewed_so_often_and_no_more() -> None:
    """After that the cluster is not bothered by the same address; who has a certificate is served meanwhile."""

    async def main() -> None:
        reviews = Reviews()
        async with asking(CertificateLimits(address=(0.001, 3)), reviews, None, ADMIN) as (forger, admin):
            said = [(await forger())[0] for _ in range(5)]
            assert said == [grpc.StatusCode.UNAUTHENTICATED] * 3 + [grpc.StatusCode.RESOURCE_EXHAUSTED] * 2
            assert reviews.count == 3
            assert (await admin())[0] == grpc.StatusCode.OK

    asyncio.run(asyncio.wait_for(main(), 30))
