"""The workload's certificate: a key that never leaves this process but to its own Envoy, signed by an authority, renewed at half life.

Must not serve it, and never gives up: a proxy whose certificate ended has no connection left to lose.
"""

import asyncio
import random
from collections.abc import Callable, Sequence

from lateen.agent.protocols import CertificateSource
from lateen.ca.csr import new_request
from lateen.ca.rotation import retry_delay, rotate_in
from lateen.ca.signer import Signer, WorkloadName, expires
from lateen.ca.spiffe import Identity
from lateen.model.secretplan import SecretPlan
from lateen.runtime import log, tasks
from lateen.runtime.clock import Clock
from lateen.util.times import rfc3339

__all__ = ["Certificates", "OwnSigner", "Secrets"]

_log = log.get("certificates")
_dice = random.SystemRandom()

Secrets = tuple[SecretPlan, SecretPlan]  # `default` and `ROOTCA`


class OwnSigner:
    """The authority in the same process, for one workload whose identity and name the node itself knows."""

    def __init__(self, signer: Signer, identity: Identity, workload: WorkloadName, clock: Clock) -> None:
        self._signer = signer
        self._identity = identity
        self._workload = workload
        self._clock = clock
        self._signed_at = signer.version

    async def sign(self, csr_pem: bytes, ttl: float) -> Sequence[bytes]:
        """Sign at once."""
        self._signed_at = self._signer.version
        return self._signer.sign(csr_pem, self._identity, ttl, self._clock.now(), workload=self._workload)

    @property
    def revoked(self) -> bytes:
        """The authority's lists."""
        return self._signer.revoked_pem

    async def changed(self) -> None:
        """Wait for another version of the authority."""
        event = asyncio.Event()
        stop = self._signer.watch(event.set)
        try:
            if self._signer.version == self._signed_at:
                await event.wait()
        finally:
            stop()


class Certificates:
    """One workload's certificate, always valid while its authority answers."""

    def __init__(self, identity: Identity, source: CertificateSource, ttl: float, clock: Clock, on_failure: Callable[[str], None]) -> None:
        self._identity = identity
        self._source = source
        self._ttl = ttl
        self._clock = clock
        self._on_failure = on_failure
        self._rotate_in = 0.0
        self.count = 0
        self.expires = 0.0  # of the newest; seconds since the epoch

    async def obtain(self) -> Secrets:
        """A new key and its certificate; tries until it is given."""
        failures = 0
        while True:
            try:
                return await self._try()
            except (OSError, ValueError) as error:
                failures += 1
                delay = retry_delay(failures)
                reason = f"no certificate for {self._identity.uri}: {error}"
                _log.warning("not signed", reason=reason, next_try_in=delay)
                self._on_failure(reason)
                await self._clock.sleep(delay)

    async def renew(self, give: Callable[[Secrets], None]) -> None:
        """For ever: wait until half of the life is over or the authority is another, obtain the next, `give` it."""
        while True:
            await self._due()
            give(await self.obtain())

    async def _due(self) -> None:
        waits = (
            tasks.spawn(self._clock.sleep(self._rotate_in), name="half of a certificate's life"),
            tasks.spawn(self._source.changed(), name="another authority"),
        )
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await tasks.cancel_all(*waits)
        for one in done:
            one.result()

    async def _try(self) -> Secrets:
        key, request = new_request(self._identity)
        chain = await self._source.sign(request, self._ttl)
        if len(chain) < 2:
            raise ValueError("the authority gave no root along with the certificate")
        now, ends = self._clock.now(), expires(chain[0])
        if ends <= now:
            raise ValueError(f"the one that was given ended at {rfc3339(ends)}: set this machine's clock, or the control plane's")
        self.expires = ends
        self._rotate_in = rotate_in(issued=now, expires=self.expires, now=now, jitter=_dice.uniform(-1, 1))
        self.count += 1
        own = SecretPlan(name="default", key=key, chain=b"".join(chain[:-1]))
        return own, SecretPlan(name="ROOTCA", root=chain[-1], revoked=self._source.revoked)
