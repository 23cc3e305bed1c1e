"""Which protocol a server hears when client and cluster speak different ones, through a real Envoy with mutual TLS names."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from envoy.extensions.transport_sockets.tls.v3 import tls_pb2
from google.protobuf import json_format

from lateen.agent.plan import ENVOY
from lateen.ca.csr import new_request
from lateen.ca.signer import SelfSignedRoot, Signer
from lateen.ca.spiffe import Identity
from lateen.model.clusterplan import ClusterPlan, ClusterTls, EndpointsPlan, LocalityPlan
from lateen.model.endpoint import Endpoint, Locality
from lateen.runtime.clock import SystemClock
from lateen.testing.mesh import free_port
from lateen.testing.waiting import wait_until
from lateen.xds.cluster import build_cluster
from lateen.xds.filters.alpn import build_alpn

pytestmark = pytest.mark.envoy
_TYPE = "type.googleapis.com/"
_HOUR = 3600
_MESH, _FOREIGN = ("istio-peer-exchange", "istio"), ()


def cluster(name: str, protocol: str, mode: str, port: int) -> dict[str, Any]:
    """A cluster as it is sent, but that its TLS needs no certificate of its own and trusts everybody."""
    h2 = ("h2",) if protocol == "http2" else ()
    names = (*(_MESH if mode == "ISTIO_MUTUAL" else _FOREIGN), *h2)
    endpoint = Endpoint(address="127.0.0.1", port=port, service_port=port)
    message = build_cluster(
        ClusterPlan(
            name=name,
            kind="STATIC",
            protocol=protocol,  # type: ignore[arg-type]
            tls=ClusterTls(mode=mode, alpn=names),  # type: ignore[arg-type]
            endpoints=EndpointsPlan(cluster=name, localities=(LocalityPlan(locality=Locality(), endpoints=(endpoint,), weight=1),)),
        )
    )
    context = tls_pb2.UpstreamTlsContext()
    assert message.transport_socket.typed_config.Unpack(context)
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


def manager(routes: list[dict[str, Any]], filters: list[dict[str, Any]]) -> dict[str, Any]:
    network = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    router = {"name": "router", "typed_config": {"@type": f"{_TYPE}envoy.extensions.filters.http.router.v3.Router"}}
    config: dict[str, Any] = {"stat_prefix": "x", "http_filters": [*filters, router]}
    config["route_config"] = {"virtual_hosts": [{"name": "v", "domains": ["*"], "routes": routes}]}
    return {"name": "manager", "typed_config": {"@type": _TYPE + network, **config}}


def server_chain(names: list[str], said: str, folder: Path) -> dict[str, Any]:
    """Takes connections that offer one of the names (none: all), and answers with `said`."""
    files = {"certificate_chain": {"filename": str(folder / "chain.pem")}, "private_key": {"filename": str(folder / "key.pem")}}
    tls = {"alpn_protocols": ["h2", "http/1.1"], "tls_certificates": [files]}
    kind = f"{_TYPE}envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
    answer = {"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": said}}}
    return {
        "filter_chain_match": {"application_protocols": names},
        "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": {"@type": kind, "common_tls_context": tls}},
        "filters": [manager([answer], [])],
    }


def listener(name: str, port: int, **rest: object) -> dict[str, Any]:
    return {"name": name, "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}, **rest}


@contextmanager
def envoy(config: dict[str, Any], admin: int, folder: Path) -> Iterator[None]:
    """An Envoy of this configuration, ready."""
    file = folder / "envoy.json"
    file.write_text(json.dumps(config))
    with (folder / "envoy.log").open("wb") as log:
        process = subprocess.Popen(
            [ENVOY, "-c", str(file), "--disable-hot-restart", "--concurrency", "1", "--log-level", "warning"], stdout=log, stderr=log
        )
    try:
        wait_until(lambda: curl(f"http://127.0.0.1:{admin}/ready").strip() == "LIVE", seconds=20, what="Envoy is live")
        yield
    finally:
        process.terminate()
        process.wait(timeout=10)


def curl(url: str, *options: str) -> str:
    ran = subprocess.run(["curl", "--silent", "--max-time", "5", *options, url], capture_output=True, text=True, check=False, timeout=10)
    return ran.stdout


@pytest.fixture(scope="module")
def entrance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A client's proxy with a route to a cluster of each kind, and one server behind all of them."""
    folder = tmp_path_factory.mktemp("alpn")
    now, identity = SystemClock().now(), Identity("cluster.local", "default", "server")
    key, request = new_request(identity)
    chain = Signer(SelfSignedRoot.create("cluster.local", now)).sign(request, identity, _HOUR, now)
    (folder / "chain.pem").write_bytes(b"".join(chain))
    (folder / "key.pem").write_bytes(key.reveal())
    server, client, admin = free_port(), free_port(), free_port()
    kinds = {"http1": "default", "http2": "http2", "client": "client"}
    clusters = [cluster(name, kind, "ISTIO_MUTUAL", server) for name, kind in kinds.items()]
    clusters += [cluster(f"foreign-{name}", kind, "SIMPLE", server) for name, kind in kinds.items() if name != "client"]
    routes = [{"match": {"prefix": f"/{one['name']}"}, "route": {"cluster": one["name"]}} for one in clusters]
    inspector = {"@type": f"{_TYPE}envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"}
    alpn = json_format.MessageToDict(build_alpn(), preserving_proto_field_name=True)
    chains = [
        server_chain(["istio-http/1.0", "istio-http/1.1"], "mesh HTTP/1", folder),
        server_chain(["istio-h2"], "mesh HTTP/2", folder),
        server_chain(["istio"], "mesh TCP", folder),
        server_chain([], "no name of the mesh", folder),
    ]
    resources = {
        "clusters": clusters,
        "listeners": [
            listener("server", server, listener_filters=[{"name": "tls", "typed_config": inspector}], filter_chains=chains),
            listener("client", client, filter_chains=[{"filters": [manager(routes, [alpn])]}]),
        ],
    }
    config = {"admin": {"address": listener("", admin)["address"]}, "static_resources": resources}
    with envoy(config, admin, folder):
        yield f"http://127.0.0.1:{client}"


@pytest.mark.parametrize("client", ["--http1.1", "--http2-prior-knowledge"])
@pytest.mark.parametrize(
    ("name", "heard"),
    [
        ("http1", "mesh HTTP/1"),
        ("http2", "mesh HTTP/2"),
        ("foreign-http1", "no name of the mesh"),
        ("foreign-http2", "no name of the mesh"),
    ],
)
def test_a_cluster_of_one_protocol_is_named_by_it_whatever_the_client_speaks(entrance: str, name: str, heard: str, client: str) -> None:
    """The server takes its codec from the name, so a wrong one would end every request in an error."""
    assert curl(f"{entrance}/{name}", client) == heard


@pytest.mark.parametrize(("client", "heard"), [("--http1.1", "mesh HTTP/1"), ("--http2-prior-knowledge", "mesh HTTP/2")])
def test_a_cluster_that_follows_the_client_is_named_by_the_request(entrance: str, client: str, heard: str) -> None:
    """Both kinds of request may use one cluster."""
    assert curl(f"{entrance}/client", client) == heard
