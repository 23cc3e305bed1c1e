"""`lateen down`: end the mesh of a data folder; with `--purge` forget what it stored."""

import os
import shutil
import signal
from contextlib import suppress

import click

from lateen.cli.access import fail
from lateen.local.paths import Holder, Lock, LockError, holder, locate_here

__all__ = ["down"]

_PATIENCE = 15  # seconds that a mesh gets to end


@click.command()
@click.option("--data-dir", help="Data folder of the mesh.")
@click.option("--purge", is_flag=True, help="Remove its objects, keys and logs too.")
def down(data_dir: str | None, *, purge: bool) -> None:
    """End the mesh; what is stored stays, unless --purge."""
    try:
        paths = locate_here(data_dir)
        if not paths.data.exists():
            click.echo("No mesh was started here.")
            return
        lock, running = Lock(paths), holder(paths)
        if not _end(lock, running):
            fail(f"lateen: the mesh of {paths.data} does not end; see its log in {paths.logs}")
    except LockError as error:
        fail(f"lateen: {error}")
    except PermissionError as error:
        fail(f"lateen: {error.filename or 'the mesh'} is not yours to touch: {error.strerror}")
    shutil.rmtree(paths.run, ignore_errors=True)
    if purge:
        shutil.rmtree(paths.data)
    lock.release()
    click.echo("The mesh is down." if running is not None else "No mesh was running.")


def _end(lock: Lock, running: Holder | None) -> bool:
    """Ask it to end, then make it; whether the data folder is ours."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if running is not None and running.pid:
            with suppress(ProcessLookupError):
                os.kill(running.pid, number)
        if lock.take_over(_PATIENCE):
            return True
    return False
