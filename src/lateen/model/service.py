"""What the mesh knows of a service, wherever it was declared (Kubernetes Service or ServiceEntry).

Why: everything after `compile.services` works on this one shape. Must not hold endpoints: they change far more often.
"""

from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from lateen.api.meta import Key

__all__ = ["Port", "Protocol", "Resolution", "Service", "ServiceKey"]


class Protocol(StrEnum):
    """A port's protocol as declared by `appProtocol` or the port's name; AUTO where nothing was declared."""

    HTTP = "HTTP"
    HTTP2 = "HTTP2"
    GRPC = "GRPC"
    GRPC_WEB = "GRPC-WEB"
    HTTPS = "HTTPS"
    TLS = "TLS"
    TCP = "TCP"
    MONGO = "MONGO"
    REDIS = "REDIS"
    MYSQL = "MYSQL"
    UDP = "UDP"
    HBONE = "HBONE"
    AUTO = "AUTO"

    @property
    def is_http(self) -> bool:
        """HTTP in the clear: HTTP, HTTP2, GRPC, GRPC-WEB."""
        return self in (Protocol.HTTP, Protocol.HTTP2, Protocol.GRPC, Protocol.GRPC_WEB)

    @property
    def is_http2(self) -> bool:
        return self in (Protocol.HTTP2, Protocol.GRPC, Protocol.GRPC_WEB)

    @property
    def is_tls(self) -> bool:
        """TLS that the proxy passes on by SNI: HTTPS, TLS."""
        return self in (Protocol.HTTPS, Protocol.TLS)

    @property
    def is_tcp(self) -> bool:
        """Opaque bytes, TLS included."""
        return not self.is_http and self not in (Protocol.UDP, Protocol.AUTO)


class Resolution(StrEnum):
    """How a service's endpoints are found; names as ServiceEntry.resolution, plus ALIAS for ExternalName."""

    STATIC = "STATIC"  # endpoints are known: EDS
    DNS = "DNS"  # STRICT_DNS
    DNS_ROUND_ROBIN = "DNS_ROUND_ROBIN"  # LOGICAL_DNS
    DYNAMIC_DNS = "DYNAMIC_DNS"  # dynamic forward proxy
    NONE = "NONE"  # original destination: headless Services and ServiceEntry NONE
    ALIAS = "ALIAS"  # ExternalName


class ServiceKey(NamedTuple):
    """Identity of a service: two namespaces may declare the same host name."""

    namespace: str
    hostname: str


class Port(Struct, frozen=True, kw_only=True, order=True):
    """One service port. `target_port` is 0 where it is named and so differs by endpoint (`target_name`)."""

    number: int
    name: str
    protocol: Protocol
    target_port: int = 0
    target_name: str = ""


class Service(Struct, frozen=True, kw_only=True):
    """A service of the mesh."""

    key: ServiceKey
    name: str  # short name; the host name itself for ServiceEntries
    origin: Key  # the object it came from
    generation: int
    creation: str  # RFC 3339, "" when unknown: older wins conflicts
    registry: str  # "Kubernetes" | "External"
    resolution: Resolution
    ports: tuple[Port, ...]
    addresses: tuple[str, ...] = ()  # virtual IPs; CIDRs allowed for ServiceEntries; () = none (headless or no address)
    auto_addresses: tuple[str, ...] = ()  # given out where `addresses` is empty; for clients whose DNS is captured
    headless: bool = False
    mesh_external: bool = False  # ServiceEntry MESH_EXTERNAL, ExternalName
    external_name: str = ""
    aliases: tuple[ServiceKey, ...] = ()  # ExternalName Services that stand for it: further names, never destinations
    export_to: tuple[str, ...] = ("*",)  # sorted: "*", "." resolved to the own namespace, "~", namespaces
    labels: tuple[tuple[str, str], ...] = ()
    selector: tuple[tuple[str, str], ...] = ()
    subject_alt_names: tuple[str, ...] = ()
    publish_not_ready: bool = False
    traffic_distribution: str = ""

    @property
    def hostname(self) -> str:
        return self.key.hostname

    @property
    def namespace(self) -> str:
        return self.key.namespace

    @property
    def captured(self) -> "Service":
        """The service as a client sees it whose DNS is answered by its sidecar."""
        return self if self.addresses or not self.auto_addresses else replace(self, addresses=self.auto_addresses)

    def port(self, number: int) -> Port | None:
        """The port with this number, or None."""
        return next((p for p in self.ports if p.number == number), None)
