"""`lateen kubeconfig`: a kubeconfig of the running mesh."""

import click

from lateen.cli.access import fail
from lateen.local.apidoor import read_door
from lateen.local.paths import LockError, holder, locate_here
from lateen.sources.kubeconfig import render_kubeconfig

__all__ = ["kubeconfig"]


@click.command()
@click.option("--data-dir", help="Data folder of the mesh.")
def kubeconfig(data_dir: str | None) -> None:
    """Print a kubeconfig for kubectl; it holds a token, so keep it to yourself."""
    try:
        paths = locate_here(data_dir)
    except LockError as error:
        fail(f"lateen: {error}")
    if holder(paths) is None:
        fail("lateen: no mesh runs here: start one with `lateen up`")
    door = read_door(paths.data / "api")
    click.echo(render_kubeconfig(door.address, door.authority.encode(), door.token.reveal().decode()), nl=False)
