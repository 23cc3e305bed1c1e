"""`lateen logs`: what a container printed."""

import sys
from pathlib import Path

import click

from lateen.cli.access import first_container, kubeconfig_option, namespace_option, with_client
from lateen.sources.kubeclient import KubeClient

__all__ = ["logs"]


@click.command()
@click.argument("pod")
@click.option("-c", "--container", default="", help="Container (default: the pod's own first).")
@click.option("-f", "--follow", is_flag=True, help="Go on until it ends.")
@click.option("-p", "--previous", is_flag=True, help="Of the run before the present one.")
@click.option("--tail", type=int, help="Only the last lines.")
@namespace_option
@kubeconfig_option
def logs(pod: str, container: str, tail: int | None, namespace: str, kubeconfig: Path | None, *, follow: bool, previous: bool) -> None:
    """Show what a container of POD printed."""

    async def work(client: KubeClient) -> int:
        name, place = pod.removeprefix("pod/"), namespace or "default"
        chosen = container or await first_container(client, place, name)
        async for chunk in client.logs(place, name, chosen, follow=follow, tail=tail, previous=previous):
            sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
        return 0

    with_client(kubeconfig, work)
