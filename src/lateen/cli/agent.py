"""`lateen agent proxy`: a proxy and its agent, inside a pod of a cluster or on a machine, as Istio's pilot-agent."""

import asyncio
import os
import signal
from pathlib import Path

import click

from lateen.agent.app import Agent, AgentState
from lateen.agent.environment import Told, read_environment
from lateen.agent.host import Host
from lateen.agent.proxyless import ProxylessAgent, write_plaintext_bootstrap
from lateen.agent.remote import RemoteAuthority
from lateen.cli.access import fail
from lateen.runtime import log, tasks
from lateen.runtime.clock import SystemClock

__all__ = ["agent"]


@click.group()
def agent() -> None:
    """A proxy's agent."""


@agent.command()
@click.argument("kind", type=click.Choice(["sidecar", "router"]), default="sidecar")
@click.option("--log-level", default="info", show_default=True, type=click.Choice(["debug", "info", "warning", "error"]))
def proxy(kind: str, log_level: str) -> None:
    """Run Envoy for this pod or machine; the environment says whose it is, a token of its service account proves it."""
    log.configure(log_level)
    try:
        told, problems = read_environment(os.environ, kind, Path.cwd())
        for problem in problems:
            log.get("agent").warning("setting left out", problem=str(problem))
        asyncio.run(_run(told))  # uvloop starts no process as another user
    except (OSError, ValueError) as error:
        fail(f"lateen: {error}")


@agent.command()
@click.option("--plaintext", metavar="HOST:PORT", help="Write the file for a control plane's plaintext door, and end: no certificates.")
@click.option("--log-level", default="info", show_default=True, type=click.Choice(["debug", "info", "warning", "error"]))
def grpc(plaintext: str | None, log_level: str) -> None:
    """Serve a gRPC program that has no proxy and calls xds:///SERVICE:PORT.

    Writes what it starts with to $GRPC_XDS_BOOTSTRAP (else etc/istio/proxy/grpc-bootstrap.json), for that program to have in its own
    environment; keeps its certificates new. The environment is that of `proxy`.
    """
    log.configure(log_level)
    try:
        told, problems = read_environment(os.environ, "sidecar", Path.cwd())
        for problem in problems:
            log.get("agent").warning("setting left out", problem=str(problem))
        if plaintext is not None:
            write_plaintext_bootstrap(told.plan, plaintext)
        else:
            asyncio.run(_run_proxyless(told))
    except (OSError, ValueError) as error:
        fail(f"lateen: {error}")


async def _run_proxyless(told: Told) -> None:
    clock = SystemClock()
    source = RemoteAuthority(told.authority, told.server_name, told.roots, told.token, clock)
    serving = ProxylessAgent(told.plan, source, clock)
    running = tasks.spawn(_serve_proxyless(serving, told.plan.grpc_bootstrap), name="agent")
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    try:
        await running
    except asyncio.CancelledError:
        log.get("agent").info("ended")
    finally:
        await serving.stop()


async def _serve_proxyless(serving: ProxylessAgent, bootstrap: Path) -> None:
    await serving.start()
    log.get("agent").info("ready", bootstrap=str(bootstrap))
    await serving.run()


async def _run(told: Told) -> None:
    end = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, end.set)

    def on_state(state: AgentState) -> None:
        log.get("agent").info("ready" if state.ready else "not ready", reason=state.reason, warning=state.warning)
        if state.ended:
            end.set()

    source, host = RemoteAuthority(told.authority, told.server_name, told.roots, told.token, SystemClock()), Host()
    running = Agent(told.plan, host, host, source, SystemClock(), on_state)
    try:
        await running.start()
        await end.wait()
    finally:
        await running.stop()
