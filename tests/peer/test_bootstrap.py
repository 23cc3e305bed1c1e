"""Istio's bootstrap cases: the Envoy bootstrap that istiod's agent writes, compared message by message."""

import json
from pathlib import Path
from typing import Any

import pytest
from envoy.config.bootstrap.v3 import bootstrap_pb2
from envoy.extensions.bootstrap.internal_listener.v3 import internal_listener_pb2
from google.protobuf import json_format
from udpa.type.v1 import typed_struct_pb2

from lateen.xds.bootstrap import BootstrapPlan, build_bootstrap
from lateen.xds.bootstrapclusters import Pipe
from lateen.xds.bootstrapstats import StatsPlan

pytestmark = pytest.mark.copied_from("istio/istio", "pkg/bootstrap/testdata", "see shared/cases/bootstrap/SOURCE.md")

_NOT_OURS = ("zipkin", "envoy_metrics_service", "envoy_accesslog_service")  # tracing, statsd and metrics sinks: a later step
_CASES = [
    "xdsproxy",
    "auth",
    "explicit_internal_address",
    "all",
    "stats_inclusion",
    "stats_flush_interval",
    "tracing_none",
    "global_downstream_max_connections_runtime",
]


def golden(folder: Path, name: str) -> Any:
    """The recorded bootstrap, its internal listener in the plain form of the same message, without its tracing and sinks."""
    recorded = json.loads((folder / f"{name}_golden.json").read_text())
    buffers = internal_listener_pb2.InternalListener()
    json_format.ParseDict(recorded["bootstrap_extensions"][0]["typed_config"]["value"], buffers)
    recorded["bootstrap_extensions"][0]["typed_config"] = {
        "@type": "type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener",
        **json_format.MessageToDict(buffers),
    }
    recorded["static_resources"]["clusters"] = [each for each in recorded["static_resources"]["clusters"] if each["name"] not in _NOT_OURS]
    for later in ("tracing", "stats_sinks"):
        recorded.pop(later, None)
    return recorded


def plan(recorded: Any) -> BootstrapPlan:
    """The plan that must give it: what the case's proxy configuration and annotations say, as the golden file repeats it in its node."""
    metadata = recorded["node"]["metadata"]
    annotations = metadata.get("ANNOTATIONS", {})
    words = {
        key: annotations.get(f"sidecar.istio.io/{key}", "") for key in ("statsInclusionSuffixes", "statsInclusionRegexps", "extraStatTags")
    }
    prefixes = [each for each in annotations.get("sidecar.istio.io/statsInclusionPrefixes", "").split(",") if each]
    ips = metadata["INSTANCE_IPS"].split(",")
    buckets = json.loads(annotations.get("sidecar.istio.io/statsHistogramBuckets", "{}"))
    runtime = metadata["PROXY_CONFIG"].get("runtimeValues", {})
    return BootstrapPlan(
        node_id=recorded["node"]["id"],
        node_cluster=recorded["node"]["cluster"],
        metadata=metadata,
        xds=Pipe("/tmp/XDS"),
        sds="./var/run/secrets/workload-spiffe-uds/test.sock",
        stats=StatsPlan(
            prefixes=tuple(p.replace("{pod_ip}", ip) for p in prefixes for ip in (ips if "{pod_ip}" in p else ips[:1])),
            suffixes=tuple(filter(None, words["statsInclusionSuffixes"].split(","))),
            regexes=tuple(filter(None, words["statsInclusionRegexps"].split(","))),
            tags=(*metadata["PROXY_CONFIG"].get("extraStatTags", ()), *filter(None, words["extraStatTags"].split(","))),
            buckets=tuple((name, tuple(bounds)) for name, bounds in sorted(buckets.items())),
            flush_interval=10_000_000_000 if "sidecar.istio.io/statsFlushInterval" in annotations else 0,
        ),
        runtime={key: True if value == "true" else value for key, value in runtime.items()},
        admin_port=metadata["PROXY_CONFIG"]["proxyAdminPort"],
        outlier_log=metadata.get("OUTLIER_LOG_PATH", ""),
    )


@pytest.mark.parametrize("name", _CASES)
def test_bootstrap(shared_cases: Path, name: str) -> None:
    """Equal, field by field."""
    assert typed_struct_pb2.DESCRIPTOR is not None
    recorded = golden(shared_cases / "bootstrap", name)
    built = bootstrap_pb2.Bootstrap.FromString(build_bootstrap(plan(recorded)))
    expected = json_format.ParseDict(recorded, bootstrap_pb2.Bootstrap())
    assert json_format.MessageToDict(built) == json_format.MessageToDict(expected)
