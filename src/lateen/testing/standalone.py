"""The control plane and a gateway's agent as processes of their own, beside an API in the test's loop; all of it on loopback.

Must not be used by the product.
"""

import asyncio
import http.client
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from lateen.api.meta import ObjectMeta
from lateen.api.pods import Pod, PodSpec
from lateen.ca.signer import Signer
from lateen.local.tokens import Tokens
from lateen.runtime.clock import SystemClock
from lateen.serve.http_kube.node import TokenHolder
from lateen.server.rootca import load_or_create_root
from lateen.testing.mesh import free_port
from lateen.testing.waiting import wait_until

__all__ = ["GATEWAY", "Discovery", "GatewayFolder", "Load", "Vouching", "gateway_process", "said"]

GATEWAY = Pod(metadata=ObjectMeta(name="edge-1", namespace="shop", uid="u"), spec=PodSpec(service_account_name="edge"))
_LATEEN = (sys.executable, "-m", "lateen.cli.main")


class Vouching:
    """A node that knows whose tokens are, and nothing else."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    async def holder(self, token: str) -> TokenHolder:
        claims = self._tokens.claims(token)
        about = claims["kubernetes.io"]
        namespace, account, pod = about["namespace"], about["serviceaccount"]["name"], about["pod"]
        return TokenHolder(namespace=namespace, account=account, audiences=tuple(claims["aud"]), pod=pod["name"], uid=pod["uid"])


class GatewayFolder:
    """The folder that a gateway's agent starts in, as a pod of Kubernetes has it."""

    def __init__(self, folder: Path, tokens: Tokens) -> None:
        self.folder = folder
        self._tokens = tokens
        self.admin = free_port()

    async def give(self, audience: str) -> None:
        """Put a token for that audience where Kubernetes would."""
        path = self.folder / "var/run/secrets/tokens/istio-token"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(await self._tokens(GATEWAY, audience, 600))

    def trust(self, roots_pem: bytes) -> None:
        """Put the authority's certificates where Kubernetes would, and the pod's labels."""
        for name, data in (("var/run/secrets/istio/root-cert.pem", roots_pem), ("etc/istio/pod/labels", b'istio="edge"\n')):
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_bytes(data)

    def counts(self, *names: str) -> dict[str, int]:
        """Statistics of its Envoy by name."""
        found: dict[str, int] = {}
        for line in _get(self.admin, f"/stats?filter=^({'|'.join(names)})$").splitlines():
            name, _, value = line.partition(": ")
            found[name] = int(value)
        return found


@asynccontextmanager
async def gateway_process(made: GatewayFolder, address: str, **extra: str) -> AsyncIterator[asyncio.StreamReader]:
    """The agent's process and its Envoy; what it says."""
    numbers = f"proxyAdminPort: {made.admin}, statusPort: {free_port()}, terminationDrainDuration: 1s"
    own = {"POD_NAME": "edge-1", "POD_NAMESPACE": "shop", "SERVICE_ACCOUNT": "edge", "INSTANCE_IP": "127.0.0.1"}
    ports = {"ENVOY_STATUS_PORT": str(free_port()), "ENVOY_PROMETHEUS_PORT": str(free_port())}
    settings = {"PROXY_CONFIG": f"{{discoveryAddress: '{address}', {numbers}}}", "ISTIOD_SAN": "istiod.istio-system.svc"}
    process = await asyncio.create_subprocess_exec(
        *(*_LATEEN, "agent", "proxy", "router"),
        cwd=made.folder,
        env={**os.environ, **own, **ports, **settings, **extra},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process.stderr or asyncio.StreamReader()
    finally:
        process.terminate()
        await process.communicate()
    if process.returncode != 0:
        raise AssertionError(f"the agent ended with code {process.returncode}")


async def said(log: asyncio.StreamReader, words: str) -> str:
    """The next line with these words; what comes before is printed, for a test that fails."""
    async for line in log:
        sys.stdout.write(line.decode())
        if words in line.decode():
            return line.decode()
    raise AssertionError(f"the agent ended before it said: {words}")


class Discovery:
    """`lateen discovery` with these arguments, in that data folder; it can go away and come back at the same address."""

    def __init__(self, data: Path, arguments: Sequence[str]) -> None:
        self.data = data
        self.address = f"127.0.0.1:{free_port()}"
        self._monitoring = free_port()
        self._arguments = [*arguments, "--secureGRPCAddr", self.address, "--monitoringAddr", f"127.0.0.1:{self._monitoring}"]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """What it has said, over all its lives."""
        return (self.data / "log").read_text()

    @property
    def roots_pem(self) -> bytes:
        """The certificate of its authority, which is made where it is not there yet."""
        return Signer(load_or_create_root(self.data / "ca", "cluster.local", SystemClock())).roots_pem

    def start(self) -> None:
        """Returns when it serves."""
        self.data.mkdir(exist_ok=True)
        with (self.data / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*_LATEEN, "discovery", *self._arguments], stderr=log, env={**os.environ, "LATEEN_DATA_DIR": str(self.data)}
            )
        wait_until(self._listens, seconds=30, what=f"the control plane listens at {self.address}")

    def _listens(self) -> bool:
        host, port = self.address.split(":")
        try:
            socket.create_connection((host, int(port)), 5).close()
        except OSError:
            return False
        return True

    def sent(self) -> int:
        """Bytes of discovery responses in this life, their frames (some 60 bytes each) included."""
        lines = _get(self._monitoring, "/metrics").splitlines()
        return sum(int(float(line.split()[-1])) for line in lines if line.startswith("pilot_xds_config_size_bytes_sum"))

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        """The process of this life."""
        if self._process is None:
            raise RuntimeError("start it first")
        return self._process

    def megabytes(self) -> int:
        """Its memory."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE") >> 20

    def kill(self) -> None:
        """End it at once, where it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


class Load:
    """Requests to that port, one after the other on connections of their own, until it is stopped."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._goes_on = True
        self.answers: list[str] = []
        self.failures: list[str] = []

    def stop(self) -> None:
        self._goes_on = False

    def run(self) -> None:
        """Blocks: for a thread."""
        while self._goes_on:
            try:
                self.answers.append(_get(self._port, "/"))
            except (http.client.HTTPException, OSError) as error:
                self.failures.append(repr(error))


def _get(port: int, path: str) -> str:
    """The body of an answer with status 200; http.client.HTTPException for others."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read().decode()
        if answer.status != 200:
            raise http.client.HTTPException(f"{answer.status}: {body}")
        return body
    finally:
        connection.close()
