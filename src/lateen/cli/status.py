"""`lateen status`: what runs, where it is published, what Envoy refused. All of it is read through the API."""

import json
from pathlib import Path

import click
from msgspec import Struct, to_builtins

from lateen.api.kinds import KINDS, KindInfo, info_of
from lateen.cli.access import kubeconfig_option, names_cluster, with_client
from lateen.cli.tables import print_rows
from lateen.kube.errors import ApiError
from lateen.kube.records import JsonObject, dicts, section
from lateen.local.namespaces import POD_RANGE
from lateen.local.paths import holder, locate_here
from lateen.local.status import BOARD, BOARD_NAMESPACE
from lateen.sources.kubeclient import KubeClient

__all__ = ["status"]

_PODS, _CONFIG_MAP = info_of("Pod"), info_of("ConfigMap")
_SIDECAR = "istio-proxy"
_GONE = 404
_HEADERS = ("NAMESPACE", "POD", "READY", "PROXY", "CONFIGURATION", "RESTARTS", "ADDRESS", "STATE")


class PodLine(Struct, frozen=True, kw_only=True):
    """What is told of a pod. `configuration` is what its proxy holds: synced, stale, rejected, or "" where it is not connected."""

    namespace: str
    name: str
    ready: bool
    done: bool
    proxy: str
    configuration: str
    restarts: int
    address: str
    state: str


class Report(Struct, frozen=True, kw_only=True):
    """All that is told. `mesh` is empty for a cluster elsewhere."""

    mesh: dict[str, str]
    published: tuple[str, ...]
    pods: tuple[PodLine, ...]
    refused: tuple[tuple[str, str], ...]

    @property
    def well(self) -> bool:
        """Everything is ready, and nothing was refused."""
        return not self.refused and all(pod.ready or pod.done for pod in self.pods)


@click.command()
@click.option("-o", "--output", type=click.Choice(["json"]), help="What to print (default: text).")
@kubeconfig_option
def status(output: str | None, kubeconfig: Path | None) -> None:
    """What runs, what is published, what Envoy refused. Ends with 1 when something is not ready or was refused."""

    async def work(client: KubeClient) -> int:
        report = await _report(client, local=not names_cluster(kubeconfig))
        if output == "json":
            click.echo(json.dumps(to_builtins(report), indent=4))
        else:
            _print(report)
        return int(not report.well)

    with_client(kubeconfig, work)


async def _report(client: KubeClient, *, local: bool) -> Report:
    board = await _board(client)
    held = {(str(one["namespace"]), str(one["pod"])): str(one["state"]).lower() for one in _told(board, "proxies")}
    refused = [one for info in KINDS if info.is_istio and info.type is not None for one in await _refused(client, info)]
    return Report(
        mesh=_mesh(board) if local else {},
        published=tuple(_published(one) for one in _told(board, "published")) if local else (),
        pods=tuple(_pod(one, held) for one in (await client.list(_PODS)).items),
        refused=tuple(refused),
    )


async def _board(client: KubeClient) -> JsonObject:
    """What the mesh tells of itself; empty where Lateen does not run the pods."""
    try:
        return section(await client.get(_CONFIG_MAP, BOARD, BOARD_NAMESPACE), "data")
    except ApiError as error:
        if error.code == _GONE:
            return {}
        raise


def _told(board: JsonObject, key: str) -> list[JsonObject]:
    return dicts(json.loads(str(board.get(key, "[]"))))


def _published(port: JsonObject) -> str:
    scheme = "http://" if port.get("http") else ""
    return f"{scheme}{port.get('address')}:{port.get('port')} leads to {port.get('to')}"


def _mesh(board: JsonObject) -> dict[str, str]:
    paths = locate_here()
    running = holder(paths)
    return {
        "data": str(paths.data),
        "pid": str(running.pid) if running else "",
        "started": running.started if running else "",
        "podRange": str(json.loads(str(board.get("podRange", '""')))),
    }


def _pod(pod: JsonObject, held: dict[tuple[str, str], str]) -> PodLine:
    meta, told = section(pod, "metadata"), section(pod, "status")
    namespace, name = str(meta.get("namespace")), str(meta.get("name"))
    containers = dicts(told.get("containerStatuses"))
    sidecar = next((one for one in containers if one.get("name") == _SIDECAR), None)
    waiting = [f"{one.get('name')}: {reason}" for one in containers if (reason := section(section(one, "state"), "waiting").get("reason"))]
    ready = any(one.get("type") == "Ready" and one.get("status") == "True" for one in dicts(told.get("conditions")))
    return PodLine(
        namespace=namespace,
        name=name,
        ready=ready,
        done=told.get("phase") == "Succeeded",
        proxy="none" if sidecar is None else "ready" if sidecar.get("ready") else "not ready",
        configuration=held.get((namespace, name), ""),
        restarts=sum(int(str(one.get("restartCount", 0))) for one in containers),
        address=str(told.get("podIP", "")),
        state=", ".join(waiting) or ("Running" if ready else str(told.get("phase", "Pending"))),
    )


async def _refused(client: KubeClient, info: KindInfo) -> list[tuple[str, str]]:
    found = []
    for obj in (await client.list(info)).items:
        for condition in dicts(section(obj, "status").get("conditions")):
            if condition.get("type") == "Rejected" and condition.get("status") == "True":
                meta = section(obj, "metadata")
                found.append((f"{info.kind} {meta.get('namespace')}/{meta.get('name')}", str(condition.get("message"))))
    return found


def _print(report: Report) -> None:
    mesh = report.mesh
    if mesh.get("pid"):
        click.echo(f"Mesh of {mesh['data']}, process {mesh['pid']}, up since {mesh['started']}")
    if mesh.get("podRange") and mesh["podRange"] != str(POD_RANGE):
        click.echo(f"Pods have addresses of {mesh['podRange']}, because this machine uses {POD_RANGE} itself")
    for port in report.published:
        click.echo(port)
    rows = [list(_HEADERS)]
    for pod in report.pods:
        ready = "yes" if pod.ready else "no"
        said = pod.configuration or "-"
        rows.append([pod.namespace, pod.name, ready, pod.proxy, said, str(pod.restarts), pod.address, pod.state])
    click.echo()
    print_rows(rows)
    for name, message in report.refused:
        click.echo(f"\nEnvoy refused {name}: {message}")
