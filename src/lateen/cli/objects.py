"""Objects from files, for apply and delete: read and judged as a whole before the first is sent."""

import sys
from collections.abc import Iterable
from pathlib import Path

from lateen.api.decode import Decoded, decode_documents
from lateen.api.kinds import KindInfo, by_api
from lateen.api.validate.run import problems_of
from lateen.kube.records import JsonObject, section
from lateen.kube.validation import problems_of_form

__all__ = ["Target", "read_targets"]

_ENDINGS = (".yaml", ".yml", ".json")


class Target:
    """One object of a file, and where it belongs. `problems` are sentences; with any that is an error the object is not sent."""

    def __init__(self, decoded: Decoded, namespace: str) -> None:
        self._decoded = decoded
        self.raw: JsonObject = dict(decoded.raw)
        problems = (*problems_of(decoded), *problems_of_form(decoded))
        self.errors = [problem.message for problem in problems if problem.severity == "error"]
        self.warnings = [f"warning: {problem.message}" for problem in problems if problem.severity != "error"]
        self.info: KindInfo | None = by_api(str(self.raw.get("apiVersion", "")), str(self.raw.get("kind", "")))
        meta = dict(section(self.raw, "metadata"))
        if self.info is not None and self.info.namespaced:
            meta.setdefault("namespace", namespace or "default")
            if namespace and meta["namespace"] != namespace:
                self.errors.append(
                    f"{decoded.source}: {self.raw.get('kind')} {meta.get('name')} is of namespace {meta['namespace']}, not {namespace}"
                )
        self.raw["metadata"] = meta
        self.name, self.namespace = str(meta.get("name", "")), str(meta.get("namespace", ""))

    @property
    def source(self) -> str:
        """The file."""
        return self._decoded.source

    @property
    def place(self) -> str:
        """File and line where the object begins."""
        return f"{self._decoded.source}:{self._decoded.lines.get((), 1)}"

    def __str__(self) -> str:
        if self.info is None:
            return self.name
        group = f".{self.info.group}" if self.info.group else ""
        return f"{self.info.singular}{group}/{self.name}"


def read_targets(sources: Iterable[str], namespace: str) -> tuple[list[Target], list[str]]:
    """The objects of files, folders (their YAML and JSON) and `-` (standard input), and why sources could not be read."""
    targets: list[Target] = []
    errors: list[str] = []
    for source in sources:
        if source == "-":
            targets += _targets(sys.stdin.buffer.read(), "standard input", namespace)
            continue
        for file in _files(Path(source)):
            try:
                targets += _targets(file.read_bytes(), str(file), namespace)
            except OSError as error:
                errors.append(f"{file}: cannot be read: {error.strerror}")
    return targets, errors


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.suffix in _ENDINGS)
    return [path]


def _targets(data: bytes, source: str, namespace: str) -> list[Target]:
    return [Target(decoded, namespace) for decoded in decode_documents(data, source)]
