"""`lateen exec`: a command in a container; its exit code is ours."""

import contextlib
import sys
from pathlib import Path

import click

from lateen.cli.access import first_container, kubeconfig_option, namespace_option, with_client
from lateen.cli.terminal import feed, raw_terminal
from lateen.runtime import tasks
from lateen.sources.kubeclient import KubeClient
from lateen.sources.kubeexec import STDERR, ExecStream

__all__ = ["execute"]


@click.command("exec", context_settings={"ignore_unknown_options": True})
@click.argument("pod")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("-c", "--container", default="", help="Container (default: the pod's own first).")
@click.option("-i", "--stdin", is_flag=True, help="Hand standard input on.")
@click.option("-t", "--tty", is_flag=True, help="Give it a terminal.")
@namespace_option
@kubeconfig_option
def execute(pod: str, command: tuple[str, ...], container: str, namespace: str, kubeconfig: Path | None, *, stdin: bool, tty: bool) -> None:
    """Run COMMAND in a container of POD; write `--` before it."""

    async def work(client: KubeClient) -> int:
        name, place = pod.removeprefix("pod/"), namespace or "default"
        chosen = container or await first_container(client, place, name)
        async with await client.exec(place, name, chosen, command, stdin=stdin, tty=tty) as stream:
            with raw_terminal(stream) if stdin and tty else contextlib.nullcontext():
                await _talk(stream, stdin=stdin)
            return 1 if stream.exit_code is None else stream.exit_code

    with_client(kubeconfig, work)


async def _talk(stream: ExecStream, *, stdin: bool) -> None:
    """Its output is ours, until it ends."""
    feeding = tasks.spawn(feed(stream), name="exec input") if stdin else None
    try:
        async for channel, data in stream.output():
            target = sys.stderr.buffer if channel == STDERR else sys.stdout.buffer
            target.write(data)
            target.flush()
    finally:
        if feeding is not None:
            await tasks.cancel_all(feeding)
