"""The ports of a workload that its sidecar takes connections for: those of its services, or in their place those of its Sidecar.

Listeners and clusters of the inbound side both follow from these. Must not decide how connections are secured.
"""

from collections.abc import Iterable

from msgspec import Struct

from lateen.api.destinationrule import ConnectionPoolSettings
from lateen.api.gateway import ServerTLSSettings
from lateen.api.sidecar import IstioIngressListener
from lateen.compile.protocols import protocol_of
from lateen.model.names import LOOPBACK
from lateen.model.scope import ServiceInstance
from lateen.model.service import Port, Protocol, ServiceKey
from lateen.model.sidecar import SidecarPlan

__all__ = ["InboundPort", "inbound_ports"]

_ANY = "0.0.0.0"  # noqa: S104 - in an endpoint it stands for the workload's own address
_UNIX = "unix://"
_HERE = {"127.0.0.1": LOOPBACK, "::1": LOOPBACK, _ANY: "", "::": ""}


class InboundPort(Struct, frozen=True, kw_only=True):
    """One port. `instances` share it, the first decides; `known` tells services from a Sidecar's port that no service has."""

    number: int
    instances: tuple[ServiceInstance, ...]
    name: str  # of its filter chains
    known: bool = True
    endpoint: tuple[str, int] | None = None  # where connections go; None: to the address they were made to
    tls: ServerTLSSettings | None = None
    connection_pool: ConnectionPoolSettings | None = None


def inbound_ports(instances: Iterable[ServiceInstance], sidecar: SidecarPlan | None, address: str) -> tuple[InboundPort, ...]:
    """All ports, sorted; `address` is the workload's own."""
    by_target: dict[int, list[ServiceInstance]] = {}
    for instance in instances:
        if instance.port.protocol != Protocol.UDP:
            by_target.setdefault(instance.target_port, []).append(instance)
    pool = sidecar.connection_pool if sidecar is not None else None
    if sidecar is None or not sidecar.ingress:
        return tuple(
            InboundPort(number=target, instances=tuple(by_target[target]), name=f"{_ANY}_{target}", connection_pool=pool)
            for target in sorted(by_target)
        )
    found: dict[int, InboundPort] = {}
    for listener in sidecar.ingress:
        if listener.port is not None:
            found.setdefault(listener.port.number, _of_sidecar(listener, listener.port.number, by_target, sidecar, address))
    return tuple(found[number] for number in sorted(found))


def _of_sidecar(
    listener: IstioIngressListener, number: int, by_target: dict[int, list[ServiceInstance]], sidecar: SidecarPlan, address: str
) -> InboundPort:
    name, text = (listener.port.name, listener.port.protocol) if listener.port is not None else ("", "")
    port = Port(number=number, name=name, protocol=protocol_of(text or name, None, number), target_port=number)
    serving = by_target.get(number)
    service = serving[0].service if serving else ServiceKey(sidecar.key.namespace, f"{sidecar.key.name}.{sidecar.key.namespace}")
    return InboundPort(
        number=number,
        instances=(ServiceInstance(service=service, port=port, target_port=number),),
        name=f"{listener.bind or address or _ANY}_{number}",
        known=bool(serving),
        endpoint=_endpoint(listener.default_endpoint, address),
        tls=listener.tls,
        connection_pool=listener.connection_pool or sidecar.connection_pool,
    )


def _endpoint(text: str, address: str) -> tuple[str, int] | None:
    """`127.0.0.1:port`, `0.0.0.0:port` for the workload's own address, or `unix://path`."""
    if text.startswith(_UNIX):
        return text, 0
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    if host not in _HERE or not port.isdigit():
        return None
    return _HERE[host] or address or LOOPBACK, int(port)
