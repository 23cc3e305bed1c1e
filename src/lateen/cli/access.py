"""Where a command finds the API: `--kubeconfig`, `$KUBECONFIG`, then the mesh that runs on this machine; and how failures are told.

Must not print results.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NoReturn

import click

from lateen.api.kinds import info_of
from lateen.kube.errors import ApiError
from lateen.kube.records import dicts, section
from lateen.local.paths import LockError, locate_here
from lateen.sources.kubeclient import KubeClient
from lateen.sources.kubeconfig import KubeconfigError, connect
from lateen.sources.kubehttp import Endpoint, UnreachableError

__all__ = ["BAD_DATA", "Work", "fail", "first_container", "kubeconfig_option", "names_cluster", "namespace_option", "with_client"]

BAD_DATA = 65
_FAILED = 1
_SIDECAR = "istio-proxy"
Work = Callable[[KubeClient], Awaitable[int]]

kubeconfig_option = click.option(
    "--kubeconfig", type=click.Path(dir_okay=False, path_type=Path), help="Of the cluster to talk to (default: the running mesh)."
)
namespace_option = click.option("-n", "--namespace", default="", help="Namespace (default: default).")


def fail(message: str, code: int = _FAILED) -> NoReturn:
    """Say why on standard error and end."""
    click.echo(message, err=True)
    sys.exit(code)


def with_client(kubeconfig: Path | None, work: Work) -> None:
    """Run `work` with a client and end with its exit code; failures become one sentence."""
    try:
        sys.exit(asyncio.run(_run(kubeconfig, work)))
    except (ApiError, KubeconfigError, UnreachableError, LockError) as error:
        fail(f"lateen: {error}")
    except BrokenPipeError:
        raise
    except OSError as error:
        fail(f"lateen: {error.filename or 'input or output'}: {error.strerror}")
    except KeyboardInterrupt:
        sys.exit(130)


async def _run(kubeconfig: Path | None, work: Work) -> int:
    client = _client(kubeconfig)
    try:
        return await work(client)
    finally:
        client.close()


def names_cluster(kubeconfig: Path | None) -> list[Path]:
    """The files that name a cluster; none: the mesh of this machine is meant."""
    if kubeconfig is not None:
        return [kubeconfig]
    return [Path(part) for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part]


def _client(kubeconfig: Path | None) -> KubeClient:
    listed = names_cluster(kubeconfig)
    if listed:
        return connect(listed)
    paths = locate_here()
    paths.trust()
    if not paths.api_socket.exists():
        raise UnreachableError(
            "no mesh runs here: start one with `lateen up`, name its data folder in $LATEEN_DATA_DIR, or a cluster with --kubeconfig"
        )
    return KubeClient(Endpoint(unix=str(paths.api_socket)))


async def first_container(client: KubeClient, namespace: str, pod: str) -> str:
    """The pod's first container that is not its sidecar; "" where the server is to choose."""
    spec = section(await client.get(info_of("Pod"), pod, namespace), "spec")
    names = [str(one.get("name")) for one in dicts(spec.get("containers"))]
    return next((name for name in names if name != _SIDECAR), names[0] if names else "")
