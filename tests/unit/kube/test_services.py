"""Virtual addresses of Services."""

from ipaddress import IPv4Network
from typing import Any

import pytest

from lateen.kube.errors import ApiError
from lateen.kube.records import Ref
from lateen.kube.services import allocate


def service(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}], **spec}}


def test_a_service_gets_an_address_of_its_own(world: Any) -> None:
    """In the range, never twice."""
    addresses = {world.create("Service", service(f"s{n}"))["spec"]["clusterIP"] for n in range(20)}
    assert len(addresses) == 20
    assert all(address.startswith("10.96.") for address in addresses)


def test_the_same_name_gets_the_same_address_again(world: Any) -> None:
    """So that what a client remembers stays true."""
    first = world.create("Service", service("s"))["spec"]["clusterIP"]
    world.delete("Service", "s")
    assert world.create("Service", service("s"))["spec"]["clusterIP"] == first


def test_headless_and_external_name_have_none(world: Any) -> None:
    """None stays None; an external name has no address at all."""
    assert world.create("Service", service("h", clusterIP="None"))["spec"]["clusterIPs"] == ["None"]
    assert "clusterIP" not in world.create("Service", service("e", type="ExternalName", externalName="a.example"))["spec"]


def test_an_asked_address_is_given_once(world: Any) -> None:
    """Taken, foreign and reserved ones are refused with the field."""
    assert world.create("Service", service("a", clusterIP="10.96.7.7"))["spec"]["clusterIPs"] == ["10.96.7.7"]
    for asked in ("10.96.7.7", "10.97.0.1", "10.96.0.1", "nonsense"):
        with pytest.raises(ApiError, match=r"spec\.clusterIPs"):
            world.create("Service", service("b", clusterIP=asked))


def test_an_update_keeps_the_address(world: Any) -> None:
    """A replace that does not name it keeps it; one that changes it is refused."""
    address = world.create("Service", service("a"))["spec"]["clusterIP"]
    assert world.update("Service", "a", lambda _: service("a", selector={"x": "y"}))["spec"]["clusterIP"] == address
    with pytest.raises(ApiError, match="may not change once set"):
        world.update("Service", "a", lambda obj: obj["spec"].update(clusterIP="10.96.7.7"))


def test_a_full_range_says_so() -> None:
    """The last address is used before it does."""
    network = IPv4Network("10.0.0.0/29")  # 8 addresses: network, API, broadcast, and five for Services
    taken: set[str] = set()
    for n in range(5):
        obj = service(f"s{n}")
        assert allocate(network, Ref("services", "d", f"s{n}"), obj, taken) is None
        taken.add(obj["spec"]["clusterIP"])
    assert len(taken) == 5
    problem = allocate(network, Ref("services", "d", "one-more"), service("one-more"), taken)
    assert problem is not None
    assert "no address is left" in problem.message
