"""Files of objects into the API: what `lateen up FILE` and the demo do before anybody looks.

Why here too and not only in the CLI: a mesh applies its files itself, so that it is whole when it says it is ready. All files are read
before the first object is sent. Must not print.
"""

from collections.abc import Iterable
from pathlib import Path

from lateen.api.decode import Decoded, decode_documents
from lateen.api.kinds import by_api
from lateen.api.validate.run import problems_of
from lateen.kube.errors import ApiError
from lateen.kube.records import JsonObject, section
from lateen.sources.kubeclient import KubeClient

__all__ = ["ManifestError", "apply_manifests", "read_manifests"]

_ENDINGS = (".yaml", ".yml", ".json")
_CONFLICT = 409


class ManifestError(Exception):
    """One sentence per thing that is wrong in the files, with file, line, object and field."""


def read_manifests(paths: Iterable[Path]) -> tuple[Decoded, ...]:
    """All objects of files and folders (their YAML and JSON, sorted by name); ManifestError when any cannot be read."""
    found: list[Decoded] = []
    for path in paths:
        for file in _files(path):
            try:
                found += decode_documents(file.read_bytes(), str(file))
            except OSError as error:
                raise ManifestError(f"{file}: cannot be read: {error.strerror}") from None
    errors = [problem.message for one in found for problem in problems_of(one) if problem.severity == "error"]
    if errors:
        raise ManifestError("\n".join(errors))
    return tuple(found)


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.suffix in _ENDINGS)
    return [path]


async def apply_manifests(client: KubeClient, objects: Iterable[Decoded], *, only_absent: bool) -> None:
    """Create what is not there; what is there is merged, or with `only_absent` left as it is (but for labels of namespaces)."""
    for decoded in objects:
        raw: JsonObject = dict(decoded.raw)
        info = by_api(str(raw.get("apiVersion")), str(raw.get("kind")))
        if info is None:
            continue
        meta: JsonObject = dict(section(raw, "metadata"))
        if info.namespaced:
            meta.setdefault("namespace", "default")
        raw["metadata"] = meta
        try:
            await client.create(info, raw)
        except ApiError as error:
            if error.code != _CONFLICT:
                raise ManifestError(f"{decoded.source}: {info.kind} {meta.get('name')}: {error}") from None
            if not only_absent or info.kind == "Namespace":
                await client.patch(info, str(meta["name"]), raw, str(meta.get("namespace", "")))
