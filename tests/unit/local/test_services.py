"""EndpointSlices from pods, and what leads from a service to them."""

from typing import Any

import pytest

from lateen.local.deployments import template_hash
from lateen.local.services import Forwarding, forwardings, name_entries, render
from lateen.local.slices import endpoint_of, ports_of

SERVICE: dict[str, Any] = {
    "metadata": {"name": "web", "namespace": "shop", "uid": "1"},
    "spec": {"clusterIP": "10.96.0.9", "ports": [{"name": "http", "port": 80, "targetPort": "web"}, {"name": "raw", "port": 81}]},
}


def pod(*, ready: bool = True, address: str = "10.0.0.7", port: int = 8080, going: bool = False, phase: str = "Running") -> dict[str, Any]:
    """A pod with a named port."""
    meta = {"name": "web-1", "namespace": "shop", "uid": "2", **({"deletionTimestamp": "x"} if going else {})}
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    ports = [{"name": "web", "containerPort": port}]
    return {
        "metadata": meta,
        "spec": {"containers": [{"name": "main", "ports": ports}]},
        "status": {"podIP": address, "phase": phase, "conditions": conditions},
    }


def test_named_target_ports_are_the_pods_own() -> None:
    """A name is looked up in the pod; a number, or nothing, is the port itself; a name that is not there is left out."""
    assert ports_of(SERVICE, pod(port=9000)) == (("http", "TCP", 9000, ""), ("raw", "TCP", 81, ""))
    assert ports_of(SERVICE, {}) == (("raw", "TCP", 81, ""),)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (pod(), {"ready": True, "serving": True, "terminating": False}),
        (pod(ready=False), {"ready": False, "serving": False, "terminating": False}),
        (pod(going=True), {"ready": False, "serving": True, "terminating": True}),
    ],
)
def test_endpoint_says_whether_it_takes_traffic(given: dict[str, Any], expected: dict[str, bool]) -> None:
    """Ready is readiness and not going; serving is readiness alone."""
    assert (endpoint_of(SERVICE, given) or {})["conditions"] == expected


def test_pod_without_address_or_at_its_end_is_no_endpoint() -> None:
    """Neither can take traffic."""
    assert endpoint_of(SERVICE, pod(address="")) is None
    assert endpoint_of(SERVICE, pod(phase="Succeeded")) is None


def test_service_may_publish_pods_that_are_not_ready() -> None:
    """PublishNotReadyAddresses makes every endpoint ready."""
    service = {**SERVICE, "spec": {**SERVICE["spec"], "publishNotReadyAddresses": True}}
    conditions: Any = (endpoint_of(service, pod(ready=False)) or {})["conditions"]
    assert conditions["ready"] is True


def a_slice(*addresses: str, ready: bool = True) -> dict[str, Any]:
    """A slice of `web`."""
    return {
        "metadata": {"name": "web-x", "namespace": "shop", "labels": {"kubernetes.io/service-name": "web"}},
        "endpoints": [{"addresses": [each], "conditions": {"ready": ready}} for each in addresses],
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
    }


def test_address_leads_to_ready_pods() -> None:
    """Each port with ready pods is forwarded; a headless service has no address to forward."""
    assert forwardings([SERVICE], [a_slice("10.0.0.8", "10.0.0.7")]) == (
        Forwarding("10.96.0.9", 80, "tcp", (("10.0.0.7", 8080), ("10.0.0.8", 8080))),
    )
    assert forwardings([SERVICE], [a_slice("10.0.0.7", ready=False)]) == ()
    assert forwardings([{**SERVICE, "spec": {**SERVICE["spec"], "clusterIP": "None"}}], [a_slice("10.0.0.7")]) == ()


def test_names_are_addresses_or_pods() -> None:
    """A service's name is its address, a headless one's its ready pods'."""
    (entry,) = name_entries([SERVICE], [])
    assert (entry.host, entry.ips) == ("web.shop.svc.cluster.local", ("10.96.0.9",))
    headless = {**SERVICE, "spec": {**SERVICE["spec"], "clusterIP": "None"}}
    assert name_entries([headless], [a_slice("10.0.0.8", "10.0.0.7")])[0].ips == ("10.0.0.7", "10.0.0.8")
    assert name_entries([headless], []) == ()


def test_shares_are_equal_in_both_tools() -> None:
    """The first of three pods takes a third, the second half of the rest, the last what is left."""
    wanted = (Forwarding("10.96.0.9", 80, "tcp", (("10.0.0.1", 1), ("10.0.0.2", 2), ("10.0.0.3", 3))),)
    rules = [line for line in render(wanted, "/usr/sbin/iptables-restore").splitlines() if "DNAT" in line]
    assert [("0.333333" in rules[0]), ("0.500000" in rules[1]), ("statistic" in rules[2])] == [True, True, False]
    rules = [line for line in render(wanted, "/usr/sbin/nft").splitlines() if "dnat" in line]
    assert [("mod 3 == 0" in rules[0]), ("mod 2 == 0" in rules[1]), ("numgen" in rules[2])] == [True, True, False]


def test_template_hash_tells_templates_apart() -> None:
    """Equal templates in any order have one hash; a changed one has another."""
    assert template_hash({"a": 1, "b": {"c": 2, "d": 3}}) == template_hash({"b": {"d": 3, "c": 2}, "a": 1})
    assert template_hash({"a": 1}) != template_hash({"a": 2})
    assert len(template_hash({"a": 1})) <= 10
