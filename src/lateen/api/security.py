"""Istio's security kinds: PeerAuthentication."""

from collections.abc import Mapping
from typing import Literal

from msgspec import field

from lateen.api.base import Message
from lateen.api.meta import IstioStatus, ObjectMeta, WorkloadSelector

__all__ = ["MutualTLS", "PeerAuthentication", "PeerAuthenticationSpec"]


class MutualTLS(Message, frozen=True):
    """Whether mutual TLS is taken; UNSET inherits from the wider scope."""

    mode: Literal["UNSET", "DISABLE", "PERMISSIVE", "STRICT"] = "UNSET"


class PeerAuthenticationSpec(Message, frozen=True):
    """Selector (none: the namespace, or the mesh in the root namespace), mode, and modes of workload ports."""

    selector: WorkloadSelector | None = None
    mtls: MutualTLS | None = None
    port_level_mtls: Mapping[int, MutualTLS] = field(default_factory=dict)


class PeerAuthentication(Message, frozen=True):
    """security.istio.io PeerAuthentication, all versions."""

    api_version: str = "security.istio.io/v1"
    kind: Literal["PeerAuthentication"] = "PeerAuthentication"
    metadata: ObjectMeta = ObjectMeta()
    spec: PeerAuthenticationSpec = PeerAuthenticationSpec()
    status: IstioStatus | None = None
