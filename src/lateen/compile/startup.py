"""What a proxy is started with: settings and changes of its bootstrap, as they count for the workload when its pod starts.

Envoy reads its bootstrap once. What changes later waits for a new pod, and the EnvoyFilter says which pods those are: a proxy tells in its
node's metadata which changes it was started with. Must not know how a bootstrap is printed.
"""

from collections.abc import Iterable

from msgspec import Struct

from lateen.api.meshconfig import ProxyConfig
from lateen.api.meta import Key
from lateen.compile.base import Base
from lateen.compile.envoyfilters import bootstrap_changes
from lateen.compile.proxyconfigs import Layers, layers_for
from lateen.graph import Collection, Graph, Read
from lateen.model.patchplan import BOOTSTRAP_MARK, FilterPlan, mark_of
from lateen.model.scope import Proxy
from lateen.util.problem import Problem, Problems

__all__ = ["Startup", "Startups"]

_NAMED = 3  # pods that a message names


class Startup(Struct, frozen=True):
    """MeshConfig's settings, what ProxyConfigs lay over them, and the EnvoyFilters' changes of the bootstrap, in order."""

    defaults: ProxyConfig = ProxyConfig()
    layers: Layers = Layers()
    changes: tuple[FilterPlan, ...] = ()


class Startups:
    """Part of the graph: who was started before a change; and what a new proxy is to be started with."""

    def __init__(self, graph: Graph, base: Base) -> None:
        self._base = base
        filters: Collection[Key, FilterPlan] = graph.one(
            "envoy filters of bootstraps", base.envoy_filters, lambda _read, _key, plan: (plan if plan.of_bootstraps else None, ())
        )
        self._filters = filters
        graph.one("proxies before a change", filters, self._earlier)

    def startup(self, proxy: Proxy) -> Startup:
        """As of the last commit."""
        base, root = self._base, self._base.settings.root_namespace
        mesh = base.mesh.get(())
        labels = dict(proxy.labels)
        near = (plan for key, plan in self._filters.items() if key.namespace in (root, proxy.namespace))
        return Startup(
            mesh.default_config if mesh is not None else ProxyConfig(),
            layers_for((one for _, one in base.proxy_configs.items()), proxy.namespace, labels, root),
            bootstrap_changes(proxy, labels, near, root),
        )

    def _earlier(self, read: Read, key: Key, plan: FilterPlan) -> tuple[None, Problems]:
        """The connected proxies that the EnvoyFilter is for and that do not have this form of it."""
        root = self._base.settings.root_namespace
        mark = mark_of((plan,))
        found = [
            f"{proxy.name}.{proxy.namespace}"
            for proxy in read.all(self._base.proxies).values()
            if key.namespace in (root, proxy.namespace)
            and mark not in dict(proxy.metadata).get(BOOTSTRAP_MARK, "").split()
            and bootstrap_changes(proxy, dict(proxy.labels), (plan,), root)
        ]
        return None, (_problem(key, plan, sorted(found)),) if found else ()


def _problem(key: Key, plan: FilterPlan, pods: Iterable[str]) -> Problem:
    pods = tuple(pods)
    index = next(patch.index for patch in plan.patches if patch.of_bootstrap)
    more = f" and {len(pods) - _NAMED} more" if len(pods) > _NAMED else ""
    return Problem(
        code="envoy-filter",
        message=f"the proxies of {', '.join(pods[:_NAMED])}{more} were started before this change of the bootstrap: restart those pods",
        kind=key.kind,
        namespace=key.namespace,
        name=key.name,
        path=f"spec.configPatches[{index}]",
        severity="warning",
    )
