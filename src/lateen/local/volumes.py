"""A pod's volumes as folders of the node, and where its containers see them.

Why folders: a container is a process whose mounts show them. Secrets, ConfigMaps and tokens are kept in memory, emptyDir in the
data folder unless it asks for memory. Must not be told what a program does with them.
"""

import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from lateen.api.pods import Container, Pod
from lateen.kube.records import JsonObject, section
from lateen.local.environment import Fetch, expand, pod_field, secret_bytes
from lateen.local.sandbox import CannotStartError
from lateen.local.spawner import Mount

__all__ = ["Places", "TokenSource", "VolumeError", "mounts_of", "prepare"]

# (audience, seconds) -> a token of the pod's service account
TokenSource = Callable[[str, int], Awaitable[str]]
_FILE_MODE = 0o644
_TOKEN_SECONDS = 3600


class VolumeError(Exception):
    """A sentence saying why a volume cannot be had."""


class Places:
    """Where one pod's volumes are made: `lasting` on disk, `private` in memory."""

    def __init__(self, lasting: Path, private: Path) -> None:
        self.lasting = lasting
        self.private = private


Files = dict[str, tuple[bytes, int]]


async def prepare(pod: Pod, places: Places, address: str, fetch: Fetch, token: TokenSource) -> Mapping[str, Path]:
    """Make the volumes; volume name to folder. VolumeError says which cannot be had, and why."""
    made = {}
    for volume in pod.spec.volumes:
        name = str(volume.get("name", ""))
        maker = _Maker(pod, address, fetch, token)
        if "emptyDir" in volume:
            in_memory = _part(volume, "emptyDir").get("medium") == "Memory"
            made[name] = _empty((places.private if in_memory else places.lasting) / name, pod)
        elif (files := await maker.files(volume, name)) is not None:
            made[name] = _write(places.private / name, files, pod)
        else:
            kinds = ", ".join(sorted(set(volume) - {"name"})) or "of no kind"
            raise VolumeError(
                f"Volume {name} ({kinds}) cannot be had on this node: emptyDir, configMap, secret, projected and downwardAPI can."
            )
    return made


def mounts_of(container: Container, volumes: Mapping[str, Path], variables: Mapping[str, str]) -> tuple[Mount, ...]:
    """The container's mounts; CannotStartError when it names a volume that the pod does not have."""
    found = []
    for mount in sorted(container.volume_mounts, key=lambda each: str(each.get("mountPath", ""))):
        name, target = str(mount.get("name", "")), str(mount.get("mountPath", ""))
        if name not in volumes:
            raise CannotStartError("CreateContainerConfigError", f'volumeMounts: the pod has no volume "{name}"')
        inside = str(mount.get("subPath", "")) or expand(str(mount.get("subPathExpr", "")), variables)
        source = volumes[name] / inside.lstrip("/")
        if not source.resolve().is_relative_to(volumes[name].resolve()):
            raise CannotStartError("CreateContainerConfigError", f'volumeMounts: subPath of "{name}" leads out of the volume')
        if not source.exists():
            source.mkdir(parents=True, mode=0o777)
        found.append(Mount(source=str(source), target=target, read_only=mount.get("readOnly") is True))
    return tuple(found)


def _part(value: Mapping[str, object], name: str) -> JsonObject:
    return section(value, name)


def _empty(folder: Path, pod: Pod) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    _own(folder, pod)
    folder.chmod(0o777)
    return folder


def _own(path: Path, pod: Pod) -> None:
    group = pod.spec.security_context.fs_group if pod.spec.security_context else None
    if group is not None:
        os.chown(path, -1, group)


def _write(folder: Path, files: Files, pod: Pod) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    _own(folder, pod)
    folder.chmod(0o755)
    for name, (content, mode) in files.items():
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            raise VolumeError(f"Volume {folder.name}: the path {name} leads out of the volume.")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(mode)
        _own(path, pod)
    return folder


class _Maker:
    """The files of the volumes that are made of objects."""

    def __init__(self, pod: Pod, address: str, fetch: Fetch, token: TokenSource) -> None:
        self._pod = pod
        self._address = address
        self._fetch = fetch
        self._token = token

    async def files(self, volume: Mapping[str, object], name: str) -> Files | None:
        """The files; None for a volume of another kind."""
        if "secret" in volume:
            source = _part(volume, "secret")
            return await self._keys("Secret", {**source, "name": source.get("secretName", "")}, name)
        if "configMap" in volume:
            return await self._keys("ConfigMap", _part(volume, "configMap"), name)
        if "downwardAPI" in volume:
            return self._fields(_part(volume, "downwardAPI"), name)
        if "projected" in volume:
            return await self._projected(_part(volume, "projected"), name)
        return None

    async def _projected(self, projected: JsonObject, name: str) -> Files:
        files: Files = {}
        for source in _dicts(projected.get("sources")):
            default = {"defaultMode": projected.get("defaultMode", _FILE_MODE)}
            if "secret" in source:
                files |= await self._keys("Secret", default | _part(source, "secret"), name)
            elif "configMap" in source:
                files |= await self._keys("ConfigMap", default | _part(source, "configMap"), name)
            elif "downwardAPI" in source:
                files |= self._fields(default | _part(source, "downwardAPI"), name)
            elif "serviceAccountToken" in source:
                wanted = _part(source, "serviceAccountToken")
                seconds = wanted.get("expirationSeconds")
                text = await self._token(str(wanted.get("audience", "")), seconds if isinstance(seconds, int) else _TOKEN_SECONDS)
                files[str(wanted.get("path", "token"))] = (text.encode(), _FILE_MODE)
        return files

    async def _keys(self, kind: str, source: JsonObject, volume: str) -> Files:
        name = str(source.get("name", ""))
        obj = await self._fetch(kind, name)
        if obj is None:
            if source.get("optional"):
                return {}
            raise VolumeError(f'MountVolume.SetUp failed for volume "{volume}" : {kind.lower()} "{name}" not found')
        keys = secret_bytes(obj)
        mode = _mode(source.get("defaultMode"), _FILE_MODE)
        items = _dicts(source.get("items"))
        if not items:
            return {key: (content, mode) for key, content in keys.items()}
        files: Files = {}
        for item in items:
            key = str(item.get("key", ""))
            if key in keys:
                files[str(item.get("path", key))] = (keys[key], _mode(item.get("mode"), mode))
            elif not source.get("optional"):
                raise VolumeError(f'MountVolume.SetUp failed for volume "{volume}" : references non-existent {kind.lower()} key: {key}')
        return files

    def _fields(self, source: JsonObject, volume: str) -> Files:
        mode = _mode(source.get("defaultMode"), _FILE_MODE)
        files: Files = {}
        for item in _dicts(source.get("items")):
            path = str(item.get("path", ""))
            field = str(_part(item, "fieldRef").get("fieldPath", ""))
            if field:
                try:
                    text = pod_field(self._pod, field, self._address)
                except ValueError as error:
                    raise VolumeError(f"Volume {volume}: {error}.") from None
                files[path] = (text.encode(), _mode(item.get("mode"), mode))
            else:
                files[path] = (b"0", _mode(item.get("mode"), mode))  # no limits are kept here
        return files


def _mode(value: object, default: int) -> int:
    return value if isinstance(value, int) else default


def _dicts(value: object) -> list[JsonObject]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, (list, tuple)) else []
