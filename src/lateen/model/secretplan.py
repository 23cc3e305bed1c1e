"""A gateway's certificate or CA, as it is sent over SDS."""

from msgspec import Struct

from lateen.model.frame import Owner
from lateen.util.redact import Secret

__all__ = ["SecretPlan"]


class SecretPlan(Struct, frozen=True, kw_only=True):
    """SDS resource `name` of a Secret: a certificate chain with its key, or with `root` the CA of peers; PEM.

    `revoked`: lists of revoked certificates; where there are any, each authority of a chain must have one.
    """

    name: str
    chain: bytes = b""
    key: Secret | None = None
    root: bytes = b""
    revoked: bytes = b""
    owners: tuple[Owner, ...] = ()
