"""The locality load balancing task on a real Envoy, requests counted: failover, shares, and what a Service asks for."""

from collections import Counter

import pytest
from msgspec.structs import replace

from lateen.testing.liveenvoy import SIDECAR, LiveEnvoy
from lateen.testing.manifests import rule, service
from lateen.testing.waiting import wait_until
from lateen.testing.yard import Dial, Server

pytestmark = [pytest.mark.envoy, pytest.mark.netns, pytest.mark.slow]

PLACES = {"10.0.6.1": "region1.zone1", "10.0.6.2": "region1.zone2", "10.0.6.3": "region2.zone3", "10.0.6.4": "region3.zone4"}
CLIENT = """
---
kind: Pod
apiVersion: v1
metadata: {name: app, namespace: default, labels: {istio-locality: region1.zone1}}
spec: {containers: [{name: app, image: app}]}
status: {phase: Running, podIP: 10.0.9.9}
"""
PODS = CLIENT + "".join(
    f"""
---
kind: Pod
apiVersion: v1
metadata: {{name: hello-{number}, namespace: default, labels: {{istio-locality: {place}}}}}
spec: {{containers: [{{name: app, image: app}}]}}
status: {{phase: Running, podIP: {address}, podIPs: [{{ip: {address}}}]}}
"""
    for number, (address, place) in enumerate(PLACES.items())
)
EJECT = "outlierDetection: {consecutive5xxErrors: 1, interval: 100ms, baseEjectionTime: 60s, maxEjectionPercent: 100}"
CALL = Dial(address="10.96.0.6", port=80, redirect=15001, host="hello")


def hello(more: str = "", target: int = 8080) -> str:
    """The service, with a pod in each place."""
    return service("hello", 6, target=target, endpoints=tuple(PLACES), more=more) + PODS


def counts(envoy: LiveEnvoy, number: int = 40) -> dict[str, int]:
    """How many calls each place answered well."""
    heard = [one for one in envoy.ask(*[CALL] * number) if one.status == 200]
    return dict(Counter(PLACES[one.json()["server"].partition(":")[0]] for one in heard))


def test_traffic_stays_near_and_fails_over_by_distance(sidecar: LiveEnvoy) -> None:
    """All to the own zone; when its pod fails to the region; when that fails to the region that is named, not to another."""
    failing, port = [], 8090
    failover = f"{{{EJECT}, loadBalancer: {{localityLbSetting: {{failover: [{{from: region1, to: region3}}]}}}}}}"
    seen = []
    for address in ("", "10.0.6.1", "10.0.6.2"):
        failing += [address] if address else []
        port += 1
        sidecar.serve(*(Server(address=one, port=port, status=503 if one in failing else 200) for one in PLACES))
        sidecar.obey(hello(target=port), rule(failover, host="hello"))
        # Envoy gathers what ejections change for up to a second.
        wait_until(lambda: sum(counts(sidecar, 3).values()) == 3, seconds=10, what="the failing pods are ejected")
        seen.append(counts(sidecar))
    assert seen == [{"region1.zone1": 40}, {"region1.zone2": 40}, {"region3.zone4": 40}]


def test_traffic_is_shared_out_by_weight(sidecar: LiveEnvoy) -> None:
    """70, 20 and 10 of a hundred as `distribute` says; a place without a share gets nothing."""
    shares = "{from: region1/*, to: {region1/zone1/*: 70, region1/zone2/*: 20, region3/*: 10}}"
    sidecar.obey(hello(), rule(f"{{loadBalancer: {{localityLbSetting: {{distribute: [{shares}]}}}}}}", host="hello"))
    found = counts(sidecar, 100)
    assert sum(found.values()) == 100
    assert abs(found["region1.zone1"] - 70) < 10
    assert abs(found["region1.zone2"] - 20) < 8
    assert abs(found["region3.zone4"] - 10) < 8
    assert "region2.zone3" not in found


def test_a_service_asks_for_its_own_zone(sidecar: LiveEnvoy) -> None:
    """`trafficDistribution` without any rule; without it all places are used."""
    sidecar.obey(hello(", trafficDistribution: PreferSameZone"))
    assert counts(sidecar) == {"region1.zone1": 40}
    sidecar.obey(hello())
    assert len(counts(sidecar)) == 4


CLIENTS = "".join(
    f"""
---
kind: Pod
apiVersion: v1
metadata:
  name: client-{number}
  namespace: default
  labels: {{app: client, istio-locality: region1.zone{number}}}
  ownerReferences: [{{apiVersion: apps/v1, kind: StatefulSet, name: client, uid: u, controller: true}}]
spec: {{containers: [{{name: app, image: app}}]}}
status: {{phase: Running, podIP: 10.0.9.{number}, podIPs: [{{ip: 10.0.9.{number}}}]}}
"""
    for number in (1, 2)
)


@pytest.mark.parametrize(
    ("setting", "near", "seen"),
    [
        ("{enabled: true, minClusterSize: 1}", ("10.0.6.1", "10.0.6.2"), {"region1.zone1": 40}),
        ("{enabled: true, minClusterSize: 10}", ("10.0.6.1", "10.0.6.2"), {"region1.zone1": 20, "region1.zone2": 20}),
        ("{enabled: false, minClusterSize: 1}", ("10.0.6.1", "10.0.6.2"), {"region1.zone1": 20, "region1.zone2": 20}),
        ("{enabled: true, minClusterSize: 1}", ("10.0.6.2", "10.0.6.3"), {"region1.zone2": 40}),
        ("{minClusterSize: 1, failover: [{from: region1, to: region3}]}", ("10.0.6.3", "10.0.6.4"), {"region3.zone4": 40}),
    ],
)
def test_envoy_keeps_to_its_zone(zoned: LiveEnvoy, setting: str, near: tuple[str, ...], seen: dict[str, int]) -> None:
    """With as many clients as servers in each zone all stay; too few servers, or no such setting: all share. Regions have an order."""
    proxy = replace(SIDECAR, workload="client", metadata=(("ENABLE_SELF_DISCOVERY", "true"),))
    clients = service("client", 9, endpoints=("10.0.9.1", "10.0.9.2")) + CLIENTS
    servers = service("hello", 6, target=8080, endpoints=near) + PODS
    policy = f"{{loadBalancer: {{simple: ROUND_ROBIN, zoneAwareLbSetting: {setting}}}}}"
    zoned.obey(servers, clients, rule(policy, host="hello"), proxy=replace(proxy, name="client-1"))
    assert counts(zoned) == seen
