"""Certificates over gRPC: for whom the caller proved to be, whatever it asks for."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from lateen.ca.csr import new_request
from lateen.ca.signer import MAX_TTL, SelfSignedRoot, Signer
from lateen.ca.spiffe import Identity
from lateen.runtime.clock import SystemClock
from lateen.serve.callers import Caller, Callers
from lateen.serve.grpc_ca import SERVICE, CertificateService, message_types
from lateen.serve.grpc_doors import open_secure_door
from lateen.server.metrics import PlaneMetrics
from lateen.server.rootca import ControlPlaneIdentity
from lateen.server.tokenreview import caller_of
from lateen.testing.mesh import free_port

CLOCK = SystemClock()
SIGNER = Signer(SelfSignedRoot.create("cluster.local", CLOCK.now()))
REVIEWS, ADMIN = Identity("cluster.local", "default", "reviews"), Identity("cluster.local", "default", "admin")
Request, Response = message_types()
Create = Callable[..., Any]


def sign(csr_pem: bytes, identity: Identity, ttl: float) -> tuple[bytes, ...]:
    return SIGNER.sign(csr_pem, identity, ttl, CLOCK.now())


async def review(token: str) -> Caller | None:
    return Caller(REVIEWS) if token == "good" else None


def names(answer: Any) -> list[str]:
    leaf = x509.load_pem_x509_certificate(answer.cert_chain[0].encode())
    found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(name.value) for name in found]


@asynccontextmanager
async def secure(
    holder: Identity | None, *, issuer: Signer = SIGNER, tell: Callable[[str], None] = lambda _event: None
) -> AsyncIterator[Create]:
    """The service behind mutual TLS, called with a certificate of `holder` by `issuer`."""
    address = f"localhost:{free_port()}"
    identity = ControlPlaneIdentity(SIGNER, Identity("cluster.local", "istio-system", "istiod"), CLOCK)
    door = open_secure_door(address, identity)
    await door.serve(CertificateService(sign, Callers("cluster.local", door.peer, review), tell)).start()
    key, chain = None, None
    if holder is not None:
        secret, csr = new_request(holder)
        key, chain = secret.reveal(), issuer.sign(csr, holder, 0, CLOCK.now())[0]
    credentials = grpc.ssl_channel_credentials(SIGNER.roots_pem, key, chain)
    async with grpc.aio.secure_channel(address, credentials) as channel:
        yield channel.unary_unary(f"/{SERVICE}/CreateCertificate", Request.SerializeToString, Response.FromString)
    await door.stop(0)


async def refused(call: Awaitable[Any]) -> grpc.StatusCode:
    try:
        await asyncio.wait_for(call, 10)
    except grpc.aio.AioRpcError as error:
        return error.code()
    raise AssertionError("it was answered")


def test_the_identity_is_the_callers_not_the_requests() -> None:
    """A CSR that names another gets a certificate for the caller; the chain ends with the root; the life is the one asked for."""

    async def run() -> None:
        async with secure(REVIEWS) as create:
            answer = await create(Request(csr=new_request(ADMIN)[1].decode(), validity_duration=600), timeout=10)
            assert names(answer) == [REVIEWS.uri]
            assert answer.cert_chain[-1].encode() == SIGNER.roots_pem
            leaf = x509.load_pem_x509_certificate(answer.cert_chain[0].encode())
            assert 590 < leaf.not_valid_after_utc.timestamp() - CLOCK.now() <= 600

    asyncio.run(run())


def test_what_happens_is_counted() -> None:
    """Citadel's counters: every request, then how it ended."""

    async def run() -> str:
        metrics = PlaneMetrics(CLOCK)
        async with secure(None, tell=metrics.certificates) as create:
            good, token = new_request(REVIEWS)[1].decode(), (("authorization", "Bearer good"),)
            await create(Request(csr=good), metadata=token, timeout=10)
            await refused(create(Request(csr=good)))
            await refused(create(Request(csr="nothing"), metadata=token))
            await refused(create(Request(csr=good, validity_duration=int(MAX_TTL) + 1), metadata=token))
        return metrics.registry.text()

    lines = asyncio.run(run()).splitlines()
    for counted in (
        "csr_count 4",
        "authentication_failure_count 1",
        "csr_parsing_err_count 1",
        'csr_sign_err_count{error="TTL_ERROR"} 1',
        "success_cert_issuance_count 1",
        "id_extraction_err_count 0",
    ):
        assert f"citadel_server_{counted}" in lines, counted


def test_what_may_not_be_asked_is_refused() -> None:
    """Malformed and weak requests, a life over 90 days, another's name in the metadata."""

    async def run() -> None:
        weak = x509.CertificateSigningRequestBuilder(x509.Name([])).sign(ec.generate_private_key(ec.SECP192R1()), hashes.SHA256())
        good = new_request(REVIEWS)[1].decode()
        invalid = grpc.StatusCode.INVALID_ARGUMENT
        async with secure(REVIEWS) as create:
            assert await refused(create(Request(csr="nonsense"), timeout=10)) == invalid
            assert await refused(create(Request(csr=""), timeout=10)) == invalid
            assert await refused(create(Request(csr=weak.public_bytes(serialization.Encoding.PEM).decode()), timeout=10)) == invalid
            assert await refused(create(Request(csr=good, validity_duration=int(MAX_TTL) + 1), timeout=10)) == invalid
            assert await refused(create(Request(csr=good, validity_duration=-1), timeout=10)) == invalid
            asked = Request(csr=good)
            asked.metadata["ImpersonatedIdentity"] = ADMIN.uri
            assert await refused(create(asked, timeout=10)) == grpc.StatusCode.PERMISSION_DENIED

    asyncio.run(run())


@pytest.mark.parametrize(
    ("holder", "issuer", "code"),
    [
        (None, SIGNER, grpc.StatusCode.UNAUTHENTICATED),
        (REVIEWS, Signer(SelfSignedRoot.create("cluster.local", CLOCK.now())), grpc.StatusCode.UNAVAILABLE),
        (Identity("elsewhere.example", "default", "reviews"), SIGNER, grpc.StatusCode.UNAUTHENTICATED),
    ],
    ids=["no certificate", "another root", "another trust domain"],
)
def test_strangers_get_nothing(holder: Identity | None, issuer: Signer, code: grpc.StatusCode) -> None:
    """With a certificate of another root there is no connection, with none or one of another trust domain no answer."""

    async def run() -> None:
        async with secure(holder, issuer=issuer) as create:
            assert await refused(create(Request(csr=new_request(REVIEWS)[1].decode()), timeout=10)) == code

    asyncio.run(run())


def test_a_token_that_the_cluster_vouches_for_is_enough() -> None:
    """`authorization: Bearer`: a good token gives its owner's certificate; a bad one, two, or another scheme give none."""

    async def run() -> None:
        csr = new_request(ADMIN)[1].decode()
        async with secure(None) as create:
            good = ("authorization", "Bearer good")
            assert names(await create(Request(csr=csr), metadata=[good], timeout=10)) == [REVIEWS.uri]
            for metadata in ([], [("authorization", "Bearer bad")], [("authorization", "Basic good")], [good, good]):
                assert await refused(create(Request(csr=csr), metadata=metadata, timeout=10)) == grpc.StatusCode.UNAUTHENTICATED

    asyncio.run(run())


def test_a_certificate_goes_before_a_token() -> None:
    """Whose certificate is of another trust domain gets nothing, whatever token comes with it; ours is the certificate's owner's."""

    async def run() -> None:
        good = ("authorization", "Bearer good")
        csr = new_request(REVIEWS)[1].decode()
        async with secure(Identity("elsewhere.example", "default", "reviews")) as create:
            assert await refused(create(Request(csr=csr), metadata=[good], timeout=10)) == grpc.StatusCode.UNAUTHENTICATED
        async with secure(ADMIN) as create:
            assert names(await create(Request(csr=csr), metadata=[good], timeout=10)) == [ADMIN.uri]

    asyncio.run(run())


def test_a_token_for_another_audience_is_nobodys() -> None:
    """The cluster's review must name our audience and a service account."""
    user = {"username": "system:serviceaccount:default:reviews"}
    assert caller_of({"authenticated": True, "user": user, "audiences": ["istio-ca"]}, "cluster.local") == Caller(REVIEWS)
    bound = {**user, "extra": {"authentication.kubernetes.io/pod-name": ["reviews-1"]}}
    assert caller_of({"authenticated": True, "user": bound, "audiences": ["istio-ca"]}, "cluster.local") == Caller(REVIEWS, "reviews-1")
    for status in (
        {"authenticated": False, "user": user, "audiences": ["istio-ca"]},
        {"authenticated": True, "user": user, "audiences": ["vault"]},
        {"authenticated": True, "user": user},
        {"authenticated": True, "user": {"username": "alice"}, "audiences": ["istio-ca"]},
        {"authenticated": True, "user": {"username": "system:serviceaccount:default:a/b"}, "audiences": ["istio-ca"]},
    ):
        assert caller_of(status, "cluster.local") is None
