"""Runs a mesh in the background: the command stays until the mesh says that it is ready, or why it is not."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import click

from lateen.local.paths import LockError, locate_here

__all__ = ["Reporter", "detached"]

_READY = b"ready"


class Reporter:
    """The mesh's end of the pipe to the waiting command."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def ready(self) -> None:
        """Let the command end well."""
        self._tell(_READY)

    def failed(self, message: str) -> None:
        """Let the command end with this message."""
        self._tell(message.encode())

    def _tell(self, data: bytes) -> None:
        if self._descriptor >= 0:
            os.write(self._descriptor, data)
            os.close(self._descriptor)
            self._descriptor = -1


def detached(data_dir: str | None, run: Callable[[Reporter], int]) -> NoReturn:
    """Fork: the child is the mesh, in a session of its own, printing to the data folder; this process ends with its word."""
    log = _log_file(data_dir)
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        os.setsid()
        _print_to(log)
        os._exit(run(Reporter(writer)))
    os.close(writer)
    said = os.read(reader, 1 << 16)  # one message, or nothing when the mesh has ended
    if said == _READY:
        sys.exit(0)
    click.echo(f"lateen: {said.decode(errors='replace')}" if said else f"lateen: the mesh ended before it was ready; see {log}", err=True)
    sys.exit(1)


def _log_file(data_dir: str | None) -> Path:
    try:
        paths = locate_here(data_dir)
        paths.make()
    except LockError as error:
        click.echo(f"lateen: {error}", err=True)
        sys.exit(1)
    log = paths.logs / "mesh.log"
    try:
        paths.logs.mkdir(mode=0o700, exist_ok=True)
        log.touch(mode=0o600)
    except OSError as error:
        click.echo(f"lateen: {log} cannot be written: {error.strerror}. Mend the folder, or name another with --data-dir.", err=True)
        sys.exit(1)
    return log


def _print_to(log: Path) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(nothing, 0)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.close(nothing)
    os.close(out)
