"""Shows a mesh coming up: a live table on a terminal, a line per pod elsewhere. Must not decide when it is up."""

import os
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.table import Table

from lateen.local.readiness import PodState

__all__ = ["Progress"]


class _Terminal(Console):
    """Where the reader of a pipe has gone away nothing more is said; the mesh goes on."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, self.file.fileno())
        os.close(nothing)


class Progress:
    """`show` states as they come, `close` at the end."""

    def __init__(self, out: TextIO) -> None:
        self._console = _Terminal(file=out)
        self._live = Live(console=self._console, refresh_per_second=8) if self._console.is_terminal else None
        self._told: set[PodState] = set()
        if self._live is not None:
            self._live.start()

    def show(self, states: tuple[PodState, ...]) -> None:
        """What the pods are doing now."""
        if self._live is not None:
            self._live.update(_table(states))
            return
        for state in states:
            if state.ready and state not in self._told:
                self._told.add(state)
                self._console.print(f"{state.namespace}/{state.name} is ready", highlight=False, soft_wrap=True)

    def say(self, text: str) -> None:
        """A line of its own."""
        self._console.print(text, highlight=False, soft_wrap=True)

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


def _table(states: tuple[PodState, ...]) -> Table:
    table = Table(box=None, show_header=False)
    for state in states:
        table.add_row("[green]✓[/]" if state.ready else "[yellow]…[/]", f"{state.namespace}/{state.name}", state.doing)
    return table
