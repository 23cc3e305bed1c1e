"""ProxyConfigs: how the proxy of one workload is started, beside MeshConfig's `defaultConfig` and the pod's annotation.

From the weakest to the strongest: the mesh's defaults, those of the root namespace, of the pod's own, the annotation, and those that
select the workload. Of several of one kind the oldest counts. A proxy is started with what counts then; later changes wait for a new pod.
"""

from collections.abc import Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from lateen.api.meshconfig import ProxyConfig as Settings
from lateen.api.proxyconfig import ProxyConfig, ProxyConfigSpec
from lateen.util.selectors import canonical, matches

__all__ = ["Layers", "laid_over", "layers_for"]


class Layers(Struct, frozen=True):
    """What counts for one workload, the weaker first: `wide` gives way to its pod's annotation, `own` does not."""

    wide: tuple[ProxyConfigSpec, ...] = ()
    own: tuple[ProxyConfigSpec, ...] = ()


def layers_for(configs: Iterable[ProxyConfig], namespace: str, labels: Mapping[str, str], root: str) -> Layers:
    """Those of the root namespace and the workload's own that are for it. A selector is for its own namespace, the root one too."""
    youngest_first = sorted(configs, key=lambda one: (one.metadata.creation_timestamp, one.metadata.name), reverse=True)
    found = [(one.metadata.namespace, one.spec) for one in youngest_first]
    places = dict.fromkeys((root, namespace))
    own = (spec for place, spec in found if place == namespace and not _is_wide(spec))
    return Layers(
        wide=tuple(spec for wanted in places for place, spec in found if place == wanted and _is_wide(spec)),
        own=tuple(spec for spec in own if matches(_labels(spec), labels)),
    )


def _labels(spec: ProxyConfigSpec) -> tuple[tuple[str, str], ...]:
    return canonical(spec.selector.match_labels) if spec.selector is not None else ()


def _is_wide(spec: ProxyConfigSpec) -> bool:
    return not _labels(spec)


def laid_over(settings: Settings, specs: Iterable[ProxyConfigSpec]) -> Settings:
    """The settings with what `specs` say, in their order, instead; environments are joined."""
    for spec in specs:
        settings = replace(
            settings,
            concurrency=settings.concurrency if spec.concurrency is None else spec.concurrency,
            proxy_metadata={**settings.proxy_metadata, **spec.environment_variables},
            image=settings.image if spec.image is None else {"imageType": spec.image.image_type},
        )
    return settings
