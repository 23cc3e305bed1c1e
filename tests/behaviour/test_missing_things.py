"""What a rule names and does not exist gives Istio's own outcome, to the calls that it concerns and to no others."""

import pytest

from lateen.testing.liveenvoy import GATEWAY, LiveEnvoy
from lateen.testing.manifests import rule, service
from lateen.testing.yard import Dial, Tls

pytestmark = [pytest.mark.envoy, pytest.mark.netns, pytest.mark.slow]

WEB = service("web", 1)
EMPTY = """---
kind: Service
apiVersion: v1
metadata: {name: empty, namespace: default}
spec: {clusterIP: 10.96.0.9, ports: [{name: http, port: 80}]}
---
kind: Service
apiVersion: v1
metadata: {name: dry, namespace: default}
spec: {clusterIP: 10.96.0.8, ports: [{name: tcp, port: 3306}]}
"""
RULES = """---
kind: VirtualService
apiVersion: networking.istio.io/v1
metadata: {name: web, namespace: default}
spec:
  hosts: [web]
  http:
  - {match: [{uri: {prefix: /host}}], route: [{destination: {host: nowhere}}]}
  - {match: [{uri: {prefix: /subset}}], route: [{destination: {host: web, subset: none}}]}
  - {match: [{uri: {prefix: /port}}], route: [{destination: {host: web, port: {number: 81}}}]}
  - {match: [{uri: {prefix: /bare}}], route: [{destination: {host: web, subset: bare}}]}
  - {match: [{uri: {prefix: /web}}], route: [{destination: {host: web}}]}
"""
BARE = rule("{}", more=", subsets: [{name: bare, labels: {version: v9}}]")
OUTSIDE = """---
kind: Gateway
apiVersion: networking.istio.io/v1
metadata: {name: one, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 8443, name: tls, protocol: HTTPS}, hosts: [a.example.com], tls: {mode: SIMPLE, credentialName: nobody}}
  - {port: {number: 8081, name: http, protocol: HTTP}, hosts: ["*"]}
---
kind: VirtualService
apiVersion: networking.istio.io/v1
metadata: {name: all, namespace: default}
spec: {hosts: ["*"], gateways: [one], http: [{match: [{uri: {prefix: /web}}], route: [{destination: {host: web, port: {number: 80}}}]}]}
"""


def test_in_the_mesh(sidecar: LiveEnvoy) -> None:
    """Host, subset and port: 503 NC; a subset or service without endpoints: 503 UH; no rule for a path: 404 NR; TCP: closed."""
    sidecar.obey(WEB, EMPTY, RULES, BARE)
    calls = {
        path: Dial(address="10.96.0.1", port=80, redirect=15001, host="web", target=f"/{path}")
        for path in ("host", "subset", "port", "bare", "other", "web")
    }
    calls["empty"] = Dial(address="10.96.0.9", port=80, redirect=15001, host="empty")
    calls["dry"] = Dial(address="10.96.0.8", port=3306, redirect=15001, protocol="tcp")
    seen = dict(zip(calls, sidecar.call(*calls.values()), strict=True))
    found = {name: (one.heard.status, one.log.flags if one.log is not None else None) for name, one in seen.items()}
    assert found == {
        "host": (503, "NC"),
        "subset": (503, "NC"),
        "port": (503, "NC"),
        "bare": (503, "UH"),
        "other": (404, "NR"),
        "web": (200, ""),
        "empty": (503, "UH"),
        "dry": (0, "UH"),
    }
    assert seen["dry"].heard.error


def test_at_a_gateway(gateway: LiveEnvoy) -> None:
    """A Secret that is not there: no handshake on that host, the other ports serve; no rule for a path: 404."""
    gateway.obey(WEB, OUTSIDE, proxy=GATEWAY)
    tls, web, other = gateway.call(
        Dial(port=8443, host="a.example.com", tls=Tls(name="a.example.com")),
        Dial(port=8081, target="/web"),
        Dial(port=8081, target="/other"),
    )
    assert tls.heard.error
    assert web.heard.status == 200
    assert other.log is not None and (other.heard.status, other.log.flags) == (404, "NR")
