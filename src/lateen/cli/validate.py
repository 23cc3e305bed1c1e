"""`lateen validate`: say what is wrong with files of objects, without a mesh. What it takes, `lateen apply` takes."""

import click

from lateen.cli.access import BAD_DATA, fail, namespace_option
from lateen.cli.objects import read_targets

__all__ = ["validate"]


@click.command()
@click.option("-f", "--filename", "files", multiple=True, help="File, folder, or - for standard input.")
@click.argument("more", nargs=-1)
@namespace_option
def validate(files: tuple[str, ...], more: tuple[str, ...], namespace: str) -> None:
    """Check the objects of files; the exit code is 1 where any is refused."""
    if not (files or more):
        raise click.UsageError("Name files, folders, or - for standard input: lateen validate -f FILE")
    targets, errors = read_targets((*files, *more), namespace)
    said = [*errors, *(message for target in targets for message in (*target.errors, *target.warnings))]
    for message in said:
        click.echo(message, err=True)
    if not targets and not errors:
        fail("lateen: there are no objects in what was given", BAD_DATA)
    if errors or any(target.errors for target in targets):
        raise SystemExit(1)
    for source in dict.fromkeys(target.source for target in targets):
        click.echo(f'"{source}" is valid')
