"""`lateen exec`: a command in a container; its exit code is ours."""

import asyncio
import sys
from pathlib import Path

import click

from lateen.cli.access import first_container, kubeconfig_option, namespace_option, with_client
from lateen.runtime import tasks
from lateen.sources.kubeclient import KubeClient
from lateen.sources.kubeexec import ExecStream

__all__ = ["execute"]

_CHUNK = 1 << 14
_STDERR = 2


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
        stream = await client.exec(place, name, chosen, command, stdin=stdin, tty=tty)
        async with stream:
            feeding = tasks.spawn(_feed(stream), name="exec input") if stdin else None
            async for channel, data in stream.output():
                target = sys.stderr.buffer if channel == _STDERR else sys.stdout.buffer
                target.write(data)
                target.flush()
            if feeding is not None:
                await tasks.cancel_all(feeding)
            return 1 if stream.exit_code is None else stream.exit_code

    with_client(kubeconfig, work)


async def _feed(stream: ExecStream) -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while chunk := await reader.read(_CHUNK):
        await stream.write(chunk)
    await stream.close_input()
