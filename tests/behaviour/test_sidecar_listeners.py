"""A Sidecar's own listeners: at an address, at a Unix socket, and what comes in."""

import pytest

from lateen.testing.liveenvoy import LiveEnvoy
from lateen.testing.manifests import rule, service
from lateen.testing.yard import Dial

pytestmark = [pytest.mark.envoy, pytest.mark.netns, pytest.mark.slow]


def sidecar_object(spec: str) -> str:
    """A Sidecar for the client."""
    return f"---\nkind: Sidecar\napiVersion: networking.istio.io/v1\nmetadata: {{name: default, namespace: default}}\nspec: {spec}\n"


SERVICES = service("web", 1) + service("shop", 2, namespace="shops") + service("db", 3, port=3306, target=9000, kind="tcp")


def test_listeners_with_an_address_of_their_own(sidecar: LiveEnvoy) -> None:
    """HTTP and TCP at loopback, HTTP at a Unix socket: reached without interception, each serving its hosts only."""
    socket = sidecar.folder / "out"
    listeners = f"""{{egress: [
      {{port: {{number: 80, protocol: HTTP, name: http}}, captureMode: NONE, hosts: ["*/web.default.svc.cluster.local"]}},
      {{port: {{number: 3306, protocol: TCP, name: db}}, bind: 127.0.0.7, captureMode: NONE, hosts: ["./*"]}},
      {{port: {{number: 80, protocol: HTTP, name: sock}}, bind: "unix://{socket}", hosts: [shops/*]}},
      {{hosts: [nowhere/*]}}], outboundTrafficPolicy: {{mode: REGISTRY_ONLY}}}}"""
    sidecar.obey(SERVICES, sidecar_object(listeners))
    web, other, db, shop, strange, captured = sidecar.ask(
        Dial(port=80, host="web"),
        Dial(port=80, host="shop.shops"),
        Dial(address="127.0.0.7", port=3306, protocol="tcp"),
        Dial(port=0, path=str(socket), host="shop.shops"),
        Dial(port=0, path=str(socket), host="web"),
        Dial(address="10.96.0.1", port=80, redirect=15001, host="web"),
    )
    assert web.json()["server"] == "10.0.1.1:8080"
    assert other.status == 502
    assert db.body.startswith("10.0.3.1:9000")
    assert shop.json()["server"] == "10.0.2.1:8080"
    assert strange.status == 502
    assert captured.error


def test_only_what_is_imported_is_known(sidecar: LiveEnvoy) -> None:
    """By namespace, by host, and without what is taken out again; the rest is unknown."""
    calls = [Dial(address=f"10.96.0.{number}", port=80, redirect=15001, host=host) for number, host in ((1, "web"), (2, "shop.shops"))]

    def statuses(hosts: str) -> list[int]:
        sidecar.obey(SERVICES, sidecar_object(f"{{egress: [{{hosts: {hosts}}}], outboundTrafficPolicy: {{mode: REGISTRY_ONLY}}}}"))
        return [heard.status for heard in sidecar.ask(*calls)]

    assert statuses('["*/*"]') == [200, 200]
    assert statuses("[./*]") == [200, 502]
    assert statuses("[shops/*]") == [502, 200]
    assert statuses("[default/shop.shops.svc.cluster.local, default/web.default.svc.cluster.local]") == [200, 502]
    assert statuses('["*/*", ~shops/*]') == [200, 502]


def test_the_sidecar_of_a_workload_comes_before_the_namespaces(sidecar: LiveEnvoy) -> None:
    """One that selects the client counts, then the namespace's, then the root namespace's."""

    def one(name: str, namespace: str, hosts: str, selector: str = "") -> str:
        return (
            f"---\nkind: Sidecar\napiVersion: networking.istio.io/v1\nmetadata: {{name: {name}, namespace: {namespace}}}\n"
            f"spec: {{{selector}egress: [{{hosts: [{hosts}]}}], outboundTrafficPolicy: {{mode: REGISTRY_ONLY}}}}\n"
        )

    calls = [Dial(address=f"10.96.0.{number}", port=80, redirect=15001, host=host) for number, host in ((1, "web"), (2, "shop.shops"))]
    root, own = one("r", "istio-system", "nowhere/*"), one("n", "default", "shops/*")
    chosen = one("w", "default", "./*", "workloadSelector: {labels: {app: client}}, ")
    other = one("o", "default", "nowhere/*", "workloadSelector: {labels: {app: other}}, ")
    seen = []
    for documents in ((root,), (root, own), (root, own, other), (root, own, other, chosen)):
        sidecar.obey(SERVICES, *documents)
        seen.append([heard.status for heard in sidecar.ask(*calls)])
    assert seen == [[0, 0], [502, 200], [502, 200], [200, 502]]


def test_what_comes_in_goes_where_the_sidecar_says(sidecar: LiveEnvoy) -> None:
    """To another port of loopback or of the workload, or to a socket; a port that it does not name passes as it is."""
    listeners = """{ingress: [
      {port: {number: 9090, protocol: HTTP, name: http}, defaultEndpoint: "127.0.0.1:8080"},
      {port: {number: 9091, protocol: HTTP, name: http2}, defaultEndpoint: "0.0.0.0:8080"},
      {port: {number: 9092, protocol: TCP, name: tcp}, defaultEndpoint: "127.0.0.1:9000"}]}"""
    sidecar.obey(sidecar_object(listeners))
    loopback, own, tcp, other = sidecar.ask(
        Dial(address="10.0.9.9", port=9090, redirect=15006),
        Dial(address="10.0.9.9", port=9091, redirect=15006),
        Dial(address="10.0.9.9", port=9092, redirect=15006, protocol="tcp"),
        Dial(address="10.0.9.9", port=8080, redirect=15006),
    )
    assert [one.json()["server"] for one in (loopback, own, other)] == ["127.0.0.1:8080", "10.0.9.9:8080", "10.0.9.9:8080"]
    assert tcp.body.startswith("127.0.0.1:9000")


def test_what_comes_in_is_limited(sidecar: LiveEnvoy) -> None:
    """`inboundConnectionPool`, a listener's own before it, and the pool of the service's DestinationRule."""
    calls = [Dial(address="10.0.9.9", port=port, redirect=15006, target="/after/0.3") for port in (9090, 9091) for _ in range(3)]
    limit = "{tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 1}}"
    port = '{{port: {{number: {0}, protocol: HTTP, name: http{0}}}, defaultEndpoint: "127.0.0.1:8080"{1}}}'
    unlimited = ", connectionPool: {tcp: {maxConnections: 100}}"
    sidecar.obey(sidecar_object(f"{{ingress: [{port.format(9090, '')}, {port.format(9091, unlimited)}], inboundConnectionPool: {limit}}}"))
    statuses = [heard.status for heard in sidecar.ask(*calls, together=True)]
    assert set(statuses[:3]) == {200, 503}
    assert statuses[3:] == [200, 200, 200]

    sidecar.obey(service("client", 9, port=9090), rule(f"{{connectionPool: {limit}}}", host="client"))
    again = [Dial(address="10.0.9.9", port=8080, redirect=15006, target="/after/0.3")] * 3
    assert {heard.status for heard in sidecar.ask(*again, together=True)} == {200, 503}
