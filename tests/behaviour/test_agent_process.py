"""`lateen agent proxy` as a process of its own: a token in a file is all that it has, and a proxy with certificates comes of it."""

import asyncio
import contextlib
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from lateen.api.meta import ObjectMeta
from lateen.api.pods import Pod, PodSpec
from lateen.ca.signer import SelfSignedRoot, Signer
from lateen.ca.spiffe import Identity
from lateen.local.tokens import Tokens
from lateen.model.mesh import Settings
from lateen.runtime.clock import SystemClock
from lateen.serve.http_kube.node import TokenHolder
from lateen.server.app import ControlPlane, Doors, Sources
from lateen.server.rootca import ControlPlaneIdentity
from lateen.testing.kubeapi import kube_api
from lateen.testing.mesh import free_port

pytestmark = pytest.mark.envoy

CLOCK = SystemClock()
GATEWAY = Pod(metadata=ObjectMeta(name="edge-1", namespace="shop", uid="u"), spec=PodSpec(service_account_name="edge"))


class Vouching:
    """A node that knows whose tokens are, and nothing else."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    async def holder(self, token: str) -> TokenHolder:
        claims = self._tokens.claims(token)
        about = claims["kubernetes.io"]
        namespace, account, pod = about["namespace"], about["serviceaccount"]["name"], about["pod"]
        return TokenHolder(namespace=namespace, account=account, audiences=tuple(claims["aud"]), pod=pod["name"], uid=pod["uid"])


class Mesh(NamedTuple):
    """A running control plane, and the folder that the agent starts in."""

    plane: ControlPlane
    signer: Signer
    tokens: Tokens
    folder: Path
    address: str

    async def give(self, audience: str) -> None:
        """Put a token for that audience where Kubernetes would."""
        path = self.folder / "var/run/secrets/tokens/istio-token"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(await self.tokens(GATEWAY, audience, 600))

    @contextlib.asynccontextmanager
    async def agent(self, **extra: str) -> AsyncIterator[asyncio.StreamReader]:
        """The agent's process; what it says."""
        (self.folder / "var/run/secrets/istio").mkdir(parents=True)
        (self.folder / "var/run/secrets/istio/root-cert.pem").write_bytes(self.signer.roots_pem)
        numbers = f"proxyAdminPort: {free_port()}, statusPort: {free_port()}, terminationDrainDuration: 1s"
        own = {"POD_NAME": "edge-1", "POD_NAMESPACE": "shop", "SERVICE_ACCOUNT": "edge", "INSTANCE_IP": "127.0.0.1"}
        ports = {"ENVOY_STATUS_PORT": str(free_port()), "ENVOY_PROMETHEUS_PORT": str(free_port())}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "lateen.cli.main", "agent", "proxy", "router"),
            cwd=self.folder,
            env={
                **os.environ,
                **own,
                **ports,
                "PROXY_CONFIG": f"{{discoveryAddress: '{self.address}', {numbers}}}",
                "ISTIOD_SAN": "istiod.istio-system.svc",
                **extra,
            },
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stderr is not None
        try:
            yield process.stderr
        finally:
            process.terminate()
            await process.communicate()
        assert process.returncode == 0


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder below which the proxy's user reaches its own."""
    with tempfile.TemporaryDirectory(prefix="lateen-agent-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


@contextlib.asynccontextmanager
async def mesh(folder: Path, private: Path) -> AsyncIterator[Mesh]:
    tokens, signer = Tokens(private / "key.pem", CLOCK), Signer(SelfSignedRoot.create("cluster.local", CLOCK.now()))
    node: Any = Vouching(tokens)
    async with asyncio.timeout(30), kube_api(private, node=node) as api:
        address = f"127.0.0.1:{free_port()}"
        identity = ControlPlaneIdentity(signer, Identity("cluster.local", "istio-system", "istiod"), CLOCK)
        doors = Doors(plaintext="", secure=address, identity=identity, signer=signer)
        plane = ControlPlane(Sources(api.client), Settings(), doors, CLOCK)
        await plane.start()
        try:
            yield Mesh(plane, signer, tokens, folder, address)
        finally:
            await plane.stop()


async def said(log: asyncio.StreamReader, words: str) -> str:
    """The next line with these words."""
    async for line in log:
        sys.stdout.write(line.decode())  # shown where the test fails
        if words in line.decode():
            return line.decode()
    raise AssertionError(f"the agent ended before it said: {words}")


def test_a_token_in_a_file_becomes_a_proxy_with_certificates(folder: Path, tmp_path: Path) -> None:
    """Refused with a token for another audience, and says so; ready once the file holds one for ours, under the pod's own name."""

    async def run() -> None:
        async with mesh(folder, tmp_path) as made:
            await made.give("vault")
            async with made.agent() as log:
                assert "UNAUTHENTICATED" in await said(log, "not signed")
                await made.give("istio-ca")
                await said(log, "] ready")
                (proxy,) = made.plane.proxies()
                assert proxy.proxy.id == "router~127.0.0.1~edge-1.shop~shop.svc.cluster.local"

    asyncio.run(run())


def test_a_token_that_was_renewed_is_read_again(folder: Path, tmp_path: Path) -> None:
    """A renewal with a file that was spoilt is told while the certificate is good; with a new token it is renewed."""

    async def run() -> None:
        async with mesh(folder, tmp_path) as made:
            await made.give("istio-ca")
            async with made.agent(SECRET_TTL="8s") as log:
                await said(log, "] ready")
                await made.give("vault")
                assert "UNAUTHENTICATED" in await said(log, "the one in use ends at")
                await made.give("istio-ca")
                await said(log, "scope=agent warning=\n")

    asyncio.run(run())
