"""An agent with a real Envoy on loopback: its start, its certificates, its crashes and its end."""

import asyncio
import os
import signal
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography import x509
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2

from lateen.ads.messages import CDS, LDS, Push, Request
from lateen.ads.stream import Stream
from lateen.agent.app import Agent, AgentState
from lateen.agent.certs import OwnSigner
from lateen.agent.http import Target, call
from lateen.agent.plan import AgentPlan, Ports, Workload
from lateen.api.meshconfig import ProxyConfig
from lateen.ca.csr import new_request
from lateen.ca.signer import Signer, WorkloadName
from lateen.ca.spiffe import Identity
from lateen.model.frame import Snapshot
from lateen.model.listenerplan import MeshTls
from lateen.model.scope import Proxy
from lateen.runtime.clock import SystemClock
from lateen.serve.callers import Callers
from lateen.serve.grpc_ads import AdsService
from lateen.serve.grpc_doors import open_secure_door
from lateen.server.rootca import ControlPlaneIdentity, load_or_create_root
from lateen.xds.bootstrapclusters import Tcp
from lateen.xds.downstreamtls import build_downstream_tls
from lateen.xds.pack import pack

pytestmark = [pytest.mark.envoy, pytest.mark.timeout(60)]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder below which the proxy's user reaches its own; pytest's are private."""
    with tempfile.TemporaryDirectory(prefix="lateen-agent-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


REVIEWS = Identity("cluster.local", "default", "bookinfo-reviews")


class Clock(SystemClock):
    """Real time, but what waits for hours waits until the test says so."""

    def __init__(self) -> None:
        self.hours_later = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        if seconds < 3600:
            await super().sleep(seconds)
        else:
            await self.hours_later.wait()
            self.hours_later.clear()


class Host:
    """This machine's loopback as the pod's network, and its processes; remembers what happened in `events`."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.processes: list[asyncio.subprocess.Process] = []

    async def listen_tcp(self, host: str, port: int) -> socket.socket:
        return bound(socket.SOCK_STREAM, port)

    async def listen_udp(self, host: str, port: int) -> socket.socket:
        return bound(socket.SOCK_DGRAM, port)

    async def connect(self, host: str, port: int) -> socket.socket:
        sock = socket.socket()
        sock.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(sock, (host, port))
        except BaseException:
            sock.close()
            raise
        return sock

    async def launch(self, argv: Sequence[str], env: Mapping[str, str], uid: int, gid: int) -> "Running":
        user = {"user": uid, "group": gid, "extra_groups": []} if os.geteuid() == 0 else {}
        process = await asyncio.create_subprocess_exec(*argv, env=dict(env), stdin=asyncio.subprocess.DEVNULL, **user)  # type: ignore[arg-type]
        self.processes.append(process)
        self.events.append("launch")
        return Running(process, self.events)


class Running:
    """A process that tells what it is sent."""

    def __init__(self, process: asyncio.subprocess.Process, events: list[str]) -> None:
        self._process = process
        self._events = events
        self.pid = process.pid

    async def wait(self) -> int:
        return await self._process.wait()

    async def send_signal(self, number: int) -> None:
        if self._process.returncode is None:
            self._events.append(signal.Signals(number).name)
            self._process.send_signal(number)


class Hub:
    """A control plane with one answer for everybody."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.proxies: list[Proxy] = []

    def connect(self, proxy: Proxy, *, sotw: bool, send: Callable[[tuple[Push, ...]], None]) -> "Session":
        self.proxies.append(proxy)
        return Session(Stream(self.snapshot, sotw=sotw), send)


class Session:
    """One stream of it."""

    waits = False

    def __init__(self, stream: Stream, send: Callable[[tuple[Push, ...]], None]) -> None:
        self._stream = stream
        self._send = send

    def on_request(self, request: Request) -> None:
        assert request.error is None, request.error
        self._send(self._stream.on_request(request))

    def on_patience_over(self) -> None:
        raise AssertionError

    def close(self) -> None:
        pass


class States(list[AgentState]):
    """All states of an agent, in order."""

    def __init__(self) -> None:
        super().__init__()
        self._more = asyncio.Event()

    def add(self, state: AgentState) -> None:
        self.append(state)
        self._more.set()

    async def until(self, wanted: Callable[[AgentState], bool], after: int = 0) -> AgentState:
        """The first state from position `after` on that is wanted; waits for it."""
        while True:
            found = next((state for state in self[after:] if wanted(state)), None)
            if found is not None:
                return found
            self._more.clear()
            await self._more.wait()


class Mesh:
    """A control plane over mutual TLS and one agent with its Envoy, whose listener on `port` answers "hello" over mutual TLS."""

    def __init__(
        self, agent: Agent, host: Host, hub: Hub, clock: Clock, states: "States", plan: AgentPlan, port: int, signer: Signer
    ) -> None:
        self.agent, self.host, self.hub, self.clock, self.plan, self.port = agent, host, hub, clock, plan, port
        self.states = states
        self.signer = signer
        self.root = signer.roots_pem.decode()
        self.tls = self._client()

    def _client(self) -> ssl.SSLContext:
        key, request = new_request(Identity("cluster.local", "default", "client"))
        leaf = self.signer.sign(request, Identity("cluster.local", "default", "client"), 0, self.clock.now())[0]
        file = self.plan.directory.parent / "client.pem"
        file.write_bytes(key.reveal() + leaf)
        context = ssl.create_default_context(cadata=self.root)
        context.check_hostname = False
        context.load_cert_chain(file)
        return context

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=self.tls, server_hostname="")


async def get(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[int, bytes]:
    """One request on an open connection: status and head."""
    writer.write(b"GET / HTTP/1.1\r\nHost: reviews\r\n\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(len(b"hello"))
    return int(head.split()[1]), head


def certificate(writer: asyncio.StreamWriter) -> x509.Certificate:
    return x509.load_der_x509_certificate(writer.get_extra_info("ssl_object").getpeercert(binary_form=True))


def bound(kind: socket.SocketKind, port: int = 0) -> socket.socket:
    sock = socket.socket(socket.AF_INET, kind)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    sock.setblocking(False)
    if kind == socket.SOCK_STREAM:
        sock.listen()
    return sock


def free_ports(count: int) -> list[int]:
    held = [bound(socket.SOCK_STREAM) for _ in range(count)]
    ports = [int(sock.getsockname()[1]) for sock in held]
    for sock in held:
        sock.close()
    return ports


def owner(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_uid, found.st_gid


def configuration(port: int) -> Snapshot:
    manager = hcm_pb2.HttpConnectionManager(stat_prefix="in")
    route = manager.route_config.virtual_hosts.add(name="all", domains=["*"]).routes.add()
    route.match.prefix, route.direct_response.status, route.direct_response.body.inline_string = "/", 200, "hello"
    manager.http_filters.add(name="envoy.filters.http.router").typed_config.Pack(router_pb2.Router())
    listener = listener_pb2.Listener(name="in", traffic_direction=1)
    listener.address.socket_address.address, listener.address.socket_address.port_value = "127.0.0.1", port
    chain = listener.filter_chains.add()
    chain.filters.add(name="envoy.filters.network.http_connection_manager").typed_config.Pack(manager)
    tls = MeshTls(alpn=("http/1.1",), client_prefixes=("spiffe://cluster.local/",), min_version="TLSV1_2")
    chain.transport_socket.CopyFrom(build_downstream_tls(tls))
    cluster = cluster_pb2.Cluster(name="any", type=cluster_pb2.Cluster.STATIC)
    return {CDS: {"any": pack("any", CDS, cluster)}, LDS: {"in": pack("in", LDS, listener)}}


@asynccontextmanager
async def mesh(folder: Path) -> AsyncIterator[Mesh]:
    """A started mesh, its proxy ready."""
    clock, host = Clock(), Host()
    admin, agent_port, health, prometheus, dns, xds, port = free_ports(7)
    signer = Signer(load_or_create_root(folder / "ca", "cluster.local", clock))
    door = open_secure_door(f"127.0.0.1:{xds}", ControlPlaneIdentity(signer, Identity("cluster.local", "istio-system", "istiod"), clock))
    hub = Hub(configuration(port))
    await door.serve(AdsService(hub, callers=Callers("cluster.local", door.peer, None))).start()
    plan = AgentPlan(
        workload=Workload(
            name="reviews-v1-0", namespace="default", service_account="bookinfo-reviews", address="127.0.0.1", workload="reviews-v1"
        ),
        xds=Tcp("127.0.0.1", xds, "istiod.istio-system.svc"),
        directory=folder / "pod",
        proxy=ProxyConfig(termination_drain_duration="0.3s"),
        ports=Ports(admin=admin, agent=agent_port, health=health, prometheus=prometheus, dns=dns),
    )
    states = States()
    source = OwnSigner(signer, REVIEWS, WorkloadName(workload="reviews-v1", namespace="default"), clock)
    agent = Agent(plan, host, host, source, clock, states.add)
    try:
        await agent.start()
        await agent.wait_ready()
        yield Mesh(agent, host, hub, clock, states, plan, port, signer)
    finally:
        await agent.stop()
        await door.stop(grace=0)


def run(test: Callable[[Mesh], Awaitable[None]], folder: Path) -> None:
    async def all_of_it() -> None:
        async with asyncio.timeout(40), mesh(folder) as started:
            await test(started)

    asyncio.run(all_of_it())


def test_proxy_becomes_ready_with_its_own_identity(folder: Path) -> None:
    """Over mutual TLS it gets its configuration, and what it serves carries its SPIFFE id and, beside it, its workload."""

    async def test(mesh: Mesh) -> None:
        reader, writer = await mesh.connect()
        assert (await get(reader, writer))[0] == 200
        leaf = certificate(writer)
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.UniformResourceIdentifier) == [REVIEWS.uri]
        assert leaf.subject.rfc4514_string() == "O=default,CN=reviews-v1"
        writer.close()
        (proxy,) = mesh.hub.proxies
        assert (proxy.name, proxy.namespace, proxy.service_account) == ("reviews-v1-0", "default", "bookinfo-reviews")
        assert mesh.states[0].reason == "starting" and mesh.states[-1].ready and mesh.states[-1].pid

    run(test, folder)


def test_keys_are_for_the_proxys_user_alone(folder: Path) -> None:
    """The folder of the socket opens for that user only, who can change nothing in it, and no file holds a key."""

    async def test(mesh: Mesh) -> None:
        folder = mesh.plan.directory
        assert folder.stat().st_mode & 0o027 == 0 and mesh.plan.socket.stat().st_mode & 0o077 == 0
        if os.geteuid() == 0:
            assert [owner(path) for path in (folder, mesh.plan.bootstrap, mesh.plan.socket)] == [(0, 1337), (0, 1337), (1337, 1337)]
            assert mesh.plan.bootstrap.stat().st_mode & 0o777 == 0o640
        assert b"PRIVATE" not in mesh.plan.bootstrap.read_bytes()

    run(test, folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="agent and proxy are one user")
def test_what_a_proxy_planted_is_not_followed(folder: Path) -> None:
    """Links and files where the agent writes, in a folder that was the proxy's: what they lead to stays as it was, and the agent starts."""
    victims = [folder / name for name in ("shadow", "passwd")]
    for victim in victims:
        victim.write_text("root's own")
        victim.chmod(0o600)
    pod = folder / "pod"
    pod.mkdir()
    os.chown(pod, 1337, 1337)
    (pod / "bootstrap.pb").symlink_to(victims[0])
    (pod / "sds.sock").symlink_to(victims[1])

    async def test(mesh: Mesh) -> None:
        assert [(victim.read_text(), owner(victim), victim.stat().st_mode & 0o777) for victim in victims] == [
            ("root's own", (0, 0), 0o600)
        ] * 2
        assert not mesh.plan.bootstrap.is_symlink() and mesh.plan.socket.is_socket()
        reader, writer = await mesh.connect()
        assert (await get(reader, writer))[0] == 200
        writer.close()

    run(test, folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="agent and proxy are one user")
def test_a_folder_that_is_a_link_is_not_used(folder: Path) -> None:
    """The agent does not start, and where the link leads nothing is made or changed."""
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    (folder / "pod").symlink_to(elsewhere)
    with pytest.raises(OSError, match="pod"):
        run(lambda _mesh: asyncio.sleep(0), folder)
    assert (owner(elsewhere), elsewhere.stat().st_mode & 0o777, list(elsewhere.iterdir())) == ((0, 0), 0o700, [])


def test_rotation_reaches_new_connections_and_breaks_none(folder: Path) -> None:
    """At half life new connections see another certificate; requests on old and new connections all succeed meanwhile."""

    async def test(mesh: Mesh) -> None:
        held = await mesh.connect()
        first = certificate(held[1]).serial_number
        for _ in range(2):
            before = await mesh.connect()
            old = certificate(before[1]).serial_number
            mesh.clock.hours_later.set()
            serial = old
            while serial == old:
                fresh = await mesh.connect()
                serial = certificate(fresh[1]).serial_number
                for connection in (held, before, fresh):
                    assert (await get(*connection))[0] == 200
                fresh[1].close()
            before[1].close()
        assert certificate(held[1]).serial_number == first, "a held connection keeps its certificate"
        held[1].close()
        assert mesh.agent.state.ready and mesh.host.events == ["launch"]

    run(test, folder)


def test_killed_envoy_is_started_again(folder: Path) -> None:
    """After kill -9 the pod is not ready and says why; it is ready again with another process, and serves."""

    async def test(mesh: Mesh) -> None:
        first = mesh.agent.state.pid
        known = len(mesh.states)
        mesh.host.processes[0].kill()
        state = await mesh.states.until(lambda state: True, after=known)
        assert not state.ready and state.reason == "Envoy was ended by SIGKILL"
        status = await call(mesh.host, Target("127.0.0.1", mesh.plan.ports.agent), "GET", "/healthz/ready")
        assert status.status == 503
        await mesh.agent.wait_ready()
        assert mesh.agent.state.restarts == 1 and mesh.agent.state.pid not in {0, first}
        again = await mesh.connect()
        assert (await get(*again))[0] == 200
        again[1].close()

    run(test, folder)


def test_stop_drains_before_it_ends_the_proxy(folder: Path) -> None:
    """Not ready first; then Envoy still answers and tells clients to go; only after the drain time it is ended, and all is closed."""

    async def test(mesh: Mesh) -> None:
        held = await mesh.connect()
        assert b"connection: close" not in (await get(*held))[1]
        stopping = asyncio.get_running_loop().create_task(mesh.agent.stop())
        await mesh.states.until(lambda state: state.reason == "draining")
        answered, head = 0, b""
        while b"connection: close" not in head:
            status, head = await get(*held)
            answered += status == 200
        assert answered and mesh.host.events == ["launch"], "no signal while it drains"
        await stopping
        held[1].close()
        assert mesh.host.events == ["launch", "SIGTERM"] and mesh.host.processes[0].returncode == 0
        assert mesh.states[-1].ended
        for port in (mesh.plan.ports.agent, mesh.plan.ports.admin, mesh.port):
            with pytest.raises(ConnectionRefusedError):
                await mesh.host.connect("127.0.0.1", port)
        assert list(mesh.plan.directory.iterdir()) == []

    run(test, folder)


def test_status_door_speaks_for_the_proxy(folder: Path) -> None:
    """15021 answers through Envoy, 15020 by itself; metrics of agent and Envoy come on one page; quit ends the proxy for good."""

    async def test(mesh: Mesh) -> None:
        ports = mesh.plan.ports
        for port in (ports.health, ports.agent):
            assert (await call(mesh.host, Target("127.0.0.1", port), "GET", "/healthz/ready")).status == 200
        page = (await call(mesh.host, Target("127.0.0.1", ports.agent), "GET", "/stats/prometheus", limit=1 << 24)).body.decode()
        assert page.index("istio_agent_envoy_starts_total 1") < page.index("envoy_server_live")
        assert (await call(mesh.host, Target("127.0.0.1", ports.agent), "POST", "/quitquitquit")).status == 200
        await mesh.host.processes[0].wait()
        await mesh.states.until(lambda state: state.ended)
        assert mesh.host.events == ["launch", "SIGTERM"]

    run(test, folder)


def test_a_certificate_that_is_not_renewed_is_told_while_it_is_good(folder: Path) -> None:
    """From half of its life on the state says why and until when it is good; requests go on, and it is renewed when that is possible."""

    async def test(mesh: Mesh) -> None:
        held = await mesh.connect()
        sign, mesh.signer.sign = mesh.signer.sign, refusing  # type: ignore[method-assign]
        mesh.clock.hours_later.set()
        told = await mesh.states.until(lambda state: bool(state.warning))
        assert told.warning.startswith(f"no certificate for {REVIEWS.uri}: no disk; the one in use ends at 20")
        fresh = await mesh.connect()
        for connection in (held, fresh):
            assert (await get(*connection))[0] == 200
            connection[1].close()
        assert mesh.agent.state.ready
        _, page = await mesh.agent.metrics(())
        left = next(line for line in page.decode().splitlines() if line.startswith("istio_agent_cert_expiry_seconds{"))
        assert 23 * 3600 < int(left.split()[1]) <= 24 * 3600
        mesh.signer.sign = sign  # type: ignore[method-assign]
        await mesh.states.until(lambda state: not state.warning, after=mesh.states.index(told))

    run(test, folder)


def refusing(*_: object, **__: object) -> tuple[bytes, ...]:
    raise OSError("no disk")
