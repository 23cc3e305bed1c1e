"""`lateen analyze`: what is wrong between the objects of files, of the running mesh, or of both together.

Exit codes: 0 nothing as bad as the threshold, 79 something is, 65 a file cannot be read, 64 wrong usage.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import click
import yaml

from lateen.analyze.defaults import default_items
from lateen.analyze.objects import Item, Objects, item_of, items_of
from lateen.analyze.run import ANALYSERS, Message, analyze
from lateen.api.decode import decode_documents, decode_message
from lateen.api.kinds import KINDS
from lateen.api.meshconfig import MeshConfig
from lateen.cli.access import BAD_DATA, fail, kubeconfig_option, with_client
from lateen.kube.errors import ApiError
from lateen.kube.records import JsonObject, section
from lateen.sources.kubeclient import KubeClient

__all__ = ["analyze_command"]

_USAGE, _FOUND = 64, 79
_LEVELS = ("Info", "Warning", "Error")
_ENDINGS = (".yaml", ".yml", ".json")
_ROOT, _MESH_MAP = "istio-system", "istio"
_NOT_FOUND = 404


@click.command("analyze")
@click.argument("sources", nargs=-1, type=str)
@click.option(
    "--use-mesh", "--use-kube/--no-use-kube", "-k", "use_mesh", is_flag=True, default=None, help="Analyse the running mesh as well."
)
@click.option("-R", "--recursive", is_flag=True, help="Read folders within folders.")
@click.option("-n", "--namespace", default="", help="Say only what concerns this namespace.")
@click.option("-A", "--all-namespaces", is_flag=True, help="Say what concerns any namespace (the default).")
@click.option("-o", "--output", type=click.Choice(["text", "json", "yaml", "log"]), default="text")
@click.option("--failure-threshold", type=click.Choice(_LEVELS, case_sensitive=False), default="Error", help="What ends with 79.")
@click.option("--output-threshold", type=click.Choice(_LEVELS, case_sensitive=False), default="Info", help="What is said.")
@click.option("-S", "--suppress", multiple=True, metavar='"CODE=KIND NAME.NAMESPACE"', help="Do not say this; * stands for any text.")
@click.option("--meshConfigFile", "mesh_file", type=click.Path(path_type=Path), help="MeshConfig to analyse with.")
@click.option("-L", "--list-analyzers", is_flag=True, help="Say which analysers there are.")
@kubeconfig_option
def analyze_command(
    sources: tuple[str, ...],
    *,
    use_mesh: bool | None,
    recursive: bool,
    namespace: str,
    all_namespaces: bool,
    output: str,
    failure_threshold: str,
    output_threshold: str,
    suppress: tuple[str, ...],
    mesh_file: Path | None,
    list_analyzers: bool,
    kubeconfig: Path | None,
) -> None:
    """Say what is wrong with objects together."""
    if list_analyzers:
        click.echo("\n".join(sorted(ANALYSERS)))
        return
    if namespace and all_namespaces:
        raise click.UsageError("Name one namespace, or all.")
    rules = [_rule(each) for each in suppress]
    items, errors = _read(sources, recursive=recursive)
    mesh = _mesh_config(mesh_file) if mesh_file is not None else None

    def say(objects: Objects) -> int:
        messages = [
            each
            for each in analyze(objects)
            if (not namespace or namespace in {each.namespace, each.origin.partition(" ")[2]})
            and _at_least(each, output_threshold)
            and not any(rule(each) for rule in rules)
        ]
        _print(messages, output, ", ".join(sources) or "the running mesh")
        for error in errors:
            click.echo(error, err=True)
        found = any(_at_least(each, failure_threshold) for each in messages)
        return BAD_DATA if errors else _FOUND if found else 0

    async def with_mesh(client: KubeClient) -> int:
        running, own = await _running(client)
        names = {(item.kind, str(item)) for item in items}
        return say(Objects([*items, *(item for item in running if (item.kind, str(item)) not in names)], mesh or own))

    if use_mesh or (use_mesh is None and not sources):
        with_client(kubeconfig, with_mesh)
    sys.exit(say(Objects([*items, *default_items(items)], mesh)))


def _at_least(message: Message, threshold: str) -> bool:
    return _LEVELS.index(message.level) >= [each.lower() for each in _LEVELS].index(threshold.lower())


class _Rule:
    """One `--suppress`: a code and the objects it is not said of."""

    def __init__(self, code: str, origin: str) -> None:
        self._code = code
        self._origin = origin

    def __call__(self, message: Message) -> bool:
        kind, _, name = message.origin.partition(" ")
        namespace, slash, bare = name.rpartition("/")
        written = f"{kind} {bare}.{namespace}" if slash else f"{kind} {bare}"
        return message.code == self._code and fnmatchcase(written, self._origin)


def _rule(text: str) -> _Rule:
    code, equals, origin = text.partition("=")
    if not (code and equals and origin):
        fail(f'lateen: --suppress "{text}" is not CODE=KIND NAME.NAMESPACE, such as "IST0103=Pod *.shop"', _USAGE)
    return _Rule(code, origin)


def _read(sources: Iterable[str], *, recursive: bool) -> tuple[list[Item], list[str]]:
    items: list[Item] = []
    errors: list[str] = []
    for source in sources:
        for name, data in _texts(source, errors, recursive=recursive):
            decoded = decode_documents(data, name)
            errors += [problem.message for one in decoded for problem in one.problems if problem.code == "syntax"]
            items += items_of(decoded)
    return items, errors


def _texts(source: str, errors: list[str], *, recursive: bool) -> Iterator[tuple[str, bytes]]:
    if source == "-":
        yield "standard input", sys.stdin.buffer.read()
        return
    path = Path(source)
    files = sorted(path.rglob("*") if recursive else path.iterdir()) if path.is_dir() else [path]
    for file in files:
        if path.is_dir() and file.suffix not in _ENDINGS:
            continue
        try:
            yield str(file), file.read_bytes()
        except OSError as error:
            errors.append(f"{file}: cannot be read: {error.strerror}")


def _mesh_config(file: Path) -> MeshConfig:
    try:
        mesh, problems = decode_message(file.read_bytes(), MeshConfig, str(file))
    except OSError as error:
        fail(f"lateen: {file}: cannot be read: {error.strerror}", BAD_DATA)
    if mesh is None:
        fail("\n".join(problem.message for problem in problems), BAD_DATA)
    return mesh


async def _running(client: KubeClient) -> tuple[list[Item], MeshConfig | None]:
    """All that is stored, and the mesh's own settings."""
    items: list[Item] = []
    mesh = None
    for info in KINDS:
        if info.kind == "Event":
            continue
        try:
            found: list[JsonObject] = (await client.list(info)).items
        except ApiError as error:
            if error.code != _NOT_FOUND:
                raise
            continue  # a cluster that has no such kind
        items += [item_of(dict(each)) for each in found]
    for item in items:
        if (item.kind, item.namespace, item.name) == ("ConfigMap", _ROOT, _MESH_MAP):
            mesh, _ = decode_message(str(section(dict(item.json), "data").get("mesh", "")).encode(), MeshConfig, str(item))
    return items, mesh


def _print(messages: list[Message], output: str, where: str) -> None:
    if output in {"json", "yaml"}:
        shown = [
            {
                "code": each.code,
                "level": each.level,
                "message": f"{each.text} {each.remedy}".strip(),
                "origin": each.origin,
                **({"reference": f"{each.source}:{each.line}"} if each.source else {}),
            }
            for each in messages
        ]
        click.echo(json.dumps(shown, indent="\t") if output == "json" else yaml.safe_dump(shown, sort_keys=False).rstrip())
        return
    for each in messages:
        place = f" {each.source}:{each.line}" if each.source else ""
        remedy = f" {each.remedy}" if each.remedy and output == "text" else ""
        click.echo(f"{each.level} [{each.code}] ({each.origin}{place}) {each.text}{remedy}")
    if not messages and output == "text":
        click.echo(f"No issues found in {where}.")
