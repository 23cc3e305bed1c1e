"""Which client namespaces see another mesh than the rest; all others are compiled for as one.

A namespace stands apart when something is exported to it by name, when it has one of several services of a host, or when a
DestinationRule of its own counts for more than its own services. That its services answer to short names is no part of this: route
tables see to it. Clients with a Sidecar, or with a rule for their labels, are not asked for here.
"""

from collections.abc import Mapping

from lateen.api.meta import Key
from lateen.compile.plan_routes import RouteHead
from lateen.compile.registry import Registry
from lateen.graph import Collection, Graph, Read
from lateen.model.destination import RuleHead
from lateen.model.service import Service, ServiceKey
from lateen.util.hosts import is_wildcard
from lateen.util.problem import Problems

__all__ = ["namespaces_apart"]

Names = tuple[Mapping[str, bool], Problems]


def namespaces_apart(
    graph: Graph, registry: Registry, route_heads: Collection[Key, RouteHead], rule_heads: Collection[Key, RuleHead]
) -> Collection[str, bool]:
    """The namespaces that stand apart, each with True."""

    def by_service(read: Read, key: ServiceKey, service: Service) -> Names:
        shared = len(read.by_index(registry.services_named, key.hostname)) > 1
        return _named(service.export_to, key.namespace if shared else ""), ()

    def by_rule(read: Read, key: Key, head: RuleHead) -> Names:
        own = all(one.namespace == key.namespace for one in read.by_index(registry.services_named, head.host))
        limited = "*" not in head.export_to or is_wildcard(head.host)
        return _named(head.export_to, key.namespace if limited or not own else ""), ()

    return graph.join(
        "namespaces apart",
        graph.many("namespaces apart by services", registry.services, by_service),
        graph.many("namespaces apart by virtual services", route_heads, lambda _read, _key, head: (_named(head.export_to, ""), ())),
        graph.many("namespaces apart by destination rules", rule_heads, by_rule),
    )


def _named(export_to: tuple[str, ...], other: str) -> dict[str, bool]:
    named = () if "*" in export_to else export_to
    return {name: True for name in (*named, other) if name}
