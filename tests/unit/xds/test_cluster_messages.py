"""Clusters as Envoy gets them."""

import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import proxy_protocol_pb2
from envoy.extensions.transport_sockets.proxy_protocol.v3 import upstream_proxy_protocol_pb2
from envoy.extensions.transport_sockets.tls.v3 import tls_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2
from msgspec.structs import replace

from lateen.model.clusterplan import ClusterPlan, ClusterTls, EndpointsPlan, LoadBalancerPlan, LocalityPlan, OutlierPlan, PoolPlan
from lateen.model.endpoint import Endpoint, Locality
from lateen.xds.cluster import build_cluster
from lateen.xds.pack import serialise

_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
PLAN = ClusterPlan(name="outbound|80||web", kind="EDS")
MUTUAL = ClusterTls(mode="AUTO", alpn=("istio-peer-exchange", "istio"), certificate="default", root="ROOTCA", sni="web")


def http_options(plan: ClusterPlan) -> http_protocol_options_pb2.HttpProtocolOptions:
    options = http_protocol_options_pb2.HttpProtocolOptions()
    assert build_cluster(plan).typed_extension_protocol_options[_OPTIONS].Unpack(options)
    return options


def alpn(plan: ClusterPlan) -> str | None:
    """The names that the stand-in of istio.alpn reads from the cluster."""
    metadata = build_cluster(plan).metadata.filter_metadata
    return str(metadata["lateen"]["alpn"]) if "lateen" in metadata else None


def test_a_cluster_of_one_protocol_says_its_names() -> None:
    """One that follows the client does not, one outside the mesh sends none of the mesh's; without TLS there are none."""
    foreign = ClusterTls(mode="SIMPLE", root="file-root:system")
    assert alpn(replace(PLAN, tls=MUTUAL)) == "istio-http/1.1,istio,http/1.1"
    assert alpn(replace(PLAN, tls=MUTUAL, protocol="http2")) == "istio-h2,istio,h2"
    assert alpn(replace(PLAN, tls=MUTUAL, protocol="client")) is None
    assert alpn(replace(PLAN, tls=foreign, protocol="http2")) == ""
    assert alpn(PLAN) is None


def test_mutual_tls_is_chosen_by_endpoint() -> None:
    """Endpoints without a sidecar get plaintext."""
    matches = build_cluster(replace(PLAN, tls=MUTUAL)).transport_socket_matches
    assert [(one.name, one.transport_socket.name) for one in matches] == [
        ("tlsMode-istio", "envoy.transport_sockets.tls"),
        ("tlsMode-disabled", "envoy.transport_sockets.raw_buffer"),
    ]


@pytest.mark.parametrize(("tls", "inner"), [(None, "raw_buffer"), (ClusterTls(mode="SIMPLE", root="file-root:system"), "tls")])
def test_the_proxy_protocol_goes_before_the_connections_own(tls: ClusterTls | None, inner: str) -> None:
    """Whether that is TLS or not."""
    socket = build_cluster(replace(PLAN, tls=tls, proxy_protocol="V2")).transport_socket
    wrapper = upstream_proxy_protocol_pb2.ProxyProtocolUpstreamTransport()
    assert socket.typed_config.Unpack(wrapper)
    assert wrapper.config.version == proxy_protocol_pb2.ProxyProtocolConfig.V2
    assert wrapper.transport_socket.name == f"envoy.transport_sockets.{inner}"


def test_the_proxy_protocol_goes_before_each_choice() -> None:
    """Mutual TLS and plaintext alike."""
    cluster = build_cluster(replace(PLAN, tls=MUTUAL, proxy_protocol="V1"))
    names = {one.transport_socket.name for one in cluster.transport_socket_matches}
    assert names == {"envoy.transport_sockets.upstream_proxy_protocol"}
    assert not cluster.HasField("transport_socket")


def test_limits_of_tls_outside_the_mesh_are_printed() -> None:
    """Curves, ciphers, revoked certificates."""
    tls = ClusterTls(mode="SIMPLE", root="file-root:ca.pem", curves=("P-256",), ciphers=("ECDHE-RSA-AES256-GCM-SHA384",), crl="/crl.pem")
    context = tls_pb2.UpstreamTlsContext()
    assert build_cluster(replace(PLAN, tls=tls)).transport_socket.typed_config.Unpack(context)
    common = context.common_tls_context
    assert list(common.tls_params.ecdh_curves) == ["P-256"]
    assert list(common.tls_params.cipher_suites) == ["ECDHE-RSA-AES256-GCM-SHA384"]
    assert common.combined_validation_context.default_validation_context.crl.filename == "/crl.pem"


def test_options_always_name_a_protocol() -> None:
    """Envoy refuses them without."""
    plan = replace(PLAN, pool=PoolPlan(idle_timeout=5_000_000_000))
    assert http_options(plan).explicit_http_config.HasField("http_protocol_options")
    limited = replace(PLAN, protocol="http2", pool=PoolPlan(concurrent_streams=7))
    assert http_options(limited).explicit_http_config.http2_protocol_options.max_concurrent_streams.value == 7
    assert _OPTIONS not in build_cluster(PLAN).typed_extension_protocol_options


def test_ejection_never_goes_by_success_rates() -> None:
    """Not by those of local errors either; a threshold of zero switches its reason off."""
    outlier = build_cluster(replace(PLAN, outlier=OutlierPlan(consecutive_5xx=0, split_local=True, consecutive_local=0))).outlier_detection
    assert outlier.enforcing_success_rate.value == outlier.enforcing_local_origin_success_rate.value == 0
    assert outlier.HasField("enforcing_local_origin_success_rate")
    assert (outlier.enforcing_consecutive_5xx.value, outlier.HasField("enforcing_consecutive_local_origin_failure")) == (0, False)


def test_a_ring_without_a_size_is_envoys_own() -> None:
    """`ringHash: {}` asks for the algorithm only."""
    cluster = build_cluster(replace(PLAN, load_balancer=LoadBalancerPlan(policy="RING_HASH")))
    assert cluster.lb_policy == cluster_pb2.Cluster.RING_HASH
    assert not cluster.HasField("ring_hash_lb_config")


def test_connections_to_loopback_need_no_source_address() -> None:
    """All others are made from one that is not redirected."""

    def inbound(address: str) -> cluster_pb2.Cluster:
        one = Endpoint(address=address, port=8080, service_port=8080)
        places = (LocalityPlan(locality=Locality(), endpoints=(one,), weight=1),)
        endpoints = EndpointsPlan(cluster="inbound|8080||", localities=places)
        return build_cluster(ClusterPlan(name="inbound|8080||", kind="STATIC", inbound=True, endpoints=endpoints))

    assert not inbound("127.0.0.1").HasField("upstream_bind_config")
    assert inbound("10.0.0.1").upstream_bind_config.source_address.address == "127.0.0.6"


def test_equal_plans_give_equal_bytes() -> None:
    """Maps are sorted: the version is a hash of the bytes."""
    plan = replace(PLAN, tls=MUTUAL, services=(("web", "web", "default"),), subset="v1", external=True)
    assert serialise(build_cluster(plan)) == serialise(build_cluster(replace(plan)))
