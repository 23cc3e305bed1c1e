"""A container's environment, command line and user, as Kubernetes makes them.

Why apart: variables come from Secrets, ConfigMaps and the pod's own fields, refer to each other as $(NAME), and the command line
refers to them. Must not start anything.
"""

import base64
import re
from collections.abc import Awaitable, Callable, Mapping

from lateen.api.pods import Container, EnvVar, EnvVarSource, KeyRef, Pod, PodSecurityContext, ResourceFieldRef, SecurityContext
from lateen.kube.records import JsonObject, section
from lateen.local.sandbox import CannotStartError
from lateen.local.spawner import User

__all__ = ["DEFAULT_UID", "Fetch", "environment", "expand", "pod_field", "secret_bytes", "user_of"]

# Whom containers run as that name no user: nobody of this machine (the images' own users are not known here).
DEFAULT_UID = 65532  # docs/decisions/010
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_REFERENCE = re.compile(r"\$\$|\$\(([^)]*)\)")
_QUOTED = re.compile(r"^metadata\.(labels|annotations)\['(.*)'\]$")
_CONFIG_ERROR = "CreateContainerConfigError"

# (kind, name) in the pod's namespace -> the object, or None
Fetch = Callable[[str, str], Awaitable[JsonObject | None]]


def expand(text: str, variables: Mapping[str, str]) -> str:
    """`$(NAME)` becomes the variable's value, `$$` a dollar; a reference to nothing stays as it is."""

    def value(match: re.Match[str]) -> str:
        return "$" if match[0] == "$$" else variables.get(match[1], match[0])

    return _REFERENCE.sub(value, text)


def pod_field(pod: Pod, path: str, address: str) -> str:
    """A field of the pod, as the downward API names it; ValueError for one that it does not have."""
    quoted = _QUOTED.match(path)
    if quoted:
        return str(getattr(pod.metadata, quoted[1]).get(quoted[2], ""))
    meta, spec = pod.metadata, pod.spec
    plain = {
        "metadata.name": meta.name,
        "metadata.namespace": meta.namespace,
        "metadata.uid": meta.uid,
        "metadata.labels": _lines(meta.labels),
        "metadata.annotations": _lines(meta.annotations),
        "spec.nodeName": spec.node_name or "local",
        "spec.serviceAccountName": spec.service_account_name or "default",
        "status.podIP": address,
        "status.podIPs": address,
        "status.hostIP": "127.0.0.1",
        "status.hostIPs": "127.0.0.1",
    }
    if path not in plain:
        raise ValueError(f"the pod has no field {path} that a container may read")
    return plain[path]


def _lines(values: Mapping[str, str]) -> str:
    return "\n".join(f'{key}="{value}"' for key, value in sorted(values.items()))


def secret_bytes(obj: JsonObject) -> dict[str, bytes]:
    """The keys of a Secret or ConfigMap."""
    if obj.get("kind") == "Secret":
        return {key: base64.b64decode(str(value)) for key, value in section(obj, "data").items()}
    binary = {key: base64.b64decode(str(value)) for key, value in section(obj, "binaryData").items()}
    return {key: str(value).encode() for key, value in section(obj, "data").items()} | binary


async def environment(pod: Pod, container: Container, image_env: Mapping[str, str], address: str, fetch: Fetch) -> dict[str, str]:
    """All variables; later ones win. CannotStartError when something they refer to is not there."""
    found = {"PATH": _PATH, "HOME": "/tmp", "HOSTNAME": pod.spec.hostname or pod.metadata.name, "PYTHONUNBUFFERED": "1"}  # noqa: S108
    found.update(image_env)
    for source in container.env_from:
        for kind, ref in (("ConfigMap", source.config_map_ref), ("Secret", source.secret_ref)):
            if ref is not None:
                keys = await _keys(fetch, kind, ref.name, optional=bool(ref.optional))
                found.update({f"{source.prefix}{key}": value.decode("utf-8", "replace") for key, value in keys.items()})
    for variable in container.env:
        value = await _value(pod, container, variable, found, address, fetch)
        if value is not None:
            found[variable.name] = value
    return found


async def _value(pod: Pod, container: Container, variable: EnvVar, before: Mapping[str, str], address: str, fetch: Fetch) -> str | None:
    source = variable.value_from
    if source is None:
        return expand(variable.value, before)
    if source.field_ref is not None:
        try:
            return pod_field(pod, source.field_ref.field_path, address)
        except ValueError as error:
            raise CannotStartError(_CONFIG_ERROR, f"env {variable.name}: {error}") from None
    if source.resource_field_ref is not None:
        return _resource(container, source.resource_field_ref)
    return await _key(source, fetch)


async def _key(source: EnvVarSource, fetch: Fetch) -> str | None:
    pairs: tuple[tuple[str, KeyRef | None], ...] = (("ConfigMap", source.config_map_key_ref), ("Secret", source.secret_key_ref))
    for kind, ref in pairs:
        if ref is not None:
            keys = await _keys(fetch, kind, ref.name, optional=bool(ref.optional))
            if ref.key in keys:
                return keys[ref.key].decode("utf-8", "replace")
            if not ref.optional:
                raise CannotStartError(_CONFIG_ERROR, f"couldn't find key {ref.key} in {kind} {_quoted(ref.name)}")
    return None


def _quoted(name: str) -> str:
    return f'"{name}"'


async def _keys(fetch: Fetch, kind: str, name: str, *, optional: bool) -> dict[str, bytes]:
    obj = await fetch(kind, name)
    if obj is None:
        if optional:
            return {}
        raise CannotStartError(_CONFIG_ERROR, f"{kind.lower()} {_quoted(name)} not found")
    return secret_bytes(obj)


def _resource(container: Container, ref: ResourceFieldRef) -> str:
    """A limit or request of this container; without one, "0"."""
    kind, _, name = ref.resource.partition(".")
    resources = container.resources
    values = {} if resources is None else dict(getattr(resources, kind, {}))
    return str(values.get(name, "0"))


def user_of(pod: Pod, container: Container) -> User:
    """Whom the container runs as: its own security context, else the pod's, else nobody of this machine."""
    of_pod, own = pod.spec.security_context or PodSecurityContext(), container.security_context or SecurityContext()
    uid = next((each for each in (own.run_as_user, of_pod.run_as_user) if each is not None), DEFAULT_UID)
    gid = next((each for each in (own.run_as_group, of_pod.run_as_group) if each is not None), uid)
    groups = (*of_pod.supplemental_groups, *(() if of_pod.fs_group is None else (of_pod.fs_group,)))
    if uid == 0 and (own.run_as_non_root or of_pod.run_as_non_root):
        raise CannotStartError(_CONFIG_ERROR, "container has runAsNonRoot and would run as root: name another user with runAsUser")
    return User(uid=uid, gid=gid, groups=groups)
