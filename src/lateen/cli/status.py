"""`lateen status`: what runs, where it is published, what Envoy refused. All of it is read through the API."""

import json
import os
from pathlib import Path

import click

from lateen.api.kinds import KINDS, KindInfo
from lateen.cli.access import kubeconfig_option, with_client
from lateen.cli.tables import print_rows
from lateen.kube.records import JsonObject, section
from lateen.local.informer import info_of
from lateen.local.paths import holder, locate
from lateen.sources.kubeclient import KubeClient

__all__ = ["status"]

_PODS = info_of("Pod")
_SIDECAR = "istio-proxy"


@click.command()
@click.option("-o", "--output", type=click.Choice(["json"]), help="What to print (default: text).")
@kubeconfig_option
def status(output: str | None, kubeconfig: Path | None) -> None:
    """What runs, what is published, what Envoy refused. Ends with 1 when something is not ready or was refused."""

    async def work(client: KubeClient) -> int:
        pods = [_pod(one) for one in (await client.list(_PODS)).items]
        refused = [one for info in KINDS if info.is_istio and info.type is not None for one in await _refused(client, info)]
        if output == "json":
            click.echo(json.dumps({"mesh": _mesh(), "pods": pods, "refused": refused}, indent=4))
        else:
            _print(pods, refused)
        return int(bool(refused) or not all(one["ready"] for one in pods))

    with_client(kubeconfig, work)


def _mesh() -> dict[str, str]:
    paths = locate(None, os.environ, uid=os.geteuid(), home=Path.home())
    running = holder(paths)
    return {"data": str(paths.data), "pid": str(running.pid) if running else "", "started": running.started if running else ""}


def _pod(pod: JsonObject) -> dict[str, object]:
    meta, told = section(pod, "metadata"), section(pod, "status")
    containers = _list(told.get("containerStatuses"))
    sidecar = next((one for one in containers if one.get("name") == _SIDECAR), None)
    waiting = [f"{one.get('name')}: {reason}" for one in containers if (reason := section(section(one, "state"), "waiting").get("reason"))]
    ready = any(one.get("type") == "Ready" and one.get("status") == "True" for one in _list(told.get("conditions")))
    return {
        "namespace": str(meta.get("namespace")),
        "name": str(meta.get("name")),
        "ready": ready,
        "address": str(told.get("podIP", "")),
        "restarts": sum(int(str(one.get("restartCount", 0))) for one in containers),
        "sidecar": "none" if sidecar is None else "ready" if sidecar.get("ready") else "not ready",
        "state": ", ".join(waiting) or ("Running" if ready else str(told.get("phase", "Pending"))),
    }


async def _refused(client: KubeClient, info: KindInfo) -> list[dict[str, object]]:
    found = []
    for obj in (await client.list(info)).items:
        for condition in _list(section(obj, "status").get("conditions")):
            if condition.get("type") == "Rejected" and condition.get("status") == "True":
                meta = section(obj, "metadata")
                found.append({"object": f"{info.kind} {meta.get('namespace')}/{meta.get('name')}", "message": condition.get("message")})
    return found


def _print(pods: list[dict[str, object]], refused: list[dict[str, object]]) -> None:
    mesh = _mesh()
    if mesh["pid"]:
        click.echo(f"Mesh of {mesh['data']}, process {mesh['pid']}, up since {mesh['started']}")
    rows = [["NAMESPACE", "POD", "READY", "SIDECAR", "RESTARTS", "ADDRESS", "STATE"]]
    for one in pods:
        ready = "yes" if one["ready"] else "no"
        rows.append(
            [
                str(one["namespace"]),
                str(one["name"]),
                ready,
                str(one["sidecar"]),
                str(one["restarts"]),
                str(one["address"]),
                str(one["state"]),
            ]
        )
    print_rows(rows)
    for refusal in refused:
        click.echo(f"\nEnvoy refused {refusal['object']}: {refusal['message']}")


def _list(value: object) -> list[JsonObject]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
