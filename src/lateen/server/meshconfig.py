"""MeshConfig, from bytes or from the ConfigMap `istio` of the root namespace (key `mesh`); Istio's defaults while there is none.

A text that cannot be read keeps the last good settings, as a typing error must not change the mesh.
"""

from collections.abc import Callable, Mapping

from lateen.api.decode import decode_message
from lateen.api.kinds import info_of
from lateen.api.meshconfig import MeshConfig
from lateen.runtime import log
from lateen.sources.kubeclient import KubeClient

__all__ = ["follow_mesh_config", "mesh_of"]

NAME = "istio"
_log = log.get("mesh-config")


def mesh_of(data: bytes, source: str) -> MeshConfig | None:
    """What a text says; None where it cannot be read, which is logged."""
    mesh, problems = decode_message(data, MeshConfig, source)
    for problem in problems:
        _log.warning("mesh configuration", problem=problem.message)
    return mesh


async def follow_mesh_config(client: KubeClient, namespace: str, tell: Callable[[MeshConfig], None], *, synced: Callable[[], None]) -> None:
    """Call `tell` at every change until cancelled; `synced` once the first look is over."""

    def on_event(event: str, raw: Mapping[str, object]) -> None:
        if event == "DELETED":
            tell(MeshConfig())
            return
        data = raw.get("data")
        text = str(data.get("mesh", "")) if isinstance(data, Mapping) else ""
        if (mesh := mesh_of(text.encode(), f"ConfigMap {namespace}/{NAME}")) is not None:
            tell(mesh)

    await client.reflect(info_of("ConfigMap"), on_event, on_synced=synced, namespace=namespace, field_selector=f"metadata.name={NAME}")
