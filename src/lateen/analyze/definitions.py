"""Definitions of the Gateway API's kinds that are older than what is read of them."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from lateen.analyze.objects import Finding, Objects

__all__ = ["check_versions"]

_BUNDLE = "gateway.networking.k8s.io/bundle-version"
_MINIMUM: Mapping[str, tuple[int, int, int]] = MappingProxyType(
    {
        "backendtlspolicies.gateway.networking.k8s.io": (1, 4, 0),
        "grpcroutes.gateway.networking.k8s.io": (1, 1, 0),
        "tlsroutes.gateway.networking.k8s.io": (1, 5, 0),
    }
)


def check_versions(objects: Objects) -> Iterable[Finding]:
    """The bundle a definition came with is new enough; a release candidate counts as its release (as istioctl has it)."""
    for item in objects.of("CustomResourceDefinition"):
        minimum, told = _MINIMUM.get(item.name), item.annotations.get(_BUNDLE, "")
        version = _version(told)
        if minimum is not None and version is not None and version < minimum:
            args = (item.name, told.removeprefix("v"), ".".join(map(str, minimum)))
            yield Finding(code="IST0176", item=item, args=args, path=("metadata", "annotations", _BUNDLE))


def _version(text: str) -> tuple[int, ...] | None:
    """`v1.4.0-rc.1` as (1, 4, 0); None where it is no version."""
    numbers = text.removeprefix("v").split("+")[0].split("-")[0].split(".")
    if not all(each.isdecimal() and each.isascii() for each in numbers) or len(numbers) > 3:
        return None
    return (*map(int, numbers), *(0,) * (3 - len(numbers)))
