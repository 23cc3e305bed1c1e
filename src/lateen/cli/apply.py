"""`lateen apply`: create what is not there, change what is, per object all or nothing.

An object with an error in it is not sent; the other objects of the file are. Messages name file, line, object and field.
"""

from pathlib import Path

import click

from lateen.cli.access import BAD_DATA, fail, kubeconfig_option, namespace_option, with_client
from lateen.cli.lastapplied import last_applied, three_way, with_last_applied
from lateen.cli.objects import Target, read_targets
from lateen.kube.errors import ApiError
from lateen.kube.records import JsonObject, section
from lateen.sources.kubeclient import KubeClient

__all__ = ["apply"]

_CONFLICT = 409


@click.command()
@click.option("-f", "--filename", "files", multiple=True, required=True, help="File, folder, or - for standard input.")
@namespace_option
@kubeconfig_option
def apply(files: tuple[str, ...], namespace: str, kubeconfig: Path | None) -> None:
    """Create or change the objects of files."""
    targets, errors = read_targets(files, namespace)
    for message in (*errors, *(message for target in targets for message in (*target.errors, *target.warnings))):
        click.echo(message, err=True)
    good = [target for target in targets if not target.errors]
    if not targets and not errors:
        fail("lateen: there are no objects in what was given to -f", BAD_DATA)
    if not good:
        fail("lateen: nothing was applied", BAD_DATA)
    bad = bool(errors) or len(good) < len(targets)

    known = [warning for target in targets for warning in target.warnings]

    def warn(sentence: str) -> None:
        if not any(sentence in warning for warning in known):  # what the server finds was told before, with its line
            click.echo(f"warning: {sentence}", err=True)

    async def work(client: KubeClient) -> int:
        client.on_warning = warn
        refused = False
        for target in good:
            try:
                click.echo(f"{target} {await _apply(client, target)}")
            except ApiError as error:
                refused = True
                click.echo(f"{target.place}: {target}: {error}", err=True)
        return BAD_DATA if bad else int(refused)

    with_client(kubeconfig, work)


async def _apply(client: KubeClient, target: Target) -> str:
    """What kubectl calls it: created, configured or unchanged."""
    if target.info is None:
        raise ApiError({"code": 400, "message": f"{target}: kind not known"})
    wanted = with_last_applied(target.raw)
    try:
        await client.create(target.info, wanted)
    except ApiError as error:
        if error.code != _CONFLICT:
            raise
    else:
        return "created"
    before = await client.get(target.info, target.name, target.namespace)
    patch = three_way(last_applied(before), wanted)
    after = await client.patch(target.info, target.name, patch, target.namespace)
    return "unchanged" if _version(before) == _version(after) else "configured"


def _version(obj: JsonObject) -> object:
    return section(obj, "metadata").get("resourceVersion")
