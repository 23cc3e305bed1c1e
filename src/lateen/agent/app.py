"""A sidecar's agent: certificates, bootstrap, Envoy, DNS, status door; in the right order, both up and down.

One for each pod that has a proxy, as tasks of the node's process or of a process of its own. Up: certificate, SDS, Envoy; the pod is ready
when Envoy has its configuration and takes connections. Down: drain, wait, end Envoy, close the doors. Must not decide what a pod's
state means for the pod, nor remove what it did not make.
"""

import asyncio
from collections.abc import Callable

import msgspec
from msgspec import Struct

from lateen.agent import folder
from lateen.agent.admin import Admin
from lateen.agent.certs import Certificates, Secrets
from lateen.agent.envoy import Envoy
from lateen.agent.http import HttpError
from lateen.agent.merge_metrics import Metrics
from lateen.agent.plan import AgentPlan, bootstrap_plan, envoy_argv
from lateen.agent.probes import ask_application
from lateen.agent.protocols import CertificateSource, Launcher, PodNetwork
from lateen.dns.table import Client, NameTable
from lateen.runtime import log, tasks
from lateen.runtime.clock import Clock
from lateen.serve.grpc_sds import SdsServer
from lateen.serve.http_status import Headers, StatusServer
from lateen.serve.udp_dns import DnsServer
from lateen.util.times import rfc3339
from lateen.xds.bootstrap import build_bootstrap

__all__ = ["Agent", "AgentState"]

_FIRST_LOOK, _LAST_LOOK = 0.05, 0.25  # seconds between looks at a starting Envoy
_ANY = "0.0.0.0"  # noqa: S104  (of the pod: the kubelet and scrapers ask from outside it)
_log = log.get("agent")


class AgentState(Struct, frozen=True, kw_only=True):
    """`reason` says why it is not ready. `ended`: Envoy is gone for good, because the application asked for it or it was stopped.

    `warning`: what will go wrong if nothing is done, though all works yet.
    """

    ready: bool = False
    reason: str = "not started"
    restarts: int = 0
    pid: int = 0
    ended: bool = False
    warning: str = ""


class Agent:
    """One pod's agent. `on_state` is called with each new state, in the event loop."""

    def __init__(
        self,
        plan: AgentPlan,
        network: PodNetwork,
        launcher: Launcher,
        source: CertificateSource,
        clock: Clock,
        on_state: Callable[[AgentState], None],
    ) -> None:
        self._plan = plan
        self._network = network
        self._clock = clock
        self._on_state = on_state
        self.state = AgentState()
        self._changed = asyncio.Event()
        self._admin = Admin(network, plan.ports.admin)
        self._metrics = Metrics(network, plan.workload.address, plan.ports.prometheus, plan.scrape)
        self._certificates = Certificates(plan.identity, source, plan.certificate_ttl, clock, self._unsigned)
        self._envoy = Envoy(
            envoy_argv(plan), plan.proxy.proxy_metadata, plan.user, launcher, clock, on_start=self._started, on_end=self._crashed
        )
        self._sds: SdsServer | None = None
        self._dns: DnsServer | None = None
        self._status: StatusServer | None = None
        self._table: NameTable | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._watch: asyncio.Task[None] | None = None
        self._draining = False

    async def start(self) -> None:
        """Open the doors and begin; the rest follows, `on_state` tells how. OSError when a port is taken; call `stop` even then."""
        folder.prepare(self._plan.directory, self._plan.user)
        self._tell(ready=False, reason="starting")
        ports = self._plan.ports
        self._status = StatusServer(await self._network.listen_tcp(_ANY, ports.agent), self)
        await self._status.start()
        if self._plan.dns:
            await self._start_dns(ports.dns)
        self._tasks.append(tasks.spawn(self._bring_up(), name=f"agent {self._plan.workload.name}"))

    async def wait_ready(self) -> None:
        """Returns when the proxy is ready; RuntimeError when it has ended instead."""
        while not self.state.ready:
            if self.state.ended:
                raise RuntimeError(f"the proxy of {self._plan.workload.name} ended before it was ready: {self.state.reason}")
            self._changed.clear()
            await self._changed.wait()

    async def stop(self, *, drain: bool = True) -> None:
        """Drain (unless that was done before), end Envoy, close the doors; nothing of this agent is left."""
        if drain and self._envoy.pid and not self._draining:
            await self.drain()
            await self._ended_or(self._plan.drain_seconds)
        await tasks.cancel_all(*self._tasks)
        await self._end()
        for server in (self._dns, self._status, self._sds):
            if server is not None:
                await server.stop()
        self._plan.bootstrap.unlink(missing_ok=True)

    def set_name_table(self, table: NameTable) -> None:
        """What the pod's names mean from now on."""
        self._table = table
        if self._dns is not None:
            self._dns.table = table

    # What the status door asks

    async def obstacle(self) -> str:
        """Why the proxy is not ready now; "" when it is."""
        if not self.state.ready:
            return self.state.reason
        return await self._admin.obstacle()

    async def metrics(self, headers: Headers) -> tuple[str, bytes]:
        """The merged page."""
        self._metrics.counters.certificates = self._certificates.count
        self._metrics.counters.certificate_seconds = self._certificates.expires - self._clock.now()
        self._metrics.counters.envoy_starts = self._envoy.starts
        return await self._metrics.page(headers)

    async def probe(self, path: str, headers: Headers) -> tuple[int, bytes]:
        """Ask the application what the kubelet asks us."""
        probe = self._plan.probes.get(path)
        if probe is None:
            return 404, f"no probe of the pod is at {path}\n".encode()
        return await ask_application(self._network, self._plan.workload.address, probe, headers)

    async def drain(self) -> None:
        """Let connections end; the pod is not ready from here on."""
        self._draining = True
        self._stop_watching()
        self._tell(ready=False, reason="draining")
        try:
            await self._admin.drain(inbound_only=self._plan.workload.kind == "sidecar")
        except HttpError as error:
            _log.warning("not drained", pod=self._plan.workload.name, reason=str(error))

    def quit(self) -> None:
        """The application has done its work (a Job): end Envoy at once, for good."""
        self._tasks.append(tasks.spawn(self._end(), name=f"quit {self._plan.workload.name}"))

    def names(self) -> bytes:
        """The name table as JSON."""
        hosts = self._table.hosts() if self._table is not None else ()
        return msgspec.json.encode({name: [str(ip) for ip in (*found.v4, *found.v6)] for name, found in hosts})

    # Up

    async def _start_dns(self, port: int) -> None:
        udp = await self._network.listen_udp("127.0.0.1", port)
        try:
            tcp = await self._network.listen_tcp("127.0.0.1", port)
        except BaseException:
            udp.close()
            raise
        namespace = self._plan.workload.namespace
        self._dns = DnsServer(udp, tcp, Client(namespace, f"{namespace}.svc.{self._plan.domain}"), self._plan.resolvers)
        self._dns.table = self._table
        self._metrics.dns = self._dns.counters
        await self._dns.start()

    async def _bring_up(self) -> None:
        try:
            sds = SdsServer(self._plan.socket, self._plan.user, await self._certificates.obtain())
            self._sds = sds
            await sds.start()
            folder.write(self._plan.bootstrap, build_bootstrap(bootstrap_plan(self._plan)), self._plan.user)
        except (OSError, ValueError) as error:
            _log.error("the proxy cannot be started", pod=self._plan.workload.name, reason=str(error))
            self._tell(ready=False, reason=str(error), ended=True)
            return
        self._envoy.start()

        def renewed(secrets: Secrets) -> None:
            sds.update(secrets)
            self._tell(warning="")

        await self._certificates.renew(renewed)

    def _unsigned(self, reason: str) -> None:
        """A proxy that runs has a certificate for half of its life yet: time to do something about it."""
        if self._envoy.starts:
            self._tell(warning=f"{reason}; the one in use ends at {rfc3339(self._certificates.expires)}")
        else:
            self._tell(ready=False, reason=reason)

    def _started(self, pid: int) -> None:
        self._tell(ready=False, reason="Envoy is starting", pid=pid, restarts=self._envoy.starts - 1)
        self._watch = tasks.spawn(self._wait_until_ready(), name=f"readiness {self._plan.workload.name}")

    async def _wait_until_ready(self) -> None:
        pause = _FIRST_LOOK
        while True:
            await self._clock.sleep(pause)
            obstacle = await self._admin.obstacle()
            if not obstacle:
                self._tell(ready=True, reason="")
                return
            self._tell(ready=False, reason=obstacle)
            pause = min(_LAST_LOOK, pause * 1.3)

    def _crashed(self, reason: str) -> None:
        self._stop_watching()
        self._tell(ready=False, reason=reason, pid=0)

    # Down

    async def _end(self) -> None:
        self._stop_watching()
        await self._envoy.end()
        self._tell(ready=False, reason="ended", pid=0, ended=True)

    async def _ended_or(self, seconds: float) -> None:
        """Until Envoy has ended, at most so long."""
        waiting = [tasks.spawn(self._envoy.ended(), name="drained"), tasks.spawn(self._clock.sleep(seconds), name="drain")]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await tasks.cancel_all(*waiting)

    def _stop_watching(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _tell(self, **changes: object) -> None:
        state = msgspec.structs.replace(self.state, **changes)
        if state != self.state:
            self.state = state
            self._changed.set()
            self._on_state(state)
