"""Secrets that clusters take certificates from: `credentialName` of DestinationRules, of the client's own namespace.

Only gateways and the workloads that a rule selects get them; for all others such a rule means no TLS (see plan_clusters).
"""

from lateen.api.meta import Key
from lateen.api.objects import Secret
from lateen.compile.base import Base
from lateen.compile.clusters import Clusters, ServiceView
from lateen.compile.destinationrules import credentials_of
from lateen.compile.plan_secrets import plan_secret
from lateen.compile.scope import Scopes
from lateen.graph import Collection, Graph, Read
from lateen.model.destination import DestinationPolicy
from lateen.model.scope import Client
from lateen.model.secretplan import SecretPlan
from lateen.util.problem import Problems

__all__ = ["Credentials"]


class Credentials:
    """Secrets by client."""

    def __init__(self, graph: Graph, base: Base, scopes: Scopes, clusters: Clusters) -> None:
        self._base = base
        self._clusters = clusters
        self._names: Collection[ServiceView, tuple[str, ...]] = graph.one("credentials of services", clusters.policies, self._of_view)
        self.secrets: Collection[Client, tuple[SecretPlan, ...]] = graph.one("credentials of clients", scopes.clients, self._of_client)

    def _of_view(self, read: Read, view: ServiceView, policy: DestinationPolicy) -> tuple[tuple[str, ...] | None, Problems]:
        if not (view.gateway or policy.selective):
            return None, ()
        rules = (read.get(self._base.rule_objects, key) for key in view.rules)
        return tuple(sorted(frozenset[str]().union(*(credentials_of(rule) for rule in rules if rule is not None)))) or None, ()

    def _of_client(self, read: Read, client: Client, _none: None) -> tuple[tuple[SecretPlan, ...], Problems]:
        def find(key: Key) -> Secret | None:
            return read.get(self._base.secrets, key)

        views = read.get(self._clusters.of_client, client) or ()
        names = {name for view in views if view.rules for name in read.get(self._names, view) or ()}
        results = [plan_secret(name, client.namespace, find) for name in sorted(names)]
        plans = tuple(plan for plan, _ in results if plan is not None)
        return plans, tuple(problem for _, problems in results for problem in problems)
