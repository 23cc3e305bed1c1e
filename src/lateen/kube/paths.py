"""What the path of a request names.

Must not know methods or parameters.
"""

from collections.abc import Sequence
from urllib.parse import quote

from msgspec import Struct

from lateen.api.kinds import KindInfo
from lateen.kube.defined import BUILT_IN, Kinds, form_of
from lateen.kube.errors import missing_kind
from lateen.kube.records import Ref, resource_id

__all__ = ["REVIEW_GROUPS", "Target", "parse_path", "path_of"]

REVIEW_GROUPS = {"authorization.k8s.io": "v1", "authentication.k8s.io": "v1"}


class Target(Struct, frozen=True):
    """A collection (no name), an object, or a part of an object."""

    info: KindInfo
    version: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @property
    def ref(self) -> Ref:
        """The object's key in the store."""
        return Ref(resource_id(self.info), self.namespace if self.info.namespaced else "", self.name)

    @property
    def selectable(self) -> tuple[str, ...]:
        """The fields that the kind's definition lets be selected."""
        form = form_of(self.info, self.version)
        return form.selectable if form else ()


def parse_path(path: str, kinds: Kinds = BUILT_IN) -> Target | None:
    """The target of a path; None where no group and version of ours is named, ApiError 404 for an unknown resource in one that is."""
    parts = [part for part in path.split("/") if part]
    if parts[:1] == ["api"] and len(parts) >= 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[:1] == ["apis"] and len(parts) >= 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    if not kinds.serves(group, version) or not rest:
        return None
    return _target(kinds, group, version, rest)


def _target(kinds: Kinds, group: str, version: str, rest: Sequence[str]) -> Target:
    namespace = ""
    if rest[0] == "namespaces" and len(rest) >= 3 and not (group == "" and rest[2] == "status"):
        namespace, rest = rest[1], rest[2:]
    info = kinds.by_plural(group, rest[0])
    if info is None or version not in info.versions or len(rest) > 3 or (namespace and not info.namespaced):
        raise missing_kind()
    if info.namespaced and not namespace and len(rest) > 1:
        raise missing_kind()
    name, subresource = (*rest[1:], "", "")[:2]
    return Target(info, version, namespace, name, subresource)


def path_of(info: KindInfo, namespace: str = "", name: str = "", subresource: str = "", *, version: str = "") -> str:
    """The path of a collection, an object or a part of one."""
    version = version or info.versions[0]
    parts = ["apis", info.group, version] if info.group else ["api", version]
    if namespace and info.namespaced:
        parts += ["namespaces", namespace]
    parts += [part for part in (info.plural, name, subresource) if part]
    return "/" + "/".join(quote(part, safe="{}:") for part in parts)  # braces: a template's
