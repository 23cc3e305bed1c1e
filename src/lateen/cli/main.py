"""The command `lateen`: a table of commands, each loaded only when it is called, so that `lateen --help` is quick.

Exit codes: 0 done, 1 failed, 2 or 64 wrong usage, 65 bad data. Must not know what a command does.
"""

import importlib
import os
import sys
from typing import NamedTuple

import click

from lateen import __version__

__all__ = ["main"]

_STDERR = 2


class Entry(NamedTuple):
    """Where a command is, and what the list of commands says of it."""

    module: str
    name: str
    summary: str


COMMANDS = {
    "up": Entry("up", "up", "Start a mesh on this machine, with these objects in it."),
    "demo": Entry("up", "demo", "Start a mesh with a sample application in it."),
    "down": Entry("down", "down", "End the mesh; what is stored stays, unless --purge."),
    "status": Entry("status", "status", "What runs, what is published, what Envoy refused."),
    "apply": Entry("apply", "apply", "Create or change the objects of files."),
    "validate": Entry("validate", "validate", "Say what is wrong with files of objects, without a mesh."),
    "analyze": Entry("analyze", "analyze_command", "Say what is wrong between objects: of files, or of the running mesh."),
    "delete": Entry("delete", "delete", "Delete the objects of files, or by kind and name."),
    "get": Entry("get", "get", "Show objects."),
    "wait": Entry("wait", "wait", "Wait until objects are in force on every proxy concerned."),
    "logs": Entry("logs", "logs", "Show what a container printed."),
    "exec": Entry("execute", "execute", "Run a command in a container."),
    "authz": Entry("authz", "authz", "Who may call a pod, and why a call was refused."),
    "kubeconfig": Entry("kubeconfig", "kubeconfig", "Print a kubeconfig of the running mesh, for kubectl."),
    "crds": Entry("crds", "crds", "Print the CustomResourceDefinitions of Istio's kinds, for a cluster."),
    "agent": Entry("agent", "agent", "Run a proxy and its agent, as pilot-agent."),
    "discovery": Entry("discovery", "discovery", "Run the control plane alone, as istiod."),
    "version": Entry("version", "version", "Say the versions of Lateen, Envoy and Istio's API."),
}


class _Table(click.Group):
    """Loads a command's module when the command is asked for."""

    def list_commands(self, _context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        entry = COMMANDS.get(name)
        if entry is None:
            return None
        found = getattr(importlib.import_module(f"lateen.cli.{entry.module}"), entry.name)
        return found if isinstance(found, click.Command) else None

    def format_commands(self, _context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])


@click.group(cls=_Table, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lateen")
def main() -> None:
    """A service mesh that speaks Istio's API, on one machine without Kubernetes, or on Kubernetes."""
    _open_what_is_closed()


def _open_what_is_closed() -> None:
    """Standard streams that the caller closed lead nowhere: else the next socket or file would take their numbers."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    sys.stdin = sys.stdin or os.fdopen(0, "r", closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(_STDERR, "w", closefd=False)


if __name__ == "__main__":
    sys.exit(main())
