"""Istio's ServiceEntry and WorkloadEntry: services and workloads that Kubernetes does not know."""

from collections.abc import Mapping
from typing import Literal

from msgspec import field

from lateen.api.base import Message, OpenMessage, UInt32
from lateen.api.meta import IstioStatus, ObjectMeta, WorkloadLabels

__all__ = [
    "ServiceEntry",
    "ServiceEntryAddress",
    "ServiceEntrySpec",
    "ServiceEntryStatus",
    "ServicePort",
    "WorkloadEntry",
    "WorkloadEntrySpec",
]


class ServicePort(Message, frozen=True):
    """A port of the service; `target_port` 0 means the same number."""

    number: UInt32 = 0
    protocol: str = ""
    name: str = ""
    target_port: UInt32 = 0


class WorkloadEntrySpec(Message, frozen=True):
    """One workload: an IP address, a name, or `unix://` socket."""

    address: str = ""
    ports: Mapping[str, UInt32] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    network: str = ""
    locality: str = ""
    weight: UInt32 = 0
    service_account: str = ""


class WorkloadEntry(Message, frozen=True):
    """networking.istio.io WorkloadEntry, all versions."""

    api_version: str = "networking.istio.io/v1"
    kind: Literal["WorkloadEntry"] = "WorkloadEntry"
    metadata: ObjectMeta = ObjectMeta()
    spec: WorkloadEntrySpec = WorkloadEntrySpec()
    status: IstioStatus | None = None


class ServiceEntrySpec(Message, frozen=True):
    """Hosts, their ports, and where their endpoints come from."""

    hosts: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    ports: tuple[ServicePort, ...] = ()
    location: Literal["MESH_EXTERNAL", "MESH_INTERNAL"] = "MESH_EXTERNAL"
    resolution: Literal["NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS"] = "NONE"
    endpoints: tuple[WorkloadEntrySpec, ...] = ()
    workload_selector: WorkloadLabels | None = None
    export_to: tuple[str, ...] = ()
    subject_alt_names: tuple[str, ...] = ()


class ServiceEntryAddress(OpenMessage, frozen=True):
    """An address given out automatically; `host` says to which of the hosts."""

    value: str = ""
    host: str = ""


class ServiceEntryStatus(IstioStatus, frozen=True):
    """Istio's status and the addresses given out automatically."""

    addresses: tuple[ServiceEntryAddress, ...] = ()


class ServiceEntry(Message, frozen=True):
    """networking.istio.io ServiceEntry, all versions."""

    api_version: str = "networking.istio.io/v1"
    kind: Literal["ServiceEntry"] = "ServiceEntry"
    metadata: ObjectMeta = ObjectMeta()
    spec: ServiceEntrySpec = ServiceEntrySpec()
    status: ServiceEntryStatus | None = None
