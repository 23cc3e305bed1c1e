"""What proxies are sent depends on the objects alone: not on their order, and not on the way there."""

from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from lateen.api.meta import Key
from lateen.model.frame import Snapshot
from lateen.model.scope import Proxy
from lateen.testing.recorded import world_objects
from lateen.testing.world import MemoryWorld
from lateen.util.selectors import canonical

Raw = dict[str, Any]

_SERVICES: list[Raw] = [
    {
        "name": "web",
        "ns": "default",
        "ports": [{"name": "http", "port": 80, "targetPort": 8080}],
        "app": "web",
        "pods": [{"v": "v1", "sa": "web"}],
    },
    {
        "name": "api",
        "ns": "default",
        "ports": [{"name": "http", "port": 80}, {"name": "tcp", "port": 9000}],
        "app": "api",
        "pods": [{"v": "v1", "sa": "api"}, {"v": "v2", "sa": "api"}],
    },
    {
        "name": "db",
        "ns": "other",
        "ports": [{"name": "db", "port": 5432}],
        "app": "db",
        "headless": True,
        "pods": [{"v": "v1", "sa": "db"}],
    },
    {
        "name": "gw",
        "ns": "istio-system",
        "ports": [{"name": "http2", "port": 80, "targetPort": 8080}],
        "app": "gw",
        "labels": {"istio": "ingressgateway"},
        "pods": [{"v": "v1", "sa": "gw"}],
    },
]


def _istio(kind: str, name: str, namespace: str, spec: Raw, age: int = 0) -> Raw:
    group = "security" if kind == "PeerAuthentication" else "networking"
    metadata = {"name": name, "namespace": namespace, "creationTimestamp": f"2025-01-01T00:00:0{age}Z"}
    return {"apiVersion": f"{group}.istio.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


def _route(host: str, **rest: Any) -> Raw:
    return {"route": [{"destination": {"host": host, **rest}}]}


_CONFIG = [
    _istio("VirtualService", "api", "default", {"hosts": ["api"], "http": [{"timeout": "1s", **_route("api", subset="v1")}]}),
    _istio("VirtualService", "api-too", "default", {"hosts": ["api", "web"], "http": [_route("web")]}),
    _istio(
        "VirtualService",
        "by-source",
        "default",
        {"hosts": ["web"], "http": [{"match": [{"sourceLabels": {"app": "api"}}], **_route("api")}, _route("web")]},
        1,
    ),
    _istio("VirtualService", "edge", "default", {"hosts": ["*"], "gateways": ["edge"], "http": [_route("web")]}),
    _istio("DestinationRule", "api", "default", {"host": "api", "subsets": [{"name": "v1", "labels": {"version": "v1"}}]}),
    _istio(
        "DestinationRule",
        "wild",
        "default",
        {"host": "*.default.svc.cluster.local", "trafficPolicy": {"loadBalancer": {"simple": "RANDOM"}}},
    ),
    _istio("DestinationRule", "plain", "istio-system", {"host": "*.local", "trafficPolicy": {"tls": {"mode": "DISABLE"}}}),
    _istio(
        "Gateway",
        "edge",
        "default",
        {
            "selector": {"istio": "ingressgateway"},
            "servers": [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}],
        },
    ),
    _istio("PeerAuthentication", "default", "istio-system", {"mtls": {"mode": "STRICT"}}),
    _istio("PeerAuthentication", "db", "other", {"selector": {"matchLabels": {"app": "db"}}, "mtls": {"mode": "DISABLE"}}),
    _istio(
        "ServiceEntry",
        "outside",
        "default",
        {"hosts": ["api.example.com"], "ports": [{"number": 443, "name": "tls", "protocol": "TLS"}], "resolution": "DNS"},
    ),
    _istio(
        "ServiceEntry",
        "outside-too",
        "default",
        {"hosts": ["api.example.com"], "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}], "resolution": "DNS"},
    ),
    _istio(
        "ServiceEntry",
        "machines",
        "default",
        {
            "hosts": ["vm.example.com"],
            "ports": [{"number": 80, "name": "http"}],
            "location": "MESH_INTERNAL",
            "resolution": "STATIC",
            "workloadSelector": {"labels": {"app": "api"}},
        },
    ),
    _istio("WorkloadEntry", "machine", "default", {"address": "10.30.0.1", "labels": {"app": "api"}, "serviceAccount": "api"}),
    _istio("Sidecar", "all", "default", {"egress": [{"hosts": ["./*", "istio-system/*"]}]}),
    _istio(
        "Sidecar",
        "web",
        "default",
        {
            "workloadSelector": {"labels": {"app": "web"}},
            "egress": [{"hosts": ["*/api.default.svc.cluster.local"]}],
            "ingress": [{"port": {"number": 8080, "protocol": "HTTP", "name": "http"}, "defaultEndpoint": "127.0.0.1:8081"}],
            "outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"},
        },
    ),
    {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "alias", "namespace": "other"},
        "spec": {"type": "ExternalName", "externalName": "web.default.svc.cluster.local"},
    },
]
OBJECTS = [*world_objects(_SERVICES), *_CONFIG]


def proxy(name: str, namespace: str, address: str, labels: dict[str, str], kind: str = "sidecar") -> Proxy:
    """A proxy of the mesh above; the sidecars answer DNS."""
    dns = kind == "sidecar"
    return Proxy(id=name, kind=kind, namespace=namespace, name=name, addresses=(address,), labels=canonical(labels), dns_capture=dns)


PROXIES = [
    proxy("web", "default", "10.20.0.1", {"app": "web"}),
    proxy("api", "default", "10.20.0.2", {"app": "api"}),
    proxy("db", "other", "10.20.0.4", {"app": "db"}),
    proxy("gw", "istio-system", "10.20.0.5", {"app": "gw", "istio": "ingressgateway"}, "router"),
]


def key_of(raw: Raw) -> Key:
    """The object's key."""
    return Key(raw["kind"], raw["metadata"].get("namespace", ""), raw["metadata"]["name"])


def bytes_of(snapshot: Snapshot) -> dict[str, dict[str, bytes]]:
    """All that would be sent."""
    return {url: {name: one.entry for name, one in named.items()} for url, named in snapshot.items()}


def built(objects: list[Raw], proxies: list[Proxy]) -> dict[str, dict[str, dict[str, bytes]]]:
    """A world made at once."""
    world = MemoryWorld()
    world.put_all(objects)
    for one in proxies:
        world.connect(one)
    world.commit()
    assert not world.problems
    return {one.id: bytes_of(world.snapshots.snapshot(one.id)) for one in proxies}


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1 << 20))
def test_the_order_of_objects_never_changes_the_bytes(seed: int) -> None:
    """Objects and proxies in any order: the same frames."""
    objects, proxies = list(OBJECTS), list(PROXIES)
    Random(seed).shuffle(objects)
    Random(seed + 1).shuffle(proxies)
    assert built(objects, proxies) == built(OBJECTS, PROXIES)


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(st.tuples(st.integers(0, len(OBJECTS) - 1), st.booleans()), min_size=1, max_size=25), late=st.integers(0, 3))
def test_any_way_to_a_state_gives_what_a_fresh_build_gives(steps: list[tuple[int, bool]], late: int) -> None:
    """Objects come and go, with a commit after each; one proxy connects after all that."""
    world = MemoryWorld()
    present = {key_of(raw): raw for raw in OBJECTS}
    world.put_all(OBJECTS)
    early = [one for number, one in enumerate(PROXIES) if number != late]
    for one in early:
        world.connect(one)
    world.commit()
    for number, put in steps:
        raw = OBJECTS[number]
        if put:
            present[key_of(raw)] = raw
            world.put(raw)
        elif key_of(raw) in present:
            del present[key_of(raw)]
            world.remove(key_of(raw))
        world.commit()
    world.connect(PROXIES[late])
    world.commit()
    fresh = built(list(present.values()), PROXIES)
    assert {one.id: bytes_of(world.snapshots.snapshot(one.id)) for one in PROXIES} == fresh
