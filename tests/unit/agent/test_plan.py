"""What an agent's plan makes of a pod: node, bootstrap, command line, settings."""

from pathlib import Path

from envoy.config.bootstrap.v3 import bootstrap_pb2
from envoy.extensions.transport_sockets.tls.v3 import tls_pb2
from google.protobuf.json_format import MessageToDict

from lateen.agent.plan import AgentPlan, Workload, bootstrap_plan, envoy_argv
from lateen.agent.proxyconfig import read_proxy_config
from lateen.api.meshconfig import ProxyConfig, ProxyStatsMatcher
from lateen.serve.node import proxy_from_node
from lateen.xds.bootstrap import build_bootstrap
from lateen.xds.bootstrapclusters import Pipe, Tcp

REVIEWS = Workload(
    name="reviews-v2-1",
    namespace="default",
    service_account="bookinfo-reviews",
    address="10.177.0.5",
    workload="reviews-v2",
    labels={"app": "reviews", "version": "v2", "istio-locality": "region1.zone1"},
    annotations={"sidecar.istio.io/statsInclusionPrefixes": "http.{pod_ip}_,cluster.out", "example.com/long": "x" * 100},
    ports=(9080,),
)


def plan(**changes: object) -> AgentPlan:
    fields: dict[str, object] = {
        "workload": REVIEWS,
        "xds": Tcp("10.177.0.1", 15012, "istiod.istio-system.svc"),
        "directory": Path("/pods/x/sidecar"),
    }
    return AgentPlan(**(fields | changes))  # type: ignore[arg-type]


def bootstrap(of: AgentPlan) -> bootstrap_pb2.Bootstrap:
    return bootstrap_pb2.Bootstrap.FromString(build_bootstrap(bootstrap_plan(of)))


def test_control_plane_reads_the_node_back() -> None:
    """What an agent says of its pod is what our own control plane understands."""
    proxy = proxy_from_node(bootstrap(plan()).node)
    assert (proxy.id, proxy.kind) == ("sidecar~10.177.0.5~reviews-v2-1.default~default.svc.cluster.local", "sidecar")
    assert (proxy.name, proxy.namespace, proxy.service_account, proxy.workload) == (
        "reviews-v2-1",
        "default",
        "bookinfo-reviews",
        "reviews-v2",
    )
    assert dict(proxy.labels) == REVIEWS.labels and proxy.addresses == ("10.177.0.5",)
    assert (proxy.locality.region, proxy.locality.zone, proxy.cluster, proxy.dns_capture) == ("region1", "zone1", "Kubernetes", True)


def test_only_istios_annotations_travel() -> None:
    """A long annotation of somebody else's does not burden every request of the proxy."""
    metadata = MessageToDict(bootstrap(plan()).node)["metadata"]
    assert list(metadata["ANNOTATIONS"]) == ["sidecar.istio.io/statsInclusionPrefixes"]


def test_proxy_sees_its_folder_where_it_was_mounted() -> None:
    """The socket of the certificates, and the bootstrap, by the path inside the pod."""
    seen = plan(seen_at="/etc/istio/proxy")
    sds = next(cluster for cluster in bootstrap(seen).static_resources.clusters if cluster.name == "sds-grpc")
    assert sds.load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.pipe.path == "/etc/istio/proxy/sds.sock"
    assert envoy_argv(seen)[1:3] == ("--config-path", "/etc/istio/proxy/bootstrap.pb")
    assert plan().as_seen(plan().socket) == "/pods/x/sidecar/sds.sock"


def test_control_plane_is_checked_and_shown_the_own_certificate() -> None:
    """Over TCP with a name: mutual TLS, certificate and root from the agent, the server's name verified. Over a pipe: none."""
    xds = next(cluster for cluster in bootstrap(plan()).static_resources.clusters if cluster.name == "xds-grpc")
    tls = tls_pb2.UpstreamTlsContext()
    assert xds.transport_socket.typed_config.Unpack(tls)
    common = tls.common_tls_context
    assert [secret.name for secret in common.tls_certificate_sds_secret_configs] == ["default"]
    assert common.combined_validation_context.validation_context_sds_secret_config.name == "ROOTCA"
    (name,) = common.combined_validation_context.default_validation_context.match_typed_subject_alt_names
    assert name.matcher.exact == "istiod.istio-system.svc"
    plain = next(c for c in bootstrap(plan(xds=Pipe("/run/xds.sock"))).static_resources.clusters if c.name == "xds-grpc")
    assert not plain.HasField("transport_socket")


def test_annotations_add_statistics() -> None:
    """{pod_ip} is the pod's address; what the mesh asks for comes where the pod asks for nothing."""
    asked = plan(proxy=ProxyConfig(proxy_stats_matcher=ProxyStatsMatcher(inclusion_prefixes=("mesh",), inclusion_suffixes=("rq_total",))))
    stats = bootstrap_plan(asked).stats
    assert stats.prefixes == ("http.10.177.0.5_", "cluster.out") and stats.suffixes == ("rq_total",)


def test_command_line_follows_the_settings() -> None:
    """One worker unless asked; 0 means one for each CPU; never hot restart."""
    assert "--concurrency 1" in " ".join(envoy_argv(plan()))
    assert "--concurrency 4 " in " ".join(envoy_argv(plan(proxy=ProxyConfig(concurrency=4)))) + " "
    assert "--concurrency" not in envoy_argv(plan(proxy=ProxyConfig(concurrency=0)))
    assert {"--disable-hot-restart", "--allow-unknown-static-fields"} <= set(envoy_argv(plan()))


def test_pod_overrides_the_mesh_field_by_field() -> None:
    """Also with a value that is the default; environments are joined."""
    mesh = ProxyConfig(concurrency=2, termination_drain_duration="1s", proxy_metadata={"A": "1", "B": "1"})
    own, problems = read_proxy_config(mesh, "concurrency: 1\nterminationDrainDuration: 5s\nproxyMetadata: {B: '2'}", "pod")
    assert problems == ()
    assert (own.concurrency, own.termination_drain_duration, own.proxy_metadata) == (1, "5s", {"A": "1", "B": "2"})
    assert read_proxy_config(mesh, "", "pod") == (mesh, ())
    tagged = ProxyConfig(extra_stat_tags=("a",))
    assert read_proxy_config(tagged, "extraStatTags: []", "pod")[0].extra_stat_tags == ()


def test_broken_annotation_changes_nothing_and_is_told() -> None:
    """The proxy starts with the mesh's settings."""
    mesh = ProxyConfig(concurrency=2)
    own, problems = read_proxy_config(mesh, "concurrency: many", "pod reviews")
    assert own == mesh and len(problems) == 1 and problems[0].path == "concurrency"


def test_environment_named_istio_meta_becomes_metadata() -> None:
    """ISTIO_META_X of the proxy's environment is X of its node."""
    metadata = bootstrap_plan(plan(proxy=ProxyConfig(proxy_metadata={"ISTIO_META_NETWORK": "net1", "OTHER": "x"}))).metadata
    assert metadata["NETWORK"] == "net1" and "OTHER" not in metadata


def test_drain_time_is_the_settings() -> None:
    """terminationDrainDuration, in seconds."""
    assert plan().drain_seconds == 5.0 and plan(proxy=ProxyConfig(termination_drain_duration="300ms")).drain_seconds == 0.3
