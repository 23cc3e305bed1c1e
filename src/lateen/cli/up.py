"""`lateen up` and `lateen demo`: a mesh on this machine, in the foreground or detached."""

import asyncio
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import click

from lateen.api.decode import read_documents
from lateen.cli.access import BAD_DATA, fail
from lateen.cli.detach import Reporter, detached
from lateen.kube.errors import ApiError
from lateen.local.app import UpError, UpOptions, publications_of
from lateen.local.app import up as run_mesh
from lateen.local.images import ImageTableError, parse_table
from lateen.local.mesh import INGRESS, LocalMesh
from lateen.local.progress import Progress
from lateen.local.readiness import page_answers, pod_states, until_ready
from lateen.runtime import log
from lateen.runtime.clock import SystemClock
from lateen.samples.demo import DEMO, MANIFESTS
from lateen.sources.kubehttp import UnreachableError

__all__ = ["demo", "up"]

_SYSTEM = MANIFESTS / "istio-system.yaml"
_PAGE = "/productpage"
_TABLE = Path("lateen.yaml")
Option = Callable[[Callable[..., None]], Callable[..., None]]


class _Wish(NamedTuple):
    """What is to be there before the command says that the mesh is up, and how long a detached one is waited for."""

    wait: bool
    page: str
    seconds: float


def _options(command: Callable[..., None]) -> Callable[..., None]:
    """What both commands take."""
    for option in (
        click.option("--data-dir", help="Where the mesh keeps its objects, keys and logs."),
        click.option(
            "--publish", multiple=True, metavar="HOST:SERVICE:PORT", help="Also (or elsewhere) publish a service's port on this machine."
        ),
        click.option("--detach", "-d", is_flag=True, help="Go to the background; `lateen down` ends it."),
        click.option("--wait", is_flag=True, help="With --detach: return when every pod is ready."),
        click.option("--timeout", type=float, default=120.0, show_default=True, metavar="SECONDS", help="Of --detach --wait."),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("files", nargs=-1, type=click.Path(exists=True, path_type=Path))
@_options
def up(files: tuple[Path, ...], data_dir: str | None, publish: tuple[str, ...], timeout: float, *, detach: bool, wait: bool) -> None:
    """Start a mesh on this machine and apply FILES (YAML or JSON files, or folders of them) to it."""
    options = UpOptions(data_dir=data_dir, base=(_SYSTEM,), files=files, publish=publish, images=_images())
    _start(options, _Wish(wait or not detach, "", timeout), detach=detach)


@click.command()
@click.argument("name", type=click.Choice(["bookinfo"]))
@_options
def demo(name: str, data_dir: str | None, publish: tuple[str, ...], timeout: float, *, detach: bool, wait: bool) -> None:
    """Start a mesh with the sample application NAME; objects that are there already stay as they are."""
    del name  # there is one
    options = UpOptions(data_dir=data_dir, base=DEMO, publish=publish, images=_images())
    _start(options, _Wish(wait or not detach, _PAGE, timeout), detach=detach)


def _images() -> dict[str, tuple[str, ...]]:
    """The user's own images: `images:` in lateen.yaml of the current folder."""
    if not _TABLE.exists():
        return {}
    document = next(iter(read_documents(_TABLE.read_bytes(), str(_TABLE))), None)
    raw = document.raw if document is not None and isinstance(document.raw, dict) else {}
    try:
        return dict(parse_table(raw.get("images") or {}, str(_TABLE)))
    except ImageTableError as error:
        fail(f"lateen: {error}", BAD_DATA)


def _start(options: UpOptions, wish: _Wish, *, detach: bool) -> None:
    log.configure("warning")
    if detach:
        detached(options.data_dir, lambda reporter: _run(options, wish, reporter))
    sys.exit(_run(options, wish, None))


def _run(options: UpOptions, wish: _Wish, reporter: Reporter | None) -> int:
    async def started(mesh: LocalMesh) -> None:
        progress = Progress(sys.stdout)
        try:
            async with asyncio.timeout(wish.seconds if reporter is not None else None):
                await _settle(mesh, wish, progress)
        except (ApiError, UnreachableError, TimeoutError) as error:
            failed(str(error) or await _lacking(mesh, wish.seconds))
            return
        finally:
            progress.close()
        for line in _addresses(options, wish.page):
            progress.say(line)
        if reporter is not None:
            reporter.ready()

    def failed(message: str) -> None:
        if reporter is not None:
            reporter.failed(message)
        with suppress(OSError):  # the log's disk may be full
            click.echo(f"lateen: {message}", err=True)

    try:
        return run_mesh(options, started, failed)
    except UpError as error:
        failed(str(error))
        return 1


async def _settle(mesh: LocalMesh, wish: _Wish, progress: Progress) -> None:
    """Return when what was wished for is there."""
    if wish.wait:
        async for states in until_ready(mesh, SystemClock()):
            progress.show(states)
    if wish.page:
        await page_answers(mesh, wish.page, SystemClock())


async def _lacking(mesh: LocalMesh, seconds: float) -> str:
    missing = [f"{state.namespace}/{state.name} ({state.doing})" for state in await pod_states(mesh) if not state.ready]
    what = ", ".join(missing) or "the page"
    return f"not ready after {seconds:g} s: {what}. The mesh goes on: `lateen status` shows it, `lateen down` ends it."


def _addresses(options: UpOptions, page: str) -> list[str]:
    ingress = next(
        (one for one in publications_of(options.publish) if one.service == INGRESS.service and one.port == INGRESS.port), INGRESS
    )
    base = f"http://{ingress.address}:{ingress.host_port}"
    return [f"Open {base}{page}", "Ctrl-C ends it."] if page else [f"The mesh is up; its gateway is at {base}"]
