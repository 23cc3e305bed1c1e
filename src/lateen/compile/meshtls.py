"""What MeshConfig says of how connections and paths are read everywhere: the oldest TLS version, the normal form of paths."""

from typing import Literal

from lateen.api.meshconfig import MeshConfig
from lateen.model.listenerplan import PathNormalization

__all__ = ["HTTP_IN_TLS", "MESH_PROTOCOLS", "min_tls", "path_normalization"]

HTTP_IN_TLS = ("istio-http/1.0", "istio-http/1.1", "istio-h2")  # what sidecars offer in mutual TLS that carries HTTP
MESH_PROTOCOLS = ("istio", "istio-peer-exchange", *HTTP_IN_TLS)  # or anything


def min_tls(mesh: MeshConfig) -> Literal["TLSV1_2", "TLSV1_3"]:
    """The oldest version that mutual TLS of the mesh takes: 1.2, or 1.3 where it is asked for."""
    return "TLSV1_3" if mesh.mesh_mtls.min_protocol_version == "TLSV1_3" else "TLSV1_2"


def path_normalization(mesh: MeshConfig) -> PathNormalization:
    """How paths are brought to one form before rules and routes look at them."""
    wanted = mesh.path_normalization.normalization
    return "BASE" if wanted == "DEFAULT" else wanted
