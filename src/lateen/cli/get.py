"""`lateen get`: objects as the server's table, or whole as YAML or JSON; `-w` goes on with what changes."""

import json
from pathlib import Path

import click
import yaml

from lateen.api.kinds import KindInfo, lookup
from lateen.cli.access import kubeconfig_option, namespace_option, with_client
from lateen.cli.tables import print_table
from lateen.kube.paths import path_of
from lateen.kube.records import JsonObject, section
from lateen.sources.kubeclient import KubeClient

__all__ = ["get"]

_TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


@click.command()
@click.argument("kind")
@click.argument("name", required=False)
@click.option("-A", "--all-namespaces", "everywhere", is_flag=True, help="All namespaces.")
@click.option("-o", "--output", type=click.Choice(["wide", "yaml", "json", "name"]), help="What to print (default: a table).")
@click.option("-w", "--watch", "follow", is_flag=True, help="Go on with what changes.")
@click.option("-l", "--selector", default="", help="Only objects with these labels.")
@namespace_option
@kubeconfig_option
def get(
    kind: str,
    name: str | None,
    namespace: str,
    output: str | None,
    selector: str,
    kubeconfig: Path | None,
    *,
    everywhere: bool,
    follow: bool,
) -> None:
    """Show objects of KIND (its name, plural or short name), or one of them; KIND/NAME works too."""
    word, _, part = kind.partition("/")
    info = lookup(word)
    if info is None:
        raise click.UsageError(f'there is no kind "{word}"')
    place = "" if everywhere else (namespace or "default")
    query = _Query(info, part or name or "", place, selector, output)

    async def work(client: KubeClient) -> int:
        await query.show(client)
        if follow:
            await query.follow(client)
        return 0

    with_client(kubeconfig, work)


class _Query:
    """What was asked for."""

    def __init__(self, info: KindInfo, name: str, namespace: str, selector: str, output: str | None) -> None:
        self._info, self._name, self._namespace = info, name, namespace
        self._selector, self._output = selector, output

    async def show(self, client: KubeClient) -> None:
        """What is there."""
        if self._output in (None, "wide"):
            await self._table(client, self._name, headers=True)
        elif self._name:
            self._print(await client.get(self._info, self._name, self._namespace))
        else:
            listing = await client.list(self._info, self._namespace, label_selector=self._selector)
            self._print_all(listing.items)

    async def follow(self, client: KubeClient) -> None:
        """What changes, until the reader ends it."""
        listing = await client.list(self._info, self._namespace, label_selector=self._selector)
        field = f"metadata.name={self._name}" if self._name else ""
        events = client.watch(
            self._info,
            resource_version=listing.resource_version,
            namespace=self._namespace,
            label_selector=self._selector,
            field_selector=field,
        )
        async for event in events:
            if event.type == "BOOKMARK":
                continue
            if self._output in (None, "wide") and event.type != "DELETED":
                await self._table(client, str(section(event.object, "metadata").get("name", "")), headers=False)
            elif self._output not in (None, "wide"):
                self._print(event.object)

    async def _table(self, client: KubeClient, name: str, *, headers: bool) -> None:
        query = {} if name else {"labelSelector": self._selector}
        path = path_of(self._info, self._namespace, name)
        table = json.loads(await client.request("GET", path, query=query, accept=_TABLE))
        print_table(table, wide=self._output == "wide", namespaces=not self._namespace and self._info.namespaced, headers=headers)

    def _print_all(self, items: list[JsonObject]) -> None:
        if self._output == "name":
            for item in items:
                self._print(item)
        else:
            self._print({"apiVersion": "v1", "kind": "List", "items": items})

    def _print(self, obj: JsonObject) -> None:
        if self._output == "name":
            group = f".{self._info.group}" if self._info.group else ""
            click.echo(f"{self._info.singular}{group}/{section(obj, 'metadata').get('name')}")
        elif self._output == "json":
            click.echo(json.dumps(obj, indent=4))
        else:
            click.echo(yaml.safe_dump(obj, sort_keys=False), nl=False)
