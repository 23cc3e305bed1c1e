"""`lateen wait`: return when what was written is in force on every proxy concerned, or say why it is not.

Exit codes: 0 it is, 1 it is not within the time, or a proxy refuses it. Looks at the objects' status only, as anybody can.
"""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import click

from lateen.api.kinds import KindInfo, lookup
from lateen.cli.access import BAD_DATA, fail, kubeconfig_option, namespace_option, with_client
from lateen.cli.objects import read_targets
from lateen.kube.errors import ApiError
from lateen.kube.records import JsonObject, dicts, section
from lateen.sources.kubeclient import KubeClient
from lateen.util import durations

__all__ = ["wait"]

_NOT_FOUND = 404
_REFUSED, _PROGRAMMED = "Rejected", "Programmed"


class Wanted(NamedTuple):
    """One object that is waited for."""

    info: KindInfo
    namespace: str
    name: str

    def __str__(self) -> str:
        place = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.info.singular} {place}"


class _RefusedError(Exception):
    """It will never be as wanted."""


# What is lacking, or "" when nothing is; raises where nothing will help. None: there is no such object.
Look = Callable[[JsonObject | None], str]


@click.command()
@click.argument("what", nargs=-1)
@click.option("-f", "--filename", "files", multiple=True, help="The objects of a file, a folder, or - for standard input.")
@click.option("--for", "until", default="programmed", help="programmed (default), delete, or condition=NAME[=VALUE].")
@click.option("--timeout", default="30s", help="How long, such as 30s or 2m.")
@namespace_option
@kubeconfig_option
def wait(what: tuple[str, ...], files: tuple[str, ...], until: str, timeout: str, namespace: str, kubeconfig: Path | None) -> None:
    """Wait until objects, given as KIND NAME, KIND/NAME or files, are in force."""
    wanted = _wanted(what, files, namespace)
    look = _look(until)
    try:
        seconds = durations.parse(timeout) / durations.SECOND
    except ValueError as error:
        raise click.UsageError(f"--timeout: {error}") from None

    async def work(client: KubeClient) -> int:
        lacking = dict.fromkeys(wanted, "not seen yet")
        try:
            async with asyncio.timeout(seconds):
                await asyncio.gather(*(_follow(client, each, look, lacking) for each in wanted))
        except TimeoutError:
            for each, why in lacking.items():
                click.echo(f"lateen: {each}: after {timeout} still not: {why}", err=True)
            return 1
        except _RefusedError as refused:
            click.echo(f"lateen: {refused}", err=True)
            return 1
        return 0

    with_client(kubeconfig, work)


def _wanted(what: tuple[str, ...], files: tuple[str, ...], namespace: str) -> list[Wanted]:
    found = []
    targets, errors = read_targets(files, namespace)
    errors += [message for target in targets for message in target.errors]
    if errors:
        fail("\n".join(errors), BAD_DATA)
    found += [Wanted(target.info, target.namespace, target.name) for target in targets if target.info is not None and target.info.is_istio]
    words = list(what)
    while words:
        kind, slash, name = words.pop(0).partition("/")
        info = lookup(kind)
        if info is None:
            raise click.UsageError(f'there is no kind "{kind}"')
        if not slash:
            if not words:
                raise click.UsageError(f"which {kind}? Write {kind} NAME or {kind}/NAME.")
            name = words.pop(0)
        found.append(Wanted(info, (namespace or "default") if info.namespaced else "", name))
    if not found:
        raise click.UsageError("Name what to wait for: KIND NAME, or -f FILE with objects of the mesh.")
    return found


def _look(until: str) -> Look:
    word, equals, rest = until.partition("=")
    if word == "delete" and not equals:
        return lambda obj: "" if obj is None else "it is still there"
    if word == "programmed" and not equals:
        return _programmed
    if word == "condition" and rest:
        name, _, value = rest.partition("=")
        return lambda obj: _condition(obj, name, value or "True")
    raise click.UsageError(f'--for "{until}" is not programmed, delete or condition=NAME[=VALUE]')


def _conditions(obj: JsonObject) -> Mapping[str, JsonObject]:
    """Those about the newest generation, by type in lower case."""
    generation = section(obj, "metadata").get("generation")
    found = dicts(section(obj, "status").get("conditions"))
    return {
        str(each.get("type", "")).lower(): each
        for each in found
        if each.get("observedGeneration", generation) in {generation, str(generation)}
    }


def _programmed(obj: JsonObject | None) -> str:
    if obj is None:
        return "there is no such object"
    conditions = _conditions(obj)
    refused = conditions.get(_REFUSED.lower())
    if refused is not None and refused.get("status") == "True":
        raise _RefusedError(str(refused.get("message", "")))
    return _condition(obj, _PROGRAMMED, "True")


def _condition(obj: JsonObject | None, name: str, value: str) -> str:
    if obj is None:
        return "there is no such object"
    found = _conditions(obj).get(name.lower(), {})
    if str(found.get("status", "")).lower() == value.lower():
        return ""
    said = str(found.get("message", ""))
    return said or f"nobody has said {name}={value} of its newest generation"


async def _follow(client: KubeClient, wanted: Wanted, look: Look, lacking: dict[Wanted, str]) -> None:
    """Look at the object now and at each change."""
    while True:
        try:
            obj: JsonObject | None = await client.get(wanted.info, wanted.name, wanted.namespace)
        except ApiError as error:
            if error.code != _NOT_FOUND:
                raise
            obj = None
        try:
            lacking[wanted] = look(obj)
        except _RefusedError as refused:
            raise _RefusedError(f"{wanted} is refused: {refused}") from None
        if not lacking[wanted]:
            del lacking[wanted]
            return
        await _change(client, wanted, "" if obj is None else str(section(obj, "metadata").get("resourceVersion", "")))


async def _change(client: KubeClient, wanted: Wanted, version: str) -> None:
    """Return at the next change of the object after `version`."""
    watching = client.watch(
        wanted.info, resource_version=version, namespace=wanted.namespace, field_selector=f"metadata.name={wanted.name}", timeout_seconds=10
    )
    try:
        async for _ in watching:
            return
    finally:
        await watching.aclose()
