"""Secrets that clusters take certificates from: `credentialName` of DestinationRules, of the client's own namespace.

Only gateways and the workloads that a rule selects get them; for all others such a rule means no TLS (see plan_clusters).
"""

from lateen.api.meta import Key
from lateen.compile.base import Base
from lateen.compile.clusters import Clusters, ServiceView
from lateen.compile.destinationrules import credentials_of
from lateen.compile.plan_secrets import plan_secrets
from lateen.compile.scope import Scopes
from lateen.compile.secretreads import SecretReads
from lateen.graph import Collection, Graph, Read
from lateen.model.destination import DestinationPolicy
from lateen.model.scope import Client
from lateen.model.secretplan import SecretPlan
from lateen.util.problem import Problems

__all__ = ["Credentials"]

Users = tuple[tuple[str, Key], ...]  # SDS resources, and the rule that has each


class Credentials:
    """Secrets by client."""

    def __init__(self, graph: Graph, base: Base, scopes: Scopes, clusters: Clusters) -> None:
        self._base = base
        self._clusters = clusters
        self._users: Collection[ServiceView, Users] = graph.one("credentials of services", clusters.policies, self._of_view)
        self.secrets: Collection[Client, tuple[SecretPlan, ...]] = graph.one("credentials of clients", scopes.clients, self._of_client)

    def _of_view(self, read: Read, view: ServiceView, policy: DestinationPolicy) -> tuple[Users | None, Problems]:
        if not (view.gateway or policy.selective):
            return None, ()
        rules = ((key, read.get(self._base.rule_objects, key)) for key in view.rules)
        return tuple(sorted((name, key) for key, rule in rules if rule is not None for name in credentials_of(rule))) or None, ()

    def _of_client(self, read: Read, client: Client, _none: None) -> tuple[tuple[SecretPlan, ...], Problems]:
        views = read.get(self._clusters.of_client, client) or ()
        users = [user for view in views if view.rules for user in read.get(self._users, view) or ()]
        return plan_secrets(users, SecretReads(read, self._base, client.namespace))
