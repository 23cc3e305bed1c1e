"""Istio's bootstrap cases: the Envoy bootstrap that istiod's agent writes, compared message by message."""

import json
from pathlib import Path
from typing import Any

import pytest
from envoy.config.bootstrap.v3 import bootstrap_pb2
from envoy.extensions.bootstrap.internal_listener.v3 import internal_listener_pb2
from google.protobuf import json_format
from udpa.type.v1 import typed_struct_pb2

from lateen.agent.proxyconfig import read_proxy_config
from lateen.agent.stats import stats_plan
from lateen.api.meshconfig import ProxyConfig
from lateen.xds.bootstrap import BootstrapPlan, build_bootstrap
from lateen.xds.bootstrapclusters import Pipe

pytestmark = pytest.mark.copied_from("istio/istio", "pkg/bootstrap/testdata", "see shared/cases/bootstrap/SOURCE.md")

_NOT_OURS = ("zipkin", "envoy_metrics_service", "envoy_accesslog_service")  # tracing, statsd and metrics sinks: a later step


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per recorded bootstrap."""
    file = Path(metafunc.config.getoption("--cases")) / "bootstrap" / "expected.json"
    metafunc.parametrize("name", [case["name"] for case in json.loads(file.read_text())] if file.exists() else [])


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
    layer = next(each for each in recorded["layered_runtime"]["layers"] if each["name"] == "global config")
    layer["static_layer"]["envoy.reloadable_features.tcp_proxy_delay_route_selection"] = True  # docs/decisions/017
    for later in ("tracing", "stats_sinks"):
        recorded.pop(later, None)
    return recorded


def plan(recorded: Any) -> BootstrapPlan:
    """The plan that must give it: what the case's proxy configuration and annotations say, as the golden file repeats it in its node."""
    metadata = recorded["node"]["metadata"]
    proxy, problems = read_proxy_config(ProxyConfig(), json.dumps(metadata["PROXY_CONFIG"]), "PROXY_CONFIG")
    assert not problems
    runtime = metadata["PROXY_CONFIG"].get("runtimeValues", {})
    return BootstrapPlan(
        node_id=recorded["node"]["id"],
        node_cluster=recorded["node"]["cluster"],
        metadata=metadata,
        xds=Pipe("/tmp/XDS"),
        sds="./var/run/secrets/workload-spiffe-uds/test.sock",
        stats=stats_plan(metadata.get("ANNOTATIONS", {}), proxy, metadata["INSTANCE_IPS"].split(",")),
        runtime={key: True if value == "true" else value for key, value in runtime.items()},
        admin_port=metadata["PROXY_CONFIG"]["proxyAdminPort"],
        outlier_log=metadata.get("OUTLIER_LOG_PATH", ""),
    )


def test_bootstrap(shared_cases: Path, name: str) -> None:
    """Equal, field by field."""
    assert typed_struct_pb2.DESCRIPTOR is not None
    recorded = golden(shared_cases / "bootstrap", name)
    built = bootstrap_pb2.Bootstrap.FromString(build_bootstrap(plan(recorded)))
    expected = json_format.ParseDict(recorded, bootstrap_pb2.Bootstrap())
    assert json_format.MessageToDict(built) == json_format.MessageToDict(expected)
