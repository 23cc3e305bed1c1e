"""Namespaces that see the same are compiled for as one, and nobody can tell: what is sent is what each alone would be sent."""

from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lateen.ads.messages import CDS, EDS
from lateen.model.frame import Snapshot
from lateen.model.scope import Proxy
from lateen.testing.world import MemoryWorld

Raw = dict[str, Any]
SPACES = ("one", "two", "three", "istio-system")


def _object(kind: str, name: str, namespace: str, spec: Raw, group: str = "networking.istio.io/v1") -> Raw:
    metadata = {"name": name, "namespace": namespace, "creationTimestamp": f"2025-01-01T00:00:0{len(name)}Z"}
    return {"apiVersion": group, "kind": kind, "metadata": metadata, "spec": spec}


def _service(name: str, namespace: str, address: str, **spec: Any) -> Raw:
    ports = [{"name": "http", "port": 80}, {"name": "db", "port": 5432, "protocol": "TCP"}, {"port": 9000}]
    return _object("Service", name, namespace, {"clusterIP": address, "ports": ports, "selector": {"app": name}, **spec}, "v1")


def _entry(name: str, namespace: str, host: str, **spec: Any) -> Raw:
    ports = [{"number": 80, "name": "http", "protocol": "HTTP"}]
    return _object("ServiceEntry", name, namespace, {"hosts": [host], "ports": ports, "resolution": "DNS", **spec})


def _rule(name: str, namespace: str, host: str, **spec: Any) -> Raw:
    policy = {"connectionPool": {"tcp": {"maxConnections": len(name)}}}
    return _object("DestinationRule", name, namespace, {"host": host, "trafficPolicy": policy, **spec})


def _route(name: str, namespace: str, **spec: Any) -> Raw:
    return _object("VirtualService", name, namespace, spec)


def _to(host: str) -> list[Raw]:
    return [{"destination": {"host": host}}]


WEB, FAR = "web.one.svc.cluster.local", "far.example.com"
SERVICES = [
    _service("web", "one", "10.96.0.1"),
    _service("web", "two", "10.96.0.2"),
    _service("own", "three", "10.96.0.3")
    | {"metadata": {"name": "own", "namespace": "three", "annotations": {"networking.istio.io/exportTo": "."}}},
]
OBJECTS = [
    *SERVICES,
    _object("Service", "alias", "two", {"type": "ExternalName", "externalName": WEB}, "v1"),
    _entry("far", "one", FAR),
    _entry("far-too", "two", FAR, resolution="STATIC", endpoints=[{"address": "10.40.0.1"}]),
    _entry("short", "one", "web"),
    _entry("foreign", "one", "db.two.svc.cluster.local", resolution="STATIC", endpoints=[{"address": "10.40.0.2"}]),
    _entry("some", "one", "some.example.com", exportTo=["two", "."]),
    _rule("at-home", "one", "web"),
    _rule("at-home-only", "one", "web", exportTo=["."]),
    _rule("at-home-given", "one", "web", exportTo=["two"]),
    _rule("abroad", "two", WEB),
    _rule("abroad-same-name", "two", "db.two.svc.cluster.local"),
    _rule("wide", "two", "*.svc.cluster.local"),
    _rule("root", "istio-system", FAR),
    _rule("picky", "one", "web", workloadSelector={"matchLabels": {"app": "b"}}),
    _route("plain", "one", hosts=["web"], http=[{"timeout": "1s", "route": _to("web")}]),
    _route("private", "two", hosts=[WEB], exportTo=["."], http=[{"timeout": "2s", "route": _to(WEB)}]),
    _route("by-source", "one", hosts=[FAR], http=[{"match": [{"sourceNamespace": "two"}], "route": _to(WEB)}, {"route": _to(FAR)}]),
    _route("bytes", "one", hosts=["web"], tcp=[{"match": [{"sourceNamespace": "three", "port": 5432}], "route": _to("web.two")}]),
    _object("Sidecar", "less", "two", {"workloadSelector": {"labels": {"app": "b"}}, "egress": [{"hosts": ["./*", "one/*"]}]}),
    _object(
        "TrafficExtension",
        "script",
        "two",
        {"phase": "STATS", "lua": {"inlineCode": "function envoy_on_request(handle) end"}},
        "extensions.istio.io/v1alpha1",
    ),
]
# Of no effect but one: what is exported to a namespace by name makes it stand apart.
APART = [
    _rule("apart", "istio-system", "nothing.invalid", exportTo=list(SPACES)),
    _route("apart", "istio-system", hosts=["nothing.invalid"], gateways=["none"], exportTo=list(SPACES)),
]
PROXIES = [
    Proxy(
        id=f"{app}.{namespace}",
        kind="sidecar",
        namespace=namespace,
        name=app,
        addresses=(f"10.20.{number}.1",),
        labels=(("app", app),),
        dns_capture=app == "b",
    )
    for number, (namespace, app) in enumerate(product(SPACES, "ab"))
]


def built(objects: list[Raw]) -> tuple[MemoryWorld, dict[str, Snapshot]]:
    world = MemoryWorld()
    world.put_all(objects)
    for one in PROXIES:
        world.connect(one)
    world.commit()
    return world, {one.id: world.snapshots.snapshot(one.id) for one in PROXIES}


def told(snapshots: dict[str, Snapshot]) -> dict[str, dict[str, dict[str, bytes]]]:
    return {id_: {url: {name: one.entry for name, one in named.items()} for url, named in each.items()} for id_, each in snapshots.items()}


def compared(objects: list[Raw]) -> None:
    """The same bytes when every namespace is compiled for on its own."""
    alone, expected = built([*objects, *APART])
    assert set(alone.world.base.namespaces_apart) >= set(SPACES)
    assert told(built(objects)[1]) == told(expected)


@settings(max_examples=40, deadline=None)
@given(chosen=st.sets(st.integers(0, len(OBJECTS) - 1)))
def test_what_is_compiled_for_many_namespaces_is_what_each_alone_would_get(chosen: set[int]) -> None:
    """Any mesh."""
    compared([OBJECTS[number] for number in sorted(chosen)])


@pytest.mark.parametrize("first", OBJECTS[len(SERVICES) :], ids=lambda one: f"{one['kind']}-{one['metadata']['name']}")
def test_any_two_objects_beside_the_services_are_told_apart_as_far_as_they_matter(first: Raw) -> None:
    """Each object with each: what makes a namespace stand apart must do so on its own."""
    for second in OBJECTS[OBJECTS.index(first) :]:
        compared([*SERVICES, first, *([second] if second is not first else ())])


def test_namespaces_that_see_the_same_are_compiled_for_once() -> None:
    """One view of each service, one frame of each cluster, however many namespaces; a Sidecar's workloads have their own."""
    world, shared = built(OBJECTS[:2])
    assert [(client.namespace, client.dns) for client in world.world.clusters.visible] == [("", False), ("", True)]
    first, *others = (shared[f"a.{namespace}"] for namespace in SPACES)
    for each, url in product(others, (CDS, EDS)):
        assert all(each[url][name] is frame for name, frame in first[url].items())
