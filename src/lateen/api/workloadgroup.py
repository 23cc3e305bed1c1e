"""Istio's WorkloadGroup: what the workloads outside Kubernetes that join a service have in common."""

from collections.abc import Mapping
from typing import Literal

from msgspec import field

from lateen.api.base import Int32, Message, OneOf, UInt32
from lateen.api.meta import IstioStatus, ObjectMeta
from lateen.api.serviceentry import WorkloadEntrySpec

__all__ = [
    "ExecHealthCheck",
    "GrpcHealthCheck",
    "HTTPHealthCheck",
    "HealthCheckHeader",
    "ReadinessProbe",
    "TCPHealthCheck",
    "WorkloadGroup",
    "WorkloadGroupMeta",
    "WorkloadGroupSpec",
]


class HealthCheckHeader(Message, frozen=True):
    """A header of the check."""

    name: str = ""
    value: str = ""


class HTTPHealthCheck(Message, frozen=True):
    """Healthy when the answer's status is from 200 to 399."""

    path: str = ""
    port: UInt32 = 0
    host: str = ""
    scheme: str = ""
    http_headers: tuple[HealthCheckHeader, ...] = ()


class TCPHealthCheck(Message, frozen=True):
    """Healthy when it can be connected to."""

    host: str = ""
    port: UInt32 = 0


class ExecHealthCheck(Message, frozen=True):
    """Healthy when the command ends with 0."""

    command: tuple[str, ...] = ()


class GrpcHealthCheck(Message, frozen=True):
    """Healthy when gRPC's health service says so."""

    port: UInt32 = 0
    service: str = ""


class ReadinessProbe(OneOf, frozen=True):
    """How and how often the agent asks the application; seconds and counts, 0 for the default."""

    one_of = (("http_get", "tcp_socket", "exec", "grpc"),)

    initial_delay_seconds: Int32 = 0
    timeout_seconds: Int32 = 0
    period_seconds: Int32 = 0
    success_threshold: Int32 = 0
    failure_threshold: Int32 = 0
    http_get: HTTPHealthCheck | None = None
    tcp_socket: TCPHealthCheck | None = None
    exec: ExecHealthCheck | None = None
    grpc: GrpcHealthCheck | None = None


class WorkloadGroupMeta(Message, frozen=True):
    """What the WorkloadEntries made from it are marked with."""

    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


class WorkloadGroupSpec(Message, frozen=True):
    """The template of the WorkloadEntries, and their readiness."""

    metadata: WorkloadGroupMeta | None = None
    template: WorkloadEntrySpec | None = None
    probe: ReadinessProbe | None = None


class WorkloadGroup(Message, frozen=True):
    """networking.istio.io WorkloadGroup, all versions."""

    api_version: str = "networking.istio.io/v1"
    kind: Literal["WorkloadGroup"] = "WorkloadGroup"
    metadata: ObjectMeta = ObjectMeta()
    spec: WorkloadGroupSpec = WorkloadGroupSpec()
    status: IstioStatus | None = None
