"""How often certificates may be asked for: by a service account, by a pod whose token says which it is, from an address by token.

Why: a signature costs far more than the question, and so does a token's review (docs/decisions/025). Time comes in.
"""

from lateen.serve.callers import Caller
from lateen.serve.ratelimits import CallerLimits

__all__ = ["CertificateLimits"]


class CertificateLimits:
    """Each method says why somebody is not heard, "" where they are. `now` in seconds of one monotonic clock."""

    def __init__(
        self, *, account: tuple[float, int] = (10, 500), pod: tuple[float, int] = (1, 20), address: tuple[float, int] = (10, 100)
    ) -> None:
        self._account = CallerLimits(*account, "certificates")
        self._pod = CallerLimits(*pod, "certificates")
        self._address = CallerLimits(*address, "certificates by token")

    def stranger(self, address: str, now: float) -> str:
        """Somebody at an address, whose token is still to be reviewed."""
        return self._address.take(address, now)

    def caller(self, caller: Caller, now: float) -> str:
        """Somebody who proved who they are; a pod that asks too often takes nothing from others of its account."""
        account = f"{caller.identity.namespace}/{caller.identity.service_account}"
        why = self._pod.take(f"{account} in pod {caller.pod}", now) if caller.pod else ""
        return why or self._account.take(account, now)
