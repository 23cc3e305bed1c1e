"""A server that speaks first, and clients that the rules refuse: they hear nothing, and the server does not hear of them."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from lateen.model.scope import Proxy
from lateen.testing.liveenvoy import LiveEnvoy
from lateen.testing.world import MemoryWorld
from lateen.testing.yard import Dial, Server, Tls

pytestmark = [pytest.mark.envoy, pytest.mark.netns, pytest.mark.slow]

ADDRESS, PORT = "10.0.0.9", 9000
WORKLOAD = """
apiVersion: v1
kind: Service
metadata: {name: db, namespace: default}
spec: {clusterIP: 10.96.0.9, selector: {app: db}, ports: [{name: tcp, port: 9000}, {name: tcp-other, port: 9001}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: db-1, namespace: default, labels: {kubernetes.io/service-name: db}}
addressType: IPv4
ports: [{name: tcp, port: 9000}, {name: tcp-other, port: 9001}]
endpoints: [{addresses: [10.0.0.9], conditions: {ready: true}}]
---
"""
POLICY = "{{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {{name: p, namespace: default}}, spec: {}}}"
ME = "cluster.local/ns/default/sa/app"  # whom the client's certificate names


@pytest.fixture(scope="module")
def envoy(possible: None) -> Iterator[LiveEnvoy]:
    """A sidecar before a server that greets."""
    with TemporaryDirectory(prefix="lateen-") as folder:
        running = LiveEnvoy(Path(folder))
        running.start()
        try:
            for port in (PORT, PORT + 1):
                running.serve(Server(port=port, kind="tcp", greeting="welcome\n"))
            yield running
        finally:
            running.stop()


def heard(envoy: LiveEnvoy, spec: str, *, port: int = PORT, plain: str = "") -> str:
    """What the client hears before it has said anything, under this policy; or with these bytes in plain text."""
    world = MemoryWorld()
    world.load(WORKLOAD + POLICY.format(spec))
    assert world.problems == []
    labels = (("app", "db"),)
    proxy = Proxy(id="db", kind="sidecar", namespace="default", name="db", addresses=(ADDRESS,), labels=labels)
    envoy.hold(world.snapshot(proxy))
    tls = None if plain else Tls(alpn=("istio",), certificate=envoy.certificate)
    (said,) = envoy.ask(Dial(address=ADDRESS, port=port, redirect=15006, protocol="tcp", data=plain, tls=tls))
    return said.body


@pytest.mark.parametrize(
    "spec",
    [
        f"{{action: DENY, rules: [{{from: [{{source: {{principals: [{ME}]}}}}]}}]}}",
        "{action: DENY, rules: [{from: [{source: {namespaces: [default]}}], to: [{operation: {ports: ['9000']}}]}]}",
        "{action: DENY, rules: [{from: [{source: {serviceAccounts: [app]}}]}]}",
        "{action: ALLOW, rules: [{from: [{source: {principals: [cluster.local/ns/default/sa/other]}}]}]}",
        "{action: ALLOW, rules: [{from: [{source: {notPrincipals: ['*/sa/app']}}]}]}",
        "{action: ALLOW, rules: [{to: [{operation: {ports: ['9001']}}]}]}",
        "{}",
    ],
)
def test_who_is_refused_hears_nothing(envoy: LiveEnvoy, spec: str) -> None:
    """By identity, by namespace, by port, by what is not named; the server is not connected to."""
    before = envoy.statistics("^cluster.inbound.9000.*upstream_cx_total$")
    assert heard(envoy, spec) == ""
    assert envoy.statistics("^cluster.inbound.9000.*upstream_cx_total$") == before


@pytest.mark.parametrize(
    ("spec", "port"),
    [
        (f"{{action: ALLOW, rules: [{{from: [{{source: {{principals: [{ME}]}}}}]}}]}}", PORT),
        ("{action: ALLOW, rules: [{from: [{source: {namespaces: [def*]}}]}]}", PORT),
        ("{action: DENY, rules: [{from: [{source: {notNamespaces: [default]}}]}]}", PORT),
        ("{action: ALLOW, rules: [{to: [{operation: {ports: ['9001']}}]}]}", PORT + 1),
        ("{action: DENY, rules: [{from: [{source: {ipBlocks: [192.0.2.0/24]}}]}]}", PORT),
    ],
)
def test_who_is_let_in_is_greeted(envoy: LiveEnvoy, spec: str, port: int) -> None:
    """At once, as without rules."""
    assert heard(envoy, spec, port=port) == "welcome\n"


def test_without_a_certificate_nobody_is_a_principal(envoy: LiveEnvoy) -> None:
    """A plaintext client hears nothing where principals are let in, and is heard where principals are refused."""
    rules = f"rules: [{{from: [{{source: {{principals: [{ME}]}}}}]}}]"
    assert heard(envoy, f"{{action: ALLOW, {rules}}}", plain="hello\n") == ""
    assert heard(envoy, f"{{action: DENY, {rules}}}", plain="hello\n") != ""
