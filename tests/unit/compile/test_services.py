"""Kubernetes Services as services of the mesh, and the protocols of their ports."""

from typing import Any

import pytest

from lateen.api.decode import decode_object
from lateen.api.services import Service as KubeService
from lateen.compile.protocols import protocol_of
from lateen.compile.services import compile_service
from lateen.model.service import Protocol, Resolution, Service


def compiled(spec: dict[str, Any], annotations: dict[str, str] | None = None) -> Service:
    """The service of a spec."""
    meta = {"name": "web", "namespace": "shop", "annotations": annotations or {}}
    obj, problems = decode_object({"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec})
    assert isinstance(obj, KubeService) and not problems
    return compile_service(obj, domain="cluster.local", default_export=("*",))


@pytest.mark.parametrize(
    ("name", "application", "number", "expected"),
    [
        ("http-web", None, 80, Protocol.HTTP),
        ("grpc-web-x", None, 80, Protocol.GRPC_WEB),
        ("grpc", None, 80, Protocol.GRPC),
        ("web", None, 80, Protocol.AUTO),
        ("web", None, 3306, Protocol.TCP),
        ("web", "http2", 80, Protocol.HTTP2),
        ("http", "kubernetes.io/h2c", 80, Protocol.HTTP2),
        ("tcp", "kubernetes.io/ws", 80, Protocol.HTTP),
        ("http", "acme.com/own", 80, Protocol.AUTO),
    ],
)
def test_the_application_protocol_counts_before_the_name(name: str, application: str | None, number: int, expected: Protocol) -> None:
    """A name counts up to its first dash; some ports are of servers that speak first."""
    assert protocol_of(name, application, number) is expected


def test_ports_may_point_at_names() -> None:
    """A named target port differs by workload, so it has no number here."""
    ports = [{"name": "http", "port": 80, "targetPort": "web"}, {"name": "tcp", "port": 81}]
    named, plain = compiled({"clusterIP": "10.96.0.1", "ports": ports}).ports
    assert (named.target_port, named.target_name) == (0, "web")
    assert (plain.target_port, plain.target_name) == (81, "")


def test_kinds_of_services() -> None:
    """A virtual address, none (headless), or just another name."""
    port = [{"name": "http", "port": 80}]
    virtual = compiled({"clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1", "fd00::1"], "ports": port})
    headless = compiled({"clusterIP": "None", "ports": port})
    alias = compiled({"type": "ExternalName", "externalName": "Api.Example.com"})
    assert (virtual.resolution, virtual.addresses) == (Resolution.STATIC, ("10.96.0.1", "fd00::1"))
    assert (headless.resolution, headless.addresses, headless.headless) == (Resolution.NONE, (), True)
    assert (alias.resolution, alias.external_name, alias.mesh_external) == (Resolution.ALIAS, "api.example.com", True)


def test_an_annotation_says_who_sees_a_service() -> None:
    """`.` is the service's own namespace; without it the mesh's default counts."""
    assert compiled({"clusterIP": "10.96.0.1"}).export_to == ("*",)
    assert compiled({"clusterIP": "10.96.0.1"}, {"networking.istio.io/exportTo": "., other"}).export_to == ("other", "shop")
