"""A host and its addresses, as the DNS proxies of a namespace answer for it."""

from msgspec import Struct

__all__ = ["NamedHost"]


class NamedHost(Struct, frozen=True, kw_only=True):
    """`short` and `namespace` are set for Kubernetes services only: their names may be shortened."""

    host: str
    addresses: tuple[str, ...]
    registry: str
    namespace: str = ""
    short: str = ""
