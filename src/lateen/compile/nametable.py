"""Names for the DNS proxies: every host that workloads of a namespace see and that has an address."""

from collections.abc import Iterable

from lateen.compile.base import Base
from lateen.compile.visibility import exported_services
from lateen.graph import Collection, Graph, Input, Read
from lateen.model.nametable import NamedHost
from lateen.model.service import Service, ServiceKey
from lateen.util.problem import Problems

__all__ = ["Names"]


class Names:
    """Name tables by namespace. `clients` are the namespaces somebody asks for."""

    def __init__(self, graph: Graph, base: Base) -> None:
        self._base = base
        self.clients: Input[str, None] = graph.input("namespaces with a DNS proxy")
        self.tables: Collection[str, tuple[NamedHost, ...]] = graph.one("name tables", self.clients, self._table)

    def _table(self, read: Read, namespace: str, _none: None) -> tuple[tuple[NamedHost, ...], Problems]:
        seen: dict[str, NamedHost] = {}
        services = exported_services(read.all(self._base.services).values(), namespace)
        for service in services:
            if not service.external_name and service.hostname not in seen:
                host = seen[service.hostname] = self._host(read, service.captured)
                seen |= {pod.host: pod for pod in self._pods(read, service) if pod.host not in seen}
                for alias in service.aliases:
                    seen.setdefault(alias.hostname, _alias(alias, host.addresses))
        return tuple(seen[host] for host in sorted(seen) if seen[host].addresses), ()

    def _pods(self, read: Read, service: Service) -> Iterable[NamedHost]:
        """The names of a headless service's pods that have one of their own, as those of a StatefulSet do."""
        named: dict[str, set[str]] = {}
        for endpoint in (read.get(self._base.endpoints, service.key) or ()) if service.headless else ():
            if endpoint.hostname:
                named.setdefault(endpoint.hostname, set()).add(endpoint.address)
        for name, addresses in named.items():
            yield NamedHost(
                host=f"{name}.{service.hostname}",
                addresses=tuple(sorted(addresses)),
                registry=service.registry,
                namespace=service.namespace,
                short=f"{name}.{service.name}",
            )

    def _host(self, read: Read, service: Service) -> NamedHost:
        local = service.registry == "Kubernetes"
        addresses = tuple(address for address in service.addresses if "/" not in address)
        if service.headless:
            endpoints = read.get(self._base.endpoints, service.key) or ()
            addresses = tuple(sorted({endpoint.address for endpoint in endpoints}))
        return NamedHost(
            host=service.hostname,
            addresses=addresses,
            registry=service.registry,
            namespace=service.namespace if local else "",
            short=service.name if local else "",
        )


def _alias(key: ServiceKey, addresses: tuple[str, ...]) -> NamedHost:
    """An ExternalName Service has the addresses of the service that it names."""
    short = key.hostname.partition(".")[0]
    return NamedHost(host=key.hostname, addresses=addresses, registry="Kubernetes", namespace=key.namespace, short=short)
