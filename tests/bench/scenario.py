"""The mesh that istiod was measured with, as YAML: `python tests/bench/scenario.py FOLDER` writes one file per namespace;
with a second argument it changes one VirtualService, which sets that text as a response header.

1000 Services of 5 endpoints in 20 namespaces; every tenth has a VirtualService 90/10 and a DestinationRule with subsets v1 and v2.
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

SERVICES, NAMESPACES, ENDPOINTS, ROUTED_EVERY = 1000, 20, 5, 10
Raw = dict[str, Any]


def namespace_of(number: int) -> str:
    return f"ns{number % NAMESPACES}"


def service(number: int) -> Raw:
    """A Service with one HTTP port."""
    spec = {"clusterIP": f"10.96.{number // 250}.{number % 250 + 1}", "ports": [_port(80)], "selector": {"app": f"svc-{number}"}}
    return _object("v1", "Service", number, f"svc-{number}", spec=spec)


def slice_of(number: int, *, first: int = 0) -> Raw:
    """Its endpoints, with the pods' labels on the pods."""
    endpoints = [
        {"addresses": [address(number, one)], "conditions": {"ready": True}, "targetRef": {"kind": "Pod", "name": f"svc-{number}-{one}"}}
        for one in range(first, ENDPOINTS)
    ]
    rest = {"addressType": "IPv4", "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}], "endpoints": endpoints}
    made = _object("discovery.k8s.io/v1", "EndpointSlice", number, f"svc-{number}-abcde", **rest)
    made["metadata"]["labels"] = {"kubernetes.io/service-name": f"svc-{number}"}
    return made


def address(number: int, one: int) -> str:
    return f"10.{20 + one}.{number // 250}.{number % 250 + 1}"


def pods(number: int) -> Iterator[Raw]:
    """Its pods: the first is v2, the others v1."""
    for one in range(ENDPOINTS):
        spec = {"containers": [{"name": "app", "image": "app"}], "serviceAccountName": "default"}
        made = _object("v1", "Pod", number, f"svc-{number}-{one}", spec=spec)
        made["metadata"]["labels"] = {"app": f"svc-{number}", "version": "v1" if one else "v2"}
        made["status"] = {"phase": "Running", "podIP": address(number, one), "podIPs": [{"ip": address(number, one)}]}
        yield made


def route(number: int, *, mark: str = "") -> Raw:
    """Its VirtualService; `mark` is a value of a response header."""
    host = f"svc-{number}"
    shares = [{"destination": {"host": host, "subset": subset}, "weight": weight} for subset, weight in (("v1", 90), ("v2", 10))]
    http: Raw = {"route": shares}
    if mark:
        http["headers"] = {"response": {"set": {"x-mark": mark}}}
    return _object("networking.istio.io/v1", "VirtualService", number, host, spec={"hosts": [host], "http": [http]})


def rule(number: int) -> Raw:
    """Its DestinationRule."""
    subsets = [{"name": name, "labels": {"version": name}} for name in ("v1", "v2")]
    spec = {"host": f"svc-{number}", "subsets": subsets}
    return _object("networking.istio.io/v1", "DestinationRule", number, f"svc-{number}", spec=spec)


def objects() -> Iterator[Raw]:
    """All of it."""
    for number in range(SERVICES):
        yield service(number)
        yield slice_of(number)
        yield from pods(number)
        if number % ROUTED_EVERY == 0:
            yield route(number)
            yield rule(number)


def write(folder: Path) -> None:
    """One file per namespace, and one of its own for `svc-0`'s VirtualService, which the measurement changes."""
    files: dict[str, list[Raw]] = {}
    for one in objects():
        changed = one["kind"] == "VirtualService" and one["metadata"]["name"] == "svc-0"
        files.setdefault("changed" if changed else one["metadata"]["namespace"], []).append(one)
    folder.mkdir(parents=True, exist_ok=True)
    for name, found in files.items():
        (folder / f"{name}.yaml").write_text(dump(*found))


def dump(*found: Mapping[str, Any]) -> str:
    return yaml.dump_all(found, Dumper=yaml.CSafeDumper)


def _port(number: int) -> Raw:
    return {"name": "http", "port": number, "targetPort": 8080, "protocol": "TCP"}


def _object(api: str, kind: str, number: int, name: str, **rest: Any) -> Raw:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": namespace_of(number)}, **rest}


def change(folder: Path, mark: str) -> None:
    """Replace the file of `svc-0`'s VirtualService."""
    draft = folder / "draft"
    draft.write_text(dump(route(0, mark=mark)))
    draft.rename(folder / "changed.yaml")


if __name__ == "__main__":
    if len(sys.argv) > 2:
        change(Path(sys.argv[1]), sys.argv[2])
    else:
        write(Path(sys.argv[1]))
