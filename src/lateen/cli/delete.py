"""`lateen delete`: the objects of files, or one by kind and name."""

from pathlib import Path

import click

from lateen.api.kinds import KindInfo, lookup
from lateen.cli.access import BAD_DATA, fail, kubeconfig_option, namespace_option, with_client
from lateen.cli.objects import read_targets
from lateen.kube.errors import ApiError
from lateen.sources.kubeclient import KubeClient

__all__ = ["delete"]

_GONE = 404


@click.command()
@click.argument("kind", required=False)
@click.argument("names", nargs=-1)
@click.option("-f", "--filename", "files", multiple=True, help="File, folder, or - for standard input.")
@click.option("--ignore-not-found", is_flag=True, help="Succeed when there is nothing to delete.")
@namespace_option
@kubeconfig_option
def delete(
    kind: str | None, names: tuple[str, ...], files: tuple[str, ...], namespace: str, kubeconfig: Path | None, *, ignore_not_found: bool
) -> None:
    """Delete the objects of files, or NAMES of a KIND (KIND/NAME works too)."""
    wanted = _of_files(files, namespace) if files else _of_words(kind, names, namespace)

    async def work(client: KubeClient) -> int:
        code = 0
        for info, name, place in wanted:
            try:
                await client.delete(info, name, place)
                click.echo(f'{_label(info)} "{name}" deleted')
            except ApiError as error:
                if error.code == _GONE and ignore_not_found:
                    continue
                code = 1
                click.echo(f"lateen: {error}", err=True)
        return code

    with_client(kubeconfig, work)


def _of_files(files: tuple[str, ...], namespace: str) -> list[tuple[KindInfo, str, str]]:
    targets, errors = read_targets(files, namespace)
    if errors:
        fail("\n".join(errors), BAD_DATA)
    return [(target.info, target.name, target.namespace) for target in targets if target.info is not None and target.name]


def _of_words(kind: str | None, names: tuple[str, ...], namespace: str) -> list[tuple[KindInfo, str, str]]:
    if kind is None:
        raise click.UsageError("name files with -f, or a kind and names")
    word, _, name = kind.partition("/")
    info = lookup(word)
    if info is None:
        raise click.UsageError(f'there is no kind "{word}"; `lateen get --help` shows how kinds are named')
    found = (name, *names) if name else names
    if not found:
        raise click.UsageError(f"name the {info.plural} to delete")
    return [(info, one, namespace or "default") for one in found]


def _label(info: KindInfo) -> str:
    return f"{info.singular}.{info.group}" if info.group else info.singular
