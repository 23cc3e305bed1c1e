"""Changes of the configuration that an Envoy starts with."""

from collections.abc import Iterable

from envoy.config.bootstrap.v3 import bootstrap_pb2

from lateen.model.patchplan import FilterPlan
from lateen.xds.patches.merge import merge
from lateen.xds.patches.parse import parse_plan

__all__ = ["patch_bootstrap"]


def patch_bootstrap(bootstrap: bootstrap_pb2.Bootstrap, changes: Iterable[FilterPlan]) -> None:
    """Merge in place, in order; what cannot be read was told of the EnvoyFilter and is left out."""
    for plan in changes:
        for ready in parse_plan(plan)[0]:
            if ready.merges:
                merge(bootstrap, ready.value, replace_lists=ready.replaces_lists)
