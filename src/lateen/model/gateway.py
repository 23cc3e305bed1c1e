"""The servers of a gateway, merged over all Gateways that select it."""

from msgspec import Struct

from lateen.api.gateway import ServerTLSSettings
from lateen.model.frame import Owner
from lateen.model.service import Protocol

__all__ = ["GatewayPort", "MergedServer", "ServerHost"]


class ServerHost(Struct, frozen=True, order=True):
    """A host that a server takes, for VirtualServices of `namespace` ("*": of any)."""

    namespace: str
    host: str


class MergedServer(Struct, frozen=True, kw_only=True):
    """One server of one Gateway. `gateway` is "namespace/name"."""

    gateway: str
    number: int  # the server's port; `GatewayPort.listen` is the one listened on
    port_name: str
    name: str = ""
    protocol: Protocol
    hosts: tuple[ServerHost, ...]
    tls: ServerTLSSettings | None = None
    owner: Owner

    @property
    def redirects(self) -> bool:
        """Whether plaintext HTTP is answered with a redirect to HTTPS."""
        return self.tls is not None and self.tls.https_redirect

    @property
    def terminates_tls(self) -> bool:
        """Whether the gateway itself opens TLS."""
        return self.protocol.is_tls and self.tls is not None and self.tls.mode not in ("PASSTHROUGH", "AUTO_PASSTHROUGH")


class GatewayPort(Struct, frozen=True, kw_only=True):
    """A port a gateway listens on, and its servers: all plaintext HTTP, or all TLS, or plaintext TCP."""

    listen: int
    bind: str
    servers: tuple[MergedServer, ...]
