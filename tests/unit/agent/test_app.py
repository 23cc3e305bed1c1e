"""An agent without an Envoy: what it says while it cannot start one, and what it leaves behind."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import pytest

from lateen.agent.app import Agent, AgentState
from lateen.agent.plan import AgentPlan, Workload
from lateen.agent.protocols import Process
from lateen.ca.signer import SelfSignedRoot, Signer
from lateen.ca.spiffe import Identity
from lateen.dns.table import NameEntry, NameTable
from lateen.runtime.clock import SystemClock
from lateen.xds.bootstrapclusters import Pipe


class Pod:
    """Loopback with ports of its own choice; refuses what the test says."""

    def __init__(self) -> None:
        self.taken: set[tuple[socket.SocketKind, int]] = set()
        self.made: list[socket.socket] = []
        self.complaint: str | None = "control plane unreachable"

    def _bound(self, kind: socket.SocketKind, port: int) -> socket.socket:
        if (kind, port) in self.taken:
            raise OSError(f"port {port} is taken")
        sock = socket.socket(socket.AF_INET, kind)
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        self.made.append(sock)
        return sock

    async def listen_tcp(self, host: str, port: int) -> socket.socket:
        sock = self._bound(socket.SOCK_STREAM, port)
        sock.listen()
        return sock

    async def listen_udp(self, host: str, port: int) -> socket.socket:
        return self._bound(socket.SOCK_DGRAM, port)

    async def connect(self, host: str, port: int) -> socket.socket:
        raise ConnectionRefusedError

    async def launch(self, argv: Sequence[str], env: Mapping[str, str], uid: int, gid: int) -> Process:
        raise AssertionError("no Envoy without a certificate")

    revoked = b""

    async def changed(self) -> None:
        await asyncio.Event().wait()

    async def sign(self, csr_pem: bytes, ttl: float) -> Sequence[bytes]:
        raise OSError(self.complaint)


def run(directory: Path, pod: Pod, act: Callable[[Agent, list[AgentState]], Awaitable[None]]) -> list[AgentState]:
    """All states of an agent that `act` drives and that is stopped in the end."""

    async def all_of_it() -> list[AgentState]:
        states: list[AgentState] = []
        workload = Workload(name="p", namespace="default", service_account="sa", address="127.0.0.1", workload="w")
        plan = AgentPlan(workload=workload, xds=Pipe("/x"), directory=directory)
        agent = Agent(plan, pod, pod, pod, SystemClock(), states.append)
        async with asyncio.timeout(5):
            try:
                await act(agent, states)
            finally:
                await agent.stop()
        assert all(sock.fileno() == -1 for sock in pod.made), "every socket is closed"
        return states

    return asyncio.run(all_of_it())


def test_missing_certificate_is_the_reason(tmp_path: Path) -> None:
    """The state and /healthz/ready say that the certificate is not given, and why; Envoy is not started."""

    async def act(agent: Agent, states: list[AgentState]) -> None:
        await agent.start()
        while not any("no certificate" in state.reason for state in states):
            agent._changed.clear()
            await agent._changed.wait()
        assert await agent.obstacle() == "no certificate for spiffe://cluster.local/ns/default/sa/sa: control plane unreachable"

    states = run(tmp_path / "pod", Pod(), act)
    assert states[0].reason == "starting" and states[-1].ended and not any(state.ready for state in states)


def test_taken_port_leaves_nothing_open(tmp_path: Path) -> None:
    """`start` fails with the port's error, and the sockets made before it are closed."""

    async def act(agent: Agent, _states: list[AgentState]) -> None:
        with pytest.raises(OSError, match="15053 is taken"):
            await agent.start()

    pod = Pod()
    pod.taken = {(socket.SOCK_STREAM, 15053)}
    run(tmp_path / "pod", pod, act)
    assert len(pod.made) == 2


def test_folder_too_deep_for_a_socket_is_told(tmp_path: Path) -> None:
    """A Unix socket's path has 107 bytes at most: the state says so, and waiting for readiness ends."""

    async def act(agent: Agent, _states: list[AgentState]) -> None:
        await agent.start()
        with pytest.raises(RuntimeError, match="too long for a Unix socket"):
            await agent.wait_ready()

    class Signing(Pod):
        async def sign(self, csr_pem: bytes, ttl: float) -> Sequence[bytes]:
            now = SystemClock().now()
            return Signer(SelfSignedRoot.create("t", now)).sign(csr_pem, Identity("t", "default", "sa"), 0, now)

    run(tmp_path / ("deep" * 30), Signing(), act)


def test_names_are_shown_as_they_are(tmp_path: Path) -> None:
    """/debug/ndsz lists the table's names and addresses."""

    async def act(agent: Agent, _states: list[AgentState]) -> None:
        assert agent.names() == b"{}"
        agent.set_name_table(NameTable.build([NameEntry(host="www.example.com", ips=("1.2.3.4",), registry="External")]))
        assert agent.names() == b'{"www.example.com.":["1.2.3.4"]}'

    run(tmp_path / "pod", Pod(), act)


def test_application_is_asked_only_what_the_pod_declares(tmp_path: Path) -> None:
    """A path that no probe has is 404, whatever it names."""

    async def act(agent: Agent, _states: list[AgentState]) -> None:
        status, body = await agent.probe("/app-health/x/../../admin", [])
        assert status == 404 and b"no probe" in body

    run(tmp_path / "pod", Pod(), act)
