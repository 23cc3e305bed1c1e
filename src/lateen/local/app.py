"""`lateen up`: from what was asked for to a running mesh, in the foreground or detached.

Everything that can be wrong is looked at before anything is made: files, the data folder, the machine, ports. Then the listening sockets
are opened on the host, the node process leaves for namespaces of its own, and the parent only waits. Must not parse a command line.
"""

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Coroutine, Mapping
from ipaddress import IPv4Network
from pathlib import Path

import uvloop
from msgspec import Struct
from msgspec.structs import replace

from lateen.agent.plan import ENVOY
from lateen.api.decode import Decoded
from lateen.ca.signer import RootError
from lateen.local.apidoor import API_ADDRESS, load_or_create_door
from lateen.local.manifests import ManifestError, read_manifests
from lateen.local.mesh import INGRESS, LocalMesh, MeshPlan
from lateen.local.namespaces import POD_RANGE, free_range, host_ranges
from lateen.local.paths import Lock, LockError, Paths, locate_here
from lateen.local.preflight import examine
from lateen.local.publish import Publication, PublishError, open_listeners, parse_publication
from lateen.local.userns import IsolationError, NodeContext, run_node
from lateen.runtime import tasks
from lateen.runtime.clock import SystemClock
from lateen.runtime.limits import allow_open_files
from lateen.server.features import read_settings
from lateen.sources.sqlite import StoreError

__all__ = ["DEFAULT_PUBLICATIONS", "OnFailed", "OnStarted", "UpError", "UpOptions", "up"]

DEFAULT_PUBLICATIONS = (
    INGRESS,
    Publication(service=INGRESS.service, namespace=INGRESS.namespace, port=443, host_port=8443),
    Publication(service=INGRESS.service, namespace=INGRESS.namespace, port=31400, host_port=31400),
)

# Called in the node process once the mesh runs; the mesh goes on while it waits and after it.
OnStarted = Callable[[LocalMesh], Coroutine[None, None, None]]
# Called in the node process with a sentence, when the mesh cannot be started after all.
OnFailed = Callable[[str], None]
_BROKEN = (ManifestError, StoreError, RootError, OSError)


class UpError(Exception):
    """One or more sentences saying why the mesh was not started; nothing has been made."""


class UpOptions(Struct, frozen=True, kw_only=True):
    """What was asked for. A `publish` entry (HOST:SERVICE:PORT) takes the place of a default with the same target."""

    data_dir: str | None = None
    base: tuple[Path, ...] = ()  # files whose objects are stored where absent
    files: tuple[Path, ...] = ()  # files whose objects are applied
    publish: tuple[str, ...] = ()
    images: Mapping[str, tuple[str, ...]] = {}


def publications_of(publish: tuple[str, ...]) -> tuple[Publication, ...]:
    """What a mesh started with these `--publish` entries has on the host."""
    return _publications(publish)


def up(options: UpOptions, on_started: OnStarted, on_failed: OnFailed) -> int:
    """Run a mesh until it is told to end; returns an exit code. UpError before anything is made. Call it from a process with one thread."""
    paths = locate_here(options.data_dir)
    try:
        base, objects = read_manifests(options.base), read_manifests(options.files)
        publications = _publications(options.publish)
        lock = Lock(paths)
        if used := os.path.exists(paths.lock):  # noqa: PTH110  (no OSError for what may not be read)
            _own(paths, lock)
        findings = examine(Path(ENVOY))
        if findings.problems:
            raise UpError("\n".join(findings.problems))
        listeners = [_api_listener(), *open_listeners(publications)]
        if not used:
            _own(paths, lock)
        plan = _plan(paths, options, publications, (base, objects), findings.rules_tool, listeners[0].getsockname()[1])
    except (ManifestError, PublishError, LockError) as error:
        raise UpError(str(error)) from None
    allow_open_files()
    return _run(plan, listeners, paths, (on_started, on_failed))


def _own(paths: Paths, lock: Lock) -> None:
    """Make the folders and take the lock; in a folder never used before nothing is made until all else is known to be well."""
    paths.make()
    lock.acquire(SystemClock().now())


def _publications(asked: tuple[str, ...]) -> tuple[Publication, ...]:
    usual = {_target(one): one for one in DEFAULT_PUBLICATIONS}
    own = [parse_publication(text) for text in asked]
    known = tuple(replace(one, http=_target(one) in usual and usual[_target(one)].http) for one in own)
    taken = {_target(one) for one in own}
    return (*(one for target, one in usual.items() if target not in taken), *known)


def _target(one: Publication) -> tuple[str, str, int]:
    return one.namespace or "default", one.service, one.port


def _api_listener() -> socket.socket:
    """The API's usual port; another where that is taken, as the CLI itself needs none (`lateen kubeconfig` says which)."""
    try:
        return socket.create_server(API_ADDRESS)
    except OSError:
        return socket.create_server((API_ADDRESS[0], 0))


def _plan(
    paths: Paths,
    options: UpOptions,
    publications: tuple[Publication, ...],
    objects: tuple[tuple[Decoded, ...], tuple[Decoded, ...]],
    rules_tool: str,
    api_port: int,
) -> MeshPlan:
    folder = paths.data / "api"
    try:
        door = load_or_create_door(folder, api_port, SystemClock().now())
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not what was written there"
        raise UpError(f"The API's key in {folder} cannot be used: {why}. Free the disk, mend or remove the folder.") from None
    return MeshPlan(
        data=paths.data,
        api_socket=paths.api_socket,
        monitoring_socket=paths.monitoring_socket,
        door=door,
        rules_tool=rules_tool,
        pod_range=_pod_range(),
        publications=publications,
        images=options.images,
        settings=read_settings(os.environ),
        base=objects[0],
        objects=objects[1],
    )


def _pod_range() -> IPv4Network:
    """Pods' usual addresses, or others where this machine has a network with those."""
    try:
        return free_range(POD_RANGE, host_ranges())
    except ValueError as error:
        raise UpError(str(error)) from None


def _run(plan: MeshPlan, listeners: list[socket.socket], paths: Paths, tell: tuple[OnStarted, OnFailed]) -> int:
    def node(context: NodeContext) -> int:
        return uvloop.run(_serve(context, plan, *tell))

    try:
        return run_node(node, listeners, run_dir=paths.run)
    except IsolationError as error:
        raise UpError(str(error)) from None


async def _serve(context: NodeContext, plan: MeshPlan, on_started: OnStarted, on_failed: OnFailed) -> int:
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    try:
        mesh = LocalMesh(context, plan, SystemClock())
    except _BROKEN as error:
        on_failed(str(error))
        return 1
    try:
        await mesh.start()
        waiting = tasks.spawn(on_started(mesh), name="after the start")
        await ended.wait()
        waiting.cancel()
    except _BROKEN as error:
        on_failed(str(error))
        return 1
    finally:
        await mesh.stop()
    return 0
