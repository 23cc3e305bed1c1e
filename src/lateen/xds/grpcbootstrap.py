"""Prints what a gRPC program without a proxy starts with (GRPC_XDS_BOOTSTRAP): who it is, where its control plane is, its certificates.

Names and shape are those of the file that istiod's agents write. Only plans come in; the result is JSON.
"""

import json

from msgspec import Struct

from lateen.model.proxylessplan import SERVER_PREFIX
from lateen.xds.bootstrap import BootstrapPlan
from lateen.xds.proxyless import PROVIDER

__all__ = ["CertificateFiles", "build_grpc_bootstrap"]


class CertificateFiles(Struct, frozen=True, kw_only=True):
    """Where the program's own certificate, its key and the mesh's root are; it looks again every `refresh` seconds."""

    chain: str
    key: str
    root: str
    refresh: int


def build_grpc_bootstrap(node: BootstrapPlan, server: str, certificates: CertificateFiles | None) -> bytes:
    """`server` is a gRPC target that is spoken to in the clear: a Unix socket of the agent, or a loopback address."""
    region, zone, sub_zone = node.locality
    content = {
        "xds_servers": [{"server_uri": server, "channel_creds": [{"type": "insecure"}], "server_features": ["xds_v3"]}],
        "node": {
            "id": node.node_id,
            "cluster": node.node_cluster,
            "metadata": {**node.metadata, "GENERATOR": "grpc"},
            "locality": {"region": region, "zone": zone, "sub_zone": sub_zone},
        },
        "certificate_providers": {PROVIDER: _provider(certificates)} if certificates is not None else {},
        "server_listener_resource_name_template": f"{SERVER_PREFIX}%s",
    }
    return json.dumps(content, indent=2, sort_keys=True).encode() + b"\n"


def _provider(files: CertificateFiles) -> dict[str, object]:
    config = {"certificate_file": files.chain, "private_key_file": files.key, "ca_certificate_file": files.root}
    return {"plugin_name": "file_watcher", "config": {**config, "refresh_interval": f"{files.refresh}s"}}
