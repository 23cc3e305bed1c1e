"""What is fixed for the life of a control plane: names of the cluster, not what MeshConfig changes live."""

from msgspec import Struct

__all__ = ["Settings"]


class Settings(Struct, frozen=True, kw_only=True):
    """Istio's defaults. `domain` "" leaves short names at `name.namespace`."""

    domain: str = "cluster.local"
    trust_domain: str = "cluster.local"
    root_namespace: str = "istio-system"
    cluster: str = "Kubernetes"
