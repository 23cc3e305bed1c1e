"""The Secrets of the mesh as one compile function reads them, for the proxies of one namespace."""

from lateen.api.meta import Key
from lateen.api.objects import Secret
from lateen.compile.base import Base
from lateen.compile.secretnames import is_granted, why_forbidden
from lateen.graph import Read

__all__ = ["SecretReads"]


class SecretReads:
    """Reads for proxies of `namespace`."""

    def __init__(self, read: Read, base: Base, namespace: str) -> None:
        self._read = read
        self._base = base
        self.namespace = namespace

    def newest(self, key: Key) -> Secret | None:
        """The Secret as it is now."""
        return self._read.get(self._base.secrets, key)

    def good(self, key: Key) -> Secret | None:
        """The last good form of a Secret whose newest is of no use."""
        return self._read.get(self._base.good_secrets, key)

    def why_forbidden(self, resource: str, user: Key) -> str:
        """Why the proxies may not have what `user` names; "" where they may."""
        return why_forbidden(resource, user, self.namespace, self._is_granted)

    def _is_granted(self, secret: Key) -> bool:
        grants = self._read.by_index(self._base.secret_grants, f"{self.namespace}/{secret.namespace}")
        return is_granted(grants.values(), secret.name)
