"""`lateen discovery`: the control plane alone, with istiod's flags and ports."""

import asyncio
import os
import signal
from pathlib import Path

import click
import uvloop

from lateen.ca.signer import RootError, Signer
from lateen.ca.spiffe import Identity
from lateen.cli.access import fail, kubeconfig_option
from lateen.local.paths import LockError, locate_here
from lateen.runtime import log
from lateen.runtime.clock import SystemClock
from lateen.runtime.limits import allow_open_files
from lateen.server.app import ControlPlane, Doors, Sources
from lateen.server.features import read_settings
from lateen.server.rootca import ControlPlaneIdentity, load_or_create_root
from lateen.sources.kubeconfig import KubeconfigError, connect

__all__ = ["discovery"]

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option("--config-dir", "--configDir", "folder", type=_FOLDER, help="Folder of YAML files, watched.")
@kubeconfig_option
@click.option("--meshConfig", "mesh_config", type=_FILE, help="File of MeshConfig, watched (default: the ConfigMap istio).")
@click.option("--grpcAddr", "plaintext", default="127.0.0.1:15010", show_default=True, help='Plaintext xDS; "" for none.')
@click.option("--secureGRPCAddr", "secure", default=":15012", show_default=True, help='xDS with mutual TLS; "" for none.')
@click.option("--monitoringAddr", "monitoring", default=":15014", show_default=True, help='Metrics and debug pages; "" for none.')
@click.option("--httpAddr", "http", default="", help="Readiness and debug pages, as 8080 on Kubernetes (default: none).")
@click.option("--data-dir", help="Where the mesh's root certificate is kept, and what Envoys refused.")
@click.option("--log-level", default="info", show_default=True, type=click.Choice(["debug", "info", "warning", "error"]))
def discovery(
    folder: Path | None,
    kubeconfig: Path | None,
    mesh_config: Path | None,
    plaintext: str,
    secure: str,
    monitoring: str,
    http: str,
    data_dir: str | None,
    log_level: str,
) -> None:
    """Serve xDS for the objects of a folder, of a Kubernetes API, or of both.

    Of Istio's variables PILOT_ENABLE_QUIC_LISTENERS, PILOT_FILTER_GATEWAY_CLUSTER_CONFIG and PILOT_MAX_REQUESTS_PER_SECOND act, here
    and in `lateen up`.
    """
    if folder is None and kubeconfig is None:
        raise click.UsageError("Name where objects come from: --config-dir DIR, --kubeconfig FILE, or both")
    log.configure(log_level)
    allow_open_files()
    settings, clock = read_settings(os.environ), SystemClock()
    try:
        data = locate_here(data_dir).data
        signer = Signer(load_or_create_root(data / "ca", settings.trust_domain, clock)) if secure else None
        identity = (
            ControlPlaneIdentity(signer, Identity(settings.trust_domain, settings.root_namespace, "istiod"), clock) if signer else None
        )
        client = connect([kubeconfig]) if kubeconfig is not None else None
        doors = Doors(
            plaintext=_address(plaintext),
            secure=_address(secure),
            identity=identity,
            signer=signer,
            monitoring=tuple(_address(each) for each in (monitoring, http) if each),
        )
        plane = ControlPlane(
            Sources(client, folder, mesh_config), settings, doors, clock, refused=data / "refused.json", modules=data / "modules"
        )
        uvloop.run(_serve(plane))
    except (KubeconfigError, LockError, RootError, OSError) as error:
        fail(f"lateen: {error}")


def _address(given: str) -> str:
    return f"[::]{given}" if given.startswith(":") else given


async def _serve(plane: ControlPlane) -> None:
    end = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, end.set)
    try:
        await plane.start()
        log.get("discovery").info("serving")
        await end.wait()
    finally:
        await plane.stop()
