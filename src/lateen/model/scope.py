"""What a proxy is reduced to before configuration is compiled for it: proxies of equal scope share every frame.

Why: code that takes a scope cannot read anything else of a proxy, so nothing else can split the cache.
Outbound and inbound are apart: a policy on what a workload takes in must not split what everybody sends out.
`selectors` holds, of all the selectors in use in the mesh, those that match the proxy's labels; raw labels never enter.
"""

from msgspec import Struct

from lateen.api.meta import Key
from lateen.model.endpoint import Locality
from lateen.model.service import Port, ServiceKey

__all__ = [
    "Client",
    "EndpointView",
    "GatewayScope",
    "InboundScope",
    "OutboundScope",
    "Peers",
    "Proxy",
    "Scope",
    "Selector",
    "ServerScope",
    "ServiceInstance",
]

Selector = tuple[tuple[str, str], ...]  # sorted label pairs


class Proxy(Struct, frozen=True, kw_only=True):
    """A connected proxy, as its xDS node said and its certificate confirmed."""

    id: str  # xDS node id
    kind: str  # "sidecar" | "router" | "grpc": a program that speaks xDS itself
    namespace: str
    name: str  # pod
    addresses: tuple[str, ...]
    labels: Selector
    service_account: str = ""
    workload: str = ""
    cluster: str = ""
    network: str = ""
    locality: Locality = Locality()
    interception_mode: str = "REDIRECT"
    dns_capture: bool = False
    metadata: Selector = ()  # of the node, where it is text


class Client(Struct, frozen=True, kw_only=True, order=True, cache_hash=True):
    """Of any proxy: what decides which services it sees and which DestinationRules count for it."""

    namespace: str  # "" for sidecars of all namespaces that see the same
    selectors: tuple[Selector, ...] = ()  # DestinationRule workloadSelectors that match
    gateway: bool = False
    dns: bool = False  # its sidecar answers DNS, so addresses may be given out to names that have none
    sidecar: tuple[Key, ...] = ()  # the Sidecar that counts, if any


class OutboundScope(Struct, frozen=True, kw_only=True, order=True, cache_hash=True):
    """Of a sidecar: all that decides what it sends where."""

    client: Client
    namespace: str
    selectors: tuple[Selector, ...] = ()  # VirtualService sourceLabels that match


class ServiceInstance(Struct, frozen=True, kw_only=True, order=True):
    """A service port that selects the workload; `target_port` is the port on the workload."""

    service: ServiceKey
    port: Port
    target_port: int


class InboundScope(Struct, frozen=True, kw_only=True, order=True, cache_hash=True):
    """Of a sidecar: all that decides what it takes in."""

    namespace: str
    selectors: tuple[Selector, ...] = ()  # of security policies, that match
    instances: tuple[ServiceInstance, ...] = ()
    sidecar: tuple[Key, ...] = ()  # the Sidecar that counts, if it says something of what is taken in
    address: str = ""  # of the workload, where such a Sidecar may name it


class ServerScope(Struct, frozen=True, kw_only=True, order=True, cache_hash=True):
    """Of a gRPC program without a proxy: all that decides what its servers take in."""

    namespace: str
    address: str
    selectors: tuple[Selector, ...] = ()  # of security policies, that match
    instances: tuple[ServiceInstance, ...] = ()
    certified: bool = False  # the injector gave it certificates, so clients come with mutual TLS


class GatewayScope(Struct, frozen=True, kw_only=True, order=True):
    """Of a gateway (kind "router"): the Gateways that select it and the Services in front of it."""

    client: Client
    gateways: tuple[Key, ...] = ()
    selectors: tuple[Selector, ...] = ()  # of security policies, that match
    name: str = ""  # of the Kubernetes Gateway it serves, if any
    instances: tuple[ServiceInstance, ...] = ()  # port mapping: Gateway port number -> target port


class Peers(Struct, frozen=True, kw_only=True, order=True, cache_hash=True):
    """Of a proxy that is told of its like: what makes them so. `template` tells the pods of one version of a Deployment."""

    workload: str
    template: str = ""
    instances: tuple[ServiceInstance, ...] = ()


class EndpointView(Struct, frozen=True, kw_only=True, order=True, cache_hash=True):
    """What of a proxy decides how endpoints are ordered for it."""

    network: str = ""
    cluster: str = ""
    locality: Locality = Locality()
    labels: Selector = ()  # of those that preferences ask for


Scope = OutboundScope | InboundScope | GatewayScope
