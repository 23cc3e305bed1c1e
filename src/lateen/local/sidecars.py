"""Sidecars and gateways of this node's pods: an agent for each, seen by the pod as its container `istio-proxy`.

Why here: the agents are tasks of the node's process, which signs their certificates and hands them the mesh's names. A proxy that
ends is started again without touching the programs beside it. Must not know what a proxy is configured to do.
"""

import asyncio
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from msgspec import Struct

from lateen.agent.app import Agent, AgentState
from lateen.agent.certs import OwnSigner
from lateen.agent.host import connected
from lateen.agent.plan import ISTIO_VERSION, AgentPlan, Workload, envoy_argv
from lateen.agent.proxyconfig import ANNOTATION, certificate_ttl, read_proxy_config
from lateen.api.pods import Pod
from lateen.ca.signer import Signer, WorkloadName
from lateen.compile.proxyconfigs import laid_over
from lateen.compile.startup import Startup
from lateen.dns.table import NameEntry, NameTable
from lateen.local.containers import Ended, Waiting
from lateen.local.namespaces import NetNS
from lateen.local.podlogs import ContainerLog
from lateen.local.podparts import SidecarRequest, is_gateway
from lateen.local.sandbox import Launch
from lateen.local.spawner import Mount, Process, SpawnError, User
from lateen.model.nametable import NamedHost
from lateen.model.scope import Proxy
from lateen.runtime.clock import Clock
from lateen.serve.udp_dns import Resolver
from lateen.util.selectors import canonical
from lateen.xds.bootstrapclusters import Pipe, Tcp

__all__ = ["Sidecar", "Sidecars", "WatchNames"]

_SEEN_AT = "/etc/istio/proxy"
_USER = User(uid=1337, gid=1337)
_OWNER = (_USER.uid, _USER.gid)  # the interception rules let the proxy's own sockets pass
_PATH = "/usr/local/bin:/usr/bin:/bin"

# Calls back with the names that a namespace sees, now and at each change, until the function it returned is called.
WatchNames = Callable[[str, Callable[[tuple[NamedHost, ...]], None]], Callable[[], None]]


class Sidecars(Struct, frozen=True, kw_only=True):
    """Makes the sidecars of a node: a `pods.SidecarFactory`."""

    xds: Pipe | Tcp
    signer: Signer
    watch_names: WatchNames
    clock: Clock
    startup: Callable[[Proxy], Startup]
    trust_domain: str = "cluster.local"
    resolvers: tuple[Resolver, ...] = ()

    def __call__(self, request: SidecarRequest) -> "Sidecar":
        """The sidecar of one pod; it does not run yet."""
        pod = request.pod
        meta = pod.metadata
        workload = _workload(request)
        startup = self.startup(_proxy(workload))
        defaults = laid_over(startup.defaults, startup.layers.wide)
        proxy, problems = read_proxy_config(defaults, meta.annotations.get(ANNOTATION, ""), ANNOTATION)
        proxy = laid_over(proxy, startup.layers.own)
        for problem in problems:
            request.record("Warning", "ProxyConfig", problem.message)
        plan = AgentPlan(
            workload=workload,
            xds=self.xds,
            directory=request.folder,
            seen_at=_SEEN_AT,
            trust_domain=self.trust_domain,
            proxy=proxy,
            changes=startup.changes,
            certificate_ttl=certificate_ttl(proxy),
            dns=not is_gateway(request.container),
            resolvers=self.resolvers,
        )
        name = plan.workload.workload
        certified = WorkloadName(
            workload=name,
            namespace=meta.namespace,
            canonical_service=meta.labels.get("service.istio.io/canonical-name", name),
            canonical_revision=meta.labels.get("service.istio.io/canonical-revision", "latest"),
        )
        return Sidecar(request, plan, OwnSigner(self.signer, plan.identity, certified, self.clock), self.watch_names, self.clock)


def _workload(request: SidecarRequest) -> Workload:
    pod = request.pod
    meta = pod.metadata
    ports = {port.container_port for each in pod.spec.containers if each is not request.container for port in each.ports}
    return Workload(
        name=meta.name,
        namespace=meta.namespace,
        service_account=pod.spec.service_account_name or "default",
        address=request.sandbox.address,
        workload=_owner(pod),
        kind="router" if is_gateway(request.container) else "sidecar",
        labels=meta.labels,
        annotations=meta.annotations,
        node_name=pod.spec.node_name,
        ports=tuple(sorted(ports)),
    )


def _proxy(pod: Workload) -> Proxy:
    """The proxy as it will say it is."""
    return Proxy(
        id=pod.name,
        kind=pod.kind,
        namespace=pod.namespace,
        name=pod.name,
        addresses=(pod.address,),
        labels=canonical(pod.labels),
        metadata=(("ISTIO_VERSION", ISTIO_VERSION),),
    )


def _owner(pod: Pod) -> str:
    """What the pod belongs to: its Deployment, without the ReplicaSet's hash."""
    owner = next((each for each in pod.metadata.owner_references if each.controller), None)
    if owner is None:
        return pod.metadata.name
    mark = pod.metadata.labels.get("pod-template-hash", "")
    return owner.name.removesuffix(f"-{mark}") if owner.kind == "ReplicaSet" and mark else owner.name


@lru_cache(maxsize=64)
def _table(names: tuple[NamedHost, ...]) -> NameTable:
    """One table for all sidecars that see the same names."""
    return NameTable.build(
        NameEntry(host=each.host, ips=each.addresses, registry=each.registry, namespace=each.namespace, shortname=each.short)
        for each in names
    )


class _Inside:
    """The agent's door into the pod: its network, and programs that print to the container's log."""

    def __init__(self, sandbox: NetNS, folder: Path, volumes: tuple[Mount, ...], log: ContainerLog) -> None:
        self._sandbox = sandbox
        self._mounts = (*volumes, Mount(source=str(folder), target=_SEEN_AT, read_only=True))
        self._log = log
        self.process: Process | None = None

    async def listen_tcp(self, host: str, port: int) -> socket.socket:
        return self._sandbox.socket(bind=(host, port), listen=128, owner=_OWNER)

    async def listen_udp(self, host: str, port: int) -> socket.socket:
        return self._sandbox.socket(kind=socket.SOCK_DGRAM, bind=(host, port), owner=_OWNER)

    async def connect(self, host: str, port: int) -> socket.socket:
        return await connected(self._sandbox.socket(), host, port)

    async def launch(self, argv: Sequence[str], env: Mapping[str, str], uid: int, gid: int) -> Process:
        writer = self._log.pipe()
        try:
            os.fchown(writer, uid, gid)  # Envoy opens /dev/stdout anew for access logs
            self.process = await self._sandbox.popen(
                argv, env={"PATH": _PATH, **env}, user=User(uid=uid, gid=gid), mounts=self._mounts, stdout=writer, stderr=writer
            )
        except SpawnError as error:
            raise OSError(str(error)) from None
        finally:
            os.close(writer)
        return self.process


class Sidecar:
    """A `pods.Runner` whose program is Envoy, kept by an agent."""

    def __init__(self, request: SidecarRequest, plan: AgentPlan, source: OwnSigner, watch_names: WatchNames, clock: Clock) -> None:
        self.name = request.container.name
        self.image = request.container.image
        self.log = request.log
        self.state: Waiting | Ended | None = Waiting("ContainerCreating")
        self.last: Ended | None = None
        self.started_at = 0.0
        self.ready = False
        self.started = False
        self.launch: Launch | None = Launch(argv=envoy_argv(plan), env={"PATH": _PATH}, user=_USER)
        self._request = request
        self._plan = plan
        self._clock = clock
        self._watch_names = watch_names
        self._unwatch: Callable[[], None] | None = None
        self._inside = _Inside(request.sandbox, request.folder, request.mounts, request.log)
        self._ended = asyncio.Event()
        self._pid = 0
        self._warned = ""
        self.agent = Agent(plan, self._inside, self._inside, source, clock, self._told)

    @property
    def restarts(self) -> int:
        """How often Envoy was started again, here and before the node was."""
        return self._request.restarts + self.agent.state.restarts

    @property
    def process(self) -> Process | None:
        """The Envoy that runs."""
        return self._inside.process if self.agent.state.pid else None

    async def run(self) -> int:
        """Run until it is stopped, or has ended for good."""
        try:
            await self.agent.start()
        except OSError as error:
            self._fail(f"The sidecar cannot start: {error.strerror or error}")
            await self.agent.stop(drain=False)
            return 1
        self._unwatch = self._watch_names(self._plan.workload.namespace, self._names)
        await self._ended.wait()
        return 0

    async def stop(self, grace: float) -> None:
        """Drain it for as long as there is time, then end it."""
        if self._unwatch is not None:
            self._unwatch()
            self._unwatch = None
        try:
            async with asyncio.timeout(grace or None):
                await self.agent.stop(drain=grace > 0)
        except TimeoutError:
            await self.agent.stop(drain=False)
        if self.state is None:
            self.state = Ended(code=0, reason="Completed", started=self.started_at, finished=self._clock.now())
        self.ready = False
        self._ended.set()
        self._request.changed()

    def _names(self, names: tuple[NamedHost, ...]) -> None:
        self.agent.set_name_table(_table(names))

    def _told(self, state: AgentState) -> None:
        """The agent's state as a container's."""
        if state.pid and state.pid != self._pid:
            self.started_at, self.state = self._clock.now(), None
            self._request.record("Normal", "Started", f"Started container {self.name}")
        elif self._pid and not state.pid:
            self._over(state)
        elif not state.pid and isinstance(self.state, Waiting) and state.ended:
            self._fail(state.reason)
        if state.warning != self._warned and state.warning:
            self._request.record("Warning", "CertificateNotRenewed", state.warning)
        self._pid, self._warned = state.pid, state.warning
        self.ready = state.ready
        self.started = self.started or state.ready
        self._request.changed()

    def _over(self, state: AgentState) -> None:
        """Envoy ended."""
        now = self._clock.now()
        code = self._inside.process.returncode if self._inside.process else None
        shown = 0 if code is None else code if code >= 0 else 128 - code
        reason = "Completed" if state.ended else "Error"
        self.last = Ended(code=shown, reason=reason, started=self.started_at, finished=now, message=state.reason)
        if state.ended:
            self.state = self.last
            return
        self.state = Waiting("CrashLoopBackOff", state.reason)
        self._request.record("Warning", "BackOff", f"{state.reason}; it is started again")
        self.log.say(f"lateen: {state.reason}; it is started again")

    def _fail(self, why: str) -> None:
        now = self._clock.now()
        self.state = Ended(code=1, reason="StartError", message=why, started=now, finished=now)
        self._request.record("Warning", "Failed", why)
        self._request.changed()
