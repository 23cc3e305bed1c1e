"""A workload's certificate is obtained, renewed at half life, and never given up."""

import asyncio
from collections.abc import Sequence

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from lateen.agent.certs import Certificates, OwnSigner, Secrets
from lateen.ca.signer import SelfSignedRoot, Signer, WorkloadName
from lateen.ca.spiffe import Identity

REVIEWS = Identity("cluster.local", "default", "reviews")
DAY = 24 * 3600.0
START = 1_800_000_000.0


class Clock:
    """Time passes only by waiting; after `most` waits it stops for good."""

    def __init__(self, most: int) -> None:
        self.time = START
        self.waits: list[float] = []
        self._most = most

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        if len(self.waits) == self._most:
            raise asyncio.CancelledError
        self.waits.append(seconds)
        self.time += seconds


class Moody:
    """An authority that refuses some calls: True in `refusals` refuses."""

    def __init__(self, source: OwnSigner, refusals: Sequence[bool]) -> None:
        self._source = source
        self._refusals = list(refusals)

    revoked = b""

    async def changed(self) -> None:
        await asyncio.Event().wait()

    async def sign(self, csr_pem: bytes, ttl: float) -> Sequence[bytes]:
        if self._refusals and self._refusals.pop(0):
            raise OSError("control plane unreachable")
        return await self._source.sign(csr_pem, ttl)


def follow(clock: Clock, refusals: Sequence[bool] = ()) -> tuple[list[Secrets], list[str]]:
    """All certificates and complaints until the clock stops."""
    root = SelfSignedRoot.create("cluster.local", START)
    source = Moody(OwnSigner(Signer(root), REVIEWS, WorkloadName(workload="reviews-v1", namespace="default"), clock), refusals)
    given: list[Secrets] = []
    complaints: list[str] = []
    certificates = Certificates(REVIEWS, source, 0, clock, complaints.append)

    async def run() -> None:
        try:
            given.append(await certificates.obtain())
            await certificates.renew(given.append)
        except asyncio.CancelledError:
            return

    asyncio.run(run())
    assert certificates.count == len(given)
    return given, complaints


def test_certificate_belongs_to_its_key_and_names_the_workload() -> None:
    """Leaf without the root in `default`, the root alone in `ROOTCA`."""
    ((own, root), *_), _ = follow(Clock(most=0))
    assert (own.name, root.name) == ("default", "ROOTCA") and own.key is not None
    (leaf,) = x509.load_pem_x509_certificates(own.chain)
    assert load_pem_private_key(own.key.reveal(), None).public_key() == leaf.public_key()
    assert leaf.subject.rfc4514_string() == "O=default,CN=reviews-v1"
    leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(root.root))


def test_renewed_at_half_life_with_a_new_key() -> None:
    """Twelve hours of 24, give or take a hundredth of them; key and certificate are new each time."""
    clock = Clock(most=3)
    given, _ = follow(clock)
    assert len(given) == 4 and len({own.key for own, _ in given}) == 4
    assert all(abs(wait - DAY / 2) <= DAY / 100 for wait in clock.waits)


def test_refused_renewal_is_tried_again_soon() -> None:
    """50 ms, 100 ms, ...: each complaint says whose certificate and why."""
    clock = Clock(most=4)
    given, complaints = follow(clock, refusals=(False, True, True))
    assert clock.waits[1:3] == [0.05, 0.1] and len(given) >= 2
    assert complaints == ["no certificate for spiffe://cluster.local/ns/default/sa/reviews: control plane unreachable"] * 2


def test_a_certificate_that_ended_before_it_came_is_not_used() -> None:
    """The clock here is a day before the authority's: said with what to do, and asked for again after a while, not without pause."""
    clock = Clock(most=3)
    root = SelfSignedRoot.create("cluster.local", START - 2 * DAY)

    class Late(Clock):
        def now(self) -> float:
            return START - 2 * DAY

    source = OwnSigner(Signer(root), REVIEWS, WorkloadName(workload="reviews-v1", namespace="default"), Late(0))
    complaints: list[str] = []
    certificates = Certificates(REVIEWS, source, 0, clock, complaints.append)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(certificates.obtain())
    assert clock.waits == [0.05, 0.1, 0.2]
    assert "set this machine's clock, or the control plane's" in complaints[0]
