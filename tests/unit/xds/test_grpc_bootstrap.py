"""The file that a gRPC program without a proxy starts with."""

import json

from lateen.xds.bootstrap import BootstrapPlan
from lateen.xds.bootstrapclusters import Pipe
from lateen.xds.grpcbootstrap import CertificateFiles, build_grpc_bootstrap

NODE = BootstrapPlan(
    node_id="sidecar~10.0.0.9~client-0.default~default.svc.cluster.local",
    node_cluster="client.default",
    metadata={"NAMESPACE": "default"},
    xds=Pipe("unused"),
    sds="unused",
    locality=("eu", "a", ""),
)


def test_certificates_are_files_that_are_looked_at_again() -> None:
    """One provider, by the name that clusters and servers give it."""
    files = CertificateFiles(chain="/c/chain", key="/c/key", root="/c/root", refresh=900)
    made = json.loads(build_grpc_bootstrap(NODE, "unix:///c/XDS", files))
    provider = made["certificate_providers"]["default"]
    assert provider == {
        "plugin_name": "file_watcher",
        "config": {
            "certificate_file": "/c/chain",
            "private_key_file": "/c/key",
            "ca_certificate_file": "/c/root",
            "refresh_interval": "900s",
        },
    }


def test_it_says_who_the_program_is_and_where_its_control_plane() -> None:
    """As a sidecar's node, with the generator of gRPC; servers ask by address. Without files there are no providers."""
    made = json.loads(build_grpc_bootstrap(NODE, "127.0.0.1:15010", None))
    assert made["node"] == {
        "id": NODE.node_id,
        "cluster": "client.default",
        "metadata": {"NAMESPACE": "default", "GENERATOR": "grpc"},
        "locality": {"region": "eu", "zone": "a", "sub_zone": ""},
    }
    assert [server["server_uri"] for server in made["xds_servers"]] == ["127.0.0.1:15010"]
    assert made["certificate_providers"] == {}
    assert made["server_listener_resource_name_template"] == "xds.istio.io/grpc/lds/inbound/%s"
