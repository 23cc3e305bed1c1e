"""Hosts that are looked up when somebody asks for them: unknown ones under ALLOW_ANY_DYNAMIC_DNS, and those of wildcard ServiceEntries."""

import pytest

from lateen.testing.liveenvoy import LiveEnvoy
from lateen.testing.yard import Dial, Server, Tls

pytestmark = [pytest.mark.envoy, pytest.mark.netns, pytest.mark.slow]

ANY = "outboundTrafficPolicy: {mode: ALLOW_ANY_DYNAMIC_DNS}"
WILDCARD = """
kind: ServiceEntry
apiVersion: networking.istio.io/v1
metadata: {name: wild, namespace: default}
spec:
  hosts: ["*.example.com"]
  location: MESH_EXTERNAL
  resolution: DYNAMIC_DNS
  ports:
  - {number: 8080, name: http, protocol: HTTP}
  - {number: 8443, name: tls, protocol: TLS}
"""


def test_http_to_unknown_hosts_goes_where_their_names_lead(sidecar: LiveEnvoy) -> None:
    """Not to the address that was dialled; what is not HTTP does go there, also where the server speaks first."""
    sidecar.serve(Server(address="10.1.0.2", port=9001, kind="tcp", greeting="welcome"))
    sidecar.obey(mesh=ANY)
    calls = (
        Dial(address="10.1.0.1", port=8080, redirect=15001, host="somewhere.example.org:8080"),
        Dial(address="10.1.0.1", port=9000, redirect=15001, protocol="tcp"),
        Dial(address="10.1.0.2", port=9001, redirect=15001, protocol="tcp", data=""),
    )
    http, tcp, greeted = sidecar.call(*calls)
    assert http.log is not None and tcp.log is not None
    assert (http.heard.json()["server"], http.log.cluster) == ("10.0.5.5:8080", "AllowAnyDynamicDNSCluster")
    assert tcp.log.cluster == "PassthroughCluster"
    assert tcp.heard.body.startswith("10.1.0.1:9000")
    assert greeted.heard.body == "welcome", greeted


def test_a_wildcard_host_is_looked_up_by_request_or_server_name(sidecar: LiveEnvoy) -> None:
    """HTTP by its host, TLS by its server name, which is passed on unopened; a host outside the wildcard passes as it is."""
    sidecar.serve(Server(address="10.0.5.5", port=8443, certificate=sidecar.certificate))
    sidecar.obey(WILDCARD)
    http, tls, other = sidecar.call(
        Dial(address="10.1.0.1", port=8080, redirect=15001, host="a.example.com:8080"),
        Dial(address="10.1.0.1", port=8443, redirect=15001, tls=Tls(name="b.example.com")),
        Dial(address="10.1.0.1", port=8080, redirect=15001, host="example.org"),
    )
    assert http.log is not None and tls.log is not None
    assert (http.heard.json()["server"], http.log.cluster) == ("10.0.5.5:8080", "outbound|8080||*.example.com")
    assert (tls.heard.json()["server"], tls.log.cluster, tls.log.sni) == (
        "10.0.5.5:8443",
        "outbound|8443||*.example.com",
        "b.example.com",
    )
    assert other.heard.json()["server"] == "10.1.0.1:8080"
