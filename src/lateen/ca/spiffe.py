"""SPIFFE identities of workloads: `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`.

Why a type: an identity is granted by whoever authenticated the caller, and travels as this value, never as a string of the
caller's. Must not know how a caller is authenticated.
"""

import re

from msgspec import Struct

__all__ = ["Identity", "SpiffeError"]

_DOMAIN = re.compile(r"[a-z0-9._-]{1,255}")
_SEGMENT = re.compile(r"[a-zA-Z0-9._-]{1,253}")


class SpiffeError(ValueError):
    """A sentence saying why something is not an identity."""


class Identity(Struct, frozen=True):
    """Who a workload is."""

    trust_domain: str
    namespace: str
    service_account: str

    def __post_init__(self) -> None:
        if not _DOMAIN.fullmatch(self.trust_domain.replace("@", ".")):
            raise SpiffeError(f"trust domain {self.trust_domain!r}: expected lower case letters, digits, dots, dashes and underscores")
        for what, value in (("namespace", self.namespace), ("service account", self.service_account)):
            if not _SEGMENT.fullmatch(value) or value in {".", ".."}:
                raise SpiffeError(f"{what} {value!r}: expected a Kubernetes name (letters, digits, dots and dashes)")

    @property
    def uri(self) -> str:
        """The identity as it stands in a certificate; `@` in a trust domain, as service accounts of clouds have it, is a dot."""
        return f"spiffe://{self.trust_domain.replace('@', '.')}/ns/{self.namespace}/sa/{self.service_account}"
