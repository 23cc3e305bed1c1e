"""Istio's kind ProxyConfig: how the proxies of some workloads are started."""

from collections.abc import Mapping
from typing import Literal

from msgspec import field

from lateen.api.base import Int32, Message
from lateen.api.meta import IstioStatus, ObjectMeta, WorkloadSelector

__all__ = ["ProxyConfig", "ProxyConfigSpec", "ProxyImage"]


class ProxyImage(Message, frozen=True):
    """The kind of image: default, debug or distroless."""

    image_type: str = ""


class ProxyConfigSpec(Message, frozen=True):
    """Which workloads (none: the namespace, or the mesh in the root namespace), workers, environment, image."""

    selector: WorkloadSelector | None = None
    concurrency: Int32 | None = None
    environment_variables: Mapping[str, str] = field(default_factory=dict)
    image: ProxyImage | None = None


class ProxyConfig(Message, frozen=True):
    """networking.istio.io ProxyConfig, all versions."""

    api_version: str = "networking.istio.io/v1beta1"
    kind: Literal["ProxyConfig"] = "ProxyConfig"
    metadata: ObjectMeta = ObjectMeta()
    spec: ProxyConfigSpec = ProxyConfigSpec()
    status: IstioStatus | None = None
