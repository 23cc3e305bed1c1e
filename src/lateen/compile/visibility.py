"""Which services a client sees: by `exportTo`, then by its Sidecar; and which of several with one host name it means.

Must not look at what services say beyond names, ports and exports: endpoints come and go without changing what is visible.
"""

from collections.abc import Collection, Iterable

from lateen.compile.sidecars import imports_service
from lateen.model.service import Service, ServiceKey
from lateen.model.sidecar import SidecarPlan, VisibleServices

__all__ = ["all_services", "exported_services", "imported_services"]


def exported_services(services: Iterable[Service], namespace: str) -> list[Service]:
    """What clients of `namespace` may see; of one host the first is meant: their own namespace's, else the oldest."""
    ordered = sorted(services, key=lambda s: (s.namespace != namespace, s.creation, s.key))
    return [service for service in ordered if "*" in service.export_to or namespace in service.export_to]


def all_services(services: Collection[Service]) -> VisibleServices:
    """No Sidecar: everything that is exported."""
    chosen = _by_host(services)
    return VisibleServices(known=chosen, listed=chosen, aliases=_aliases(services))


def imported_services(services: Collection[Service], sidecar: SidecarPlan, reached: Collection[str], namespace: str) -> VisibleServices:
    """What a Sidecar lets in by name, and behind that what its rules lead to (`reached`: hosts)."""
    captured = [imports for imports in sidecar.egress if not imports.bind]
    listed = _by_host(one for one in services if any(imports_service(imports, one, namespace) for imports in captured))
    bound = [(imports, _by_host(one for one in services if imports_service(imports, one, namespace))) for imports in sidecar.egress]
    behind = _by_host(one for one in services if one.hostname in reached)
    known = {**behind, **{host: key for _, found in bound for host, key in found.items()}, **listed}
    own = tuple((imports, tuple(found.values())) for imports, found in bound if imports.bind)
    return VisibleServices(known=known, listed=listed, aliases=_aliases(services), bound=own)


def _by_host(services: Iterable[Service]) -> dict[str, ServiceKey]:
    chosen: dict[str, ServiceKey] = {}
    for service in services:
        if not service.external_name:
            chosen.setdefault(service.hostname, service.key)
    return chosen


def _aliases(services: Iterable[Service]) -> dict[str, str]:
    return {service.hostname: service.external_name for service in services if service.external_name}
