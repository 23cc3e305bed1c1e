"""The small world that recordings of istiod were made in, as Kubernetes objects.

Reads the short form of `world.yaml` (services with their pods). Must not know scenarios or what is expected of them.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from typing import Any

__all__ = ["NODE", "recorded_proxy_node", "world_objects"]

Raw = dict[str, Any]

NODE = "node-1"
_CANONICAL = "service.istio.io/canonical-"


def world_objects(services: Iterable[Mapping[str, Any]]) -> Iterator[Raw]:
    """Services, Pods, EndpointSlices, the node, and Kubernetes' own service; addresses are given in order."""
    yield _object("v1", "Node", "", NODE, labels={"topology.kubernetes.io/region": "region1", "topology.kubernetes.io/zone": "zone1"})
    yield _kubernetes()
    hosts = count(1)
    for number, service in enumerate(services):
        yield _service(service, "None" if service.get("headless") else f"10.96.10.{number + 1}")
        pods = [_pod(service, pod, index, f"10.20.0.{next(hosts)}") for index, pod in enumerate(service["pods"])]
        yield from pods
        yield _slice(service, pods)


def recorded_proxy_node(entry: Mapping[str, Any]) -> Raw:
    """The xDS node message (as JSON) of an entry of `proxies.json`."""
    return {"id": entry["node"], "metadata": dict(entry["metadata"])}


def _object(api: str, kind: str, namespace: str, name: str, *, labels: Mapping[str, str] | None = None, **rest: object) -> Raw:
    metadata: Raw = {
        "name": name,
        "labels": dict(labels or {}),
        "creationTimestamp": "2025-01-01T00:00:00Z",
        "uid": f"{kind}-{namespace}-{name}",
    }
    if namespace:
        metadata["namespace"] = namespace
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **rest}


def _kubernetes() -> Raw:
    spec = {
        "clusterIP": "10.96.0.1",
        "clusterIPs": ["10.96.0.1"],
        "ports": [{"name": "https", "port": 443, "targetPort": 6443, "protocol": "TCP"}],
    }
    return _object("v1", "Service", "default", "kubernetes", spec=spec)


def _ports(service: Mapping[str, Any]) -> list[Raw]:
    return [
        {"name": one["name"], "port": one["port"], "targetPort": one.get("targetPort", one["port"]), "protocol": "TCP"}
        for one in service["ports"]
    ]


def _service(service: Mapping[str, Any], address: str) -> Raw:
    spec = {"clusterIP": address, "clusterIPs": [address], "selector": {"app": service["app"]}, "ports": _ports(service)}
    return _object("v1", "Service", service["ns"], service["name"], spec=spec)


def _pod(service: Mapping[str, Any], pod: Mapping[str, Any], index: int, address: str) -> Raw:
    version = pod["v"]
    labels = {"app": service["app"], **service.get("labels", {}), "version": version}
    labels |= {f"{_CANONICAL}name": service["app"], f"{_CANONICAL}revision": version}
    if pod.get("sidecar", True):
        labels["security.istio.io/tlsMode"] = "istio"
    ports = [{"containerPort": one["targetPort"], "protocol": "TCP"} for one in _ports(service)]
    spec = {"serviceAccountName": pod["sa"], "nodeName": NODE, "containers": [{"name": "app", "image": "app", "ports": ports}]}
    status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "conditions": [{"type": "Ready", "status": "True"}]}
    return _object("v1", "Pod", service["ns"], f"{service['name']}-{version}-{index}", labels=labels, spec=spec, status=status)


def _slice(service: Mapping[str, Any], pods: list[Raw]) -> Raw:
    endpoints = [
        {
            "addresses": [pod["status"]["podIP"]],
            "conditions": {"ready": True, "serving": True, "terminating": False},
            "nodeName": NODE,
            "targetRef": {"kind": "Pod", "namespace": service["ns"], "name": pod["metadata"]["name"]},
        }
        for pod in pods
    ]
    ports = [{"name": one["name"], "port": one["targetPort"], "protocol": "TCP"} for one in _ports(service)]
    labels = {"kubernetes.io/service-name": service["name"]}
    rest = {"addressType": "IPv4", "endpoints": endpoints, "ports": ports}
    return _object("discovery.k8s.io/v1", "EndpointSlice", service["ns"], f"{service['name']}-1", labels=labels, **rest)
