"""What a proxy is started with: ProxyConfigs beside the pod's annotation, and EnvoyFilters' changes of the bootstrap."""

import json
from collections.abc import Iterator

import pytest

from lateen.testing.mesh import Mesh
from lateen.testing.waiting import wait_until

pytestmark = [pytest.mark.envoy, pytest.mark.netns, pytest.mark.slow]

SETTINGS = """
apiVersion: networking.istio.io/v1beta1
kind: ProxyConfig
metadata: {name: wide}
spec: {concurrency: 4, environmentVariables: {ISTIO_META_SIZE: wide, ISTIO_META_SHAPE: wide}}
---
apiVersion: networking.istio.io/v1beta1
kind: ProxyConfig
metadata: {name: tuned}
spec: {selector: {matchLabels: {app: tuned}}, concurrency: 2, environmentVariables: {ISTIO_META_COLOUR: own}}
"""
POD = """
apiVersion: v1
kind: Pod
metadata:
  name: tuned
  labels: {app: tuned}
  annotations: {proxy.istio.io/config: "{concurrency: 3, proxyMetadata: {ISTIO_META_COLOUR: noted, ISTIO_META_SHAPE: noted}}"}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: busybox, command: [sleep, "1000"]}]
"""
CHANGE = """
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: start}
spec:
  workloadSelector: {labels: {app: tuned}}
  configPatches:
    - applyTo: BOOTSTRAP
      patch:
        operation: MERGE
        value:
          static_resources: {clusters: [{name: from-the-start, type: STATIC, connect_timeout: 1s}]}
"""


@pytest.fixture(scope="module")
def tuned(mesh: Mesh) -> Iterator[Mesh]:
    """A mesh with a pod whose proxy has settings of its own."""
    with mesh.applied(SETTINGS):
        mesh.apply(POD)
        try:
            wait_until(lambda: mesh.ready("tuned"), seconds=20, what="the pod")
            yield mesh
        finally:
            mesh.delete(POD)


def asked(mesh: Mesh, path: str) -> str:
    """What the pod's Envoy says."""
    return mesh.must("exec", "tuned", "-c", "istio-proxy", "--", "pilot-agent", "request", "GET", path)


def test_settings_of_workloads_win_over_the_annotation_and_it_over_those_of_the_namespace(tuned: Mesh) -> None:
    """Workers and environment, field by field."""
    told = json.loads(asked(tuned, "server_info"))
    assert told["command_line_options"]["concurrency"] == 2
    metadata = told["node"]["metadata"]
    assert [metadata[name] for name in ("SIZE", "SHAPE", "COLOUR")] == ["wide", "noted", "own"]


def test_a_changed_bootstrap_is_taken_by_proxies_that_start(tuned: Mesh) -> None:
    """The EnvoyFilter names the pods to restart for as long as there are any."""

    def says_restart() -> bool:
        return any("tuned.default" in said and "restart" in said for _, said in tuned.conditions("envoyfilter", "start").values())

    with tuned.applied(CHANGE):
        wait_until(says_restart, seconds=10, what="the pod is named")
        assert "from-the-start::" not in asked(tuned, "clusters")
        tuned.delete(POD)
        tuned.apply(POD)
        wait_until(lambda: tuned.ready("tuned"), seconds=20, what="the new pod")
        assert "from-the-start::" in asked(tuned, "clusters")
        wait_until(lambda: not says_restart(), seconds=10, what="nothing is left to restart")
