"""Who calls at the control plane's secure door: by the certificate of the connection, else by a bearer token that the cluster vouches for.

Nothing else of a request says who somebody is. Must not judge tokens: it is given who does.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from msgspec import Struct

from lateen.ca.spiffe import Identity, SpiffeError
from lateen.serve.tlsfront import Peer

__all__ = ["Caller", "Callers", "Review", "bearer"]

_BEARER = "bearer "
Context = Any  # grpc.aio.ServicerContext is generic in its stubs only


class Caller(Struct, frozen=True):
    """`pod`: the name of the only pod that the proof is good for, "" where it names none."""

    identity: Identity
    pod: str = ""


Review = Callable[[str], Awaitable[Caller | None]]  # whose token it is, None where nobody's


def bearer(fields: Sequence[str]) -> str | None:
    """The token in the one `authorization` field of a request; None where there is another number of them, or of another scheme."""
    if len(fields) != 1 or not fields[0].lower().startswith(_BEARER):
        return None
    return fields[0][len(_BEARER) :].strip()


class Callers:
    """`peer` tells of gRPC's address what that connection proved, None where it did not come through the door."""

    def __init__(self, trust_domain: str, peer: Callable[[str], Peer | None], review: Review | None) -> None:
        self._trust_domain = trust_domain
        self._peer = peer
        self._review = review

    def stranger(self, context: Context) -> str:
        """The address of a caller without a certificate, who is still to be known by a token; "" where there is none such."""
        peer = self._peer(context.peer())
        return peer.address if peer is not None and not peer.names else ""

    async def of(self, context: Context) -> Caller | None:
        """Who calls; None where it is nobody of this mesh. A certificate, even of no use, goes before a token."""
        peer = self._peer(context.peer())
        if peer is None:
            return None
        if peer.names:
            proved = [found for name in peer.names if (found := self._identity(name)) is not None]
            return Caller(proved[0]) if len(proved) == 1 else None
        fields = [str(value) for key, value in context.invocation_metadata() or () if key == "authorization"]
        token = bearer(fields)
        return await self._review(token) if self._review is not None and token is not None else None

    def _identity(self, uri: str) -> Identity | None:
        parts = uri.split("/")
        if len(parts) != 7 or parts[:3] != ["spiffe:", "", self._trust_domain] or (parts[3], parts[5]) != ("ns", "sa"):
            return None
        try:
            return Identity(self._trust_domain, parts[4], parts[6])
        except SpiffeError:
            return None
