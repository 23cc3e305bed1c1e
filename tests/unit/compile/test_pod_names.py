"""Names of a headless service's pods, for the DNS proxies."""

from lateen.model.nametable import NamedHost
from lateen.testing.world import MemoryWorld

SERVICE = """
kind: Service
apiVersion: v1
metadata: {name: db, namespace: default}
spec: {clusterIP: None, ports: [{name: tcp, port: 5432}]}
---
kind: EndpointSlice
apiVersion: discovery.k8s.io/v1
metadata: {name: db-1, namespace: default, labels: {kubernetes.io/service-name: db}}
addressType: IPv4
endpoints: [{addresses: [10.0.0.1], hostname: db-0}, {addresses: [10.0.0.2], hostname: db-1}, {addresses: [10.0.0.3]}]
ports: [{name: tcp, port: 5432}]
"""


def named(text: str) -> dict[str, NamedHost]:
    """The name table of the namespace."""
    world = MemoryWorld()
    world.load(text)
    world.world.names.clients.set("default", None)
    world.commit()
    table = world.world.names.tables.get("default")
    assert table is not None
    return {host.host: host for host in table}


def test_each_pod_with_a_host_name_has_its_address() -> None:
    """Below the service's own name, which has all addresses; with the short form that people type."""
    found = named(SERVICE)
    host = "db.default.svc.cluster.local"
    assert {name: one.addresses for name, one in found.items()} == {
        host: ("10.0.0.1", "10.0.0.2", "10.0.0.3"),
        f"db-0.{host}": ("10.0.0.1",),
        f"db-1.{host}": ("10.0.0.2",),
    }
    assert found[f"db-0.{host}"].short == "db-0.db"


def test_only_headless_services_name_their_pods() -> None:
    """Elsewhere the service's own address is what a name means."""
    assert list(named(SERVICE.replace("None", "10.96.0.1"))) == ["db.default.svc.cluster.local"]
