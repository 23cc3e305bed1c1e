"""gRPC programs without a proxy: grpc's own client and servers, called by `xds:///`, follow the mesh's rules."""

import asyncio
import contextlib
import json
import math
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from lateen.ca.signer import SelfSignedRoot, Signer
from lateen.ca.spiffe import Identity
from lateen.local.tokens import Tokens
from lateen.model.mesh import Settings
from lateen.runtime.clock import SystemClock
from lateen.server.app import ControlPlane, Doors, Sources
from lateen.server.rootca import ControlPlaneIdentity
from lateen.testing.kubeapi import kube_api
from lateen.testing.mesh import free_port
from lateen.testing.standalone import GatewayFolder, Vouching, said

CLOCK = SystemClock()
PROGRAM = Path(__file__).with_name("grpc_program.py")
LATEEN = (sys.executable, "-m", "lateen.cli.main")
V1, V2 = "127.0.0.2", "127.0.0.3"
FULL = "xds:///echo.shop.svc.cluster.local:7070"
SPAN = 5  # standard deviations that a share may be off

ECHO = """
apiVersion: v1
kind: Service
metadata: {{name: echo, namespace: shop}}
spec: {{clusterIP: 10.96.0.9, selector: {{istio: edge}}, ports: [{{name: grpc, port: 7070, targetPort: {port}}}]}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: echo-v1, namespace: shop}}
spec: {{address: 127.0.0.2, labels: {{istio: edge, version: v1}}, serviceAccount: edge}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: echo-v2, namespace: shop}}
spec: {{address: 127.0.0.3, labels: {{istio: edge, version: v2}}, serviceAccount: edge}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: echo, namespace: shop}}
spec: {{host: echo, subsets: [{{name: v1, labels: {{version: v1}}}}, {{name: v2, labels: {{version: v2}}}}]}}
"""
ROUTES = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: echo, namespace: shop}}
spec:
  hosts: [echo]
  http:
    - match: [{{headers: {{group: {{exact: broken}}}}}}]
      fault: {{abort: {{grpcStatus: RESOURCE_EXHAUSTED, percentage: {{value: 100}}}}}}
      route: [{{destination: {{host: echo}}}}]
    - match: [{{headers: {{group: {{exact: slow}}}}}}]
      timeout: 0.2s
      fault: {{delay: {{fixedDelay: 10s, percentage: {{value: 100}}}}}}
      route: [{{destination: {{host: echo}}}}]
    - match: [{{headers: {{group: {{exact: testers}}}}}}]
      route: [{{destination: {{host: echo, subset: v2}}}}]
    - route:
        - {{destination: {{host: echo, subset: v1}}, weight: {v1}}}
        - {{destination: {{host: echo, subset: v2}}, weight: {v2}}}
"""
SECURED = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: all, namespace: shop}
spec: {mtls: {mode: STRICT}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: secured, namespace: shop}
spec: {host: echo, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: quiet, namespace: shop}
spec: {action: DENY, rules: [{to: [{operation: {paths: [/echo.Echo/Shout]}}]}]}
"""
CLAIMED = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: claimed, namespace: shop}
spec: {rules: [{from: [{source: {requestPrincipals: ["*"]}}]}]}
"""


class Place:
    """The folder that the programs' agent starts in, and a control plane for the objects of another folder."""

    def __init__(self, made: GatewayFolder, objects: Path, address: str, plaintext: str) -> None:
        self.folder = made.folder
        self.objects = objects
        self.address = address
        self.plaintext = plaintext

    def put(self, name: str, text: str) -> None:
        """An object's file, at once and whole."""
        fresh = self.objects.parent / name
        fresh.write_text(text)
        fresh.replace(self.objects / f"{name}.yaml")

    def environment(self, address: str) -> Mapping[str, str]:
        own = {"POD_NAME": "edge-1", "POD_NAMESPACE": "shop", "SERVICE_ACCOUNT": "edge", "INSTANCE_IP": address}
        settings = {"PROXY_CONFIG": f"{{discoveryAddress: '{self.address}'}}", "ISTIOD_SAN": "istiod.istio-system.svc"}
        return {**os.environ, **own, **settings, "GRPC_XDS_BOOTSTRAP": str(self.folder / f"{address}.json")}

    @contextlib.asynccontextmanager
    async def process(self, *argv: str, at: str = V1) -> AsyncIterator[Process]:
        running = await asyncio.create_subprocess_exec(
            *argv, cwd=self.folder, env=self.environment(at), stdin=PIPE, stdout=PIPE, stderr=PIPE if "agent" in argv else None
        )
        try:
            yield running
        finally:
            if running.returncode is None:
                running.terminate()
            await running.communicate()

    @contextlib.asynccontextmanager
    async def server(self, name: str, host: str, port: int) -> AsyncIterator[None]:
        async with self.process(sys.executable, str(PROGRAM), "server", name, f"{host}:{port}", at=host) as running:
            assert running.stdout is not None
            assert await running.stdout.readline() == b"serving\n"
            yield

    @contextlib.asynccontextmanager
    async def client(self, target: str) -> AsyncIterator["Client"]:
        async with self.process(sys.executable, str(PROGRAM), "client", target) as running:
            yield Client(running)


class Client:
    """A client that runs, with one channel."""

    def __init__(self, running: Process) -> None:
        self._running = running

    async def call(self, number: int, method: str = "Say", header: str = "") -> dict[str, int]:
        """What came, and how often."""
        assert self._running.stdin is not None
        assert self._running.stdout is not None
        self._running.stdin.write(f"{number} {method} {header}\n".encode())
        found: dict[str, int] = json.loads(await self._running.stdout.readline())
        return found

    async def until(self, expected: str, method: str = "Say") -> None:
        """Call until the answer begins so."""
        while not next(iter(await self.call(1, method))).startswith(expected):
            pass


@contextlib.asynccontextmanager
async def place(folder: Path, private: Path) -> AsyncIterator[Place]:
    """A control plane over a folder of objects, and an API that knows the programs' token."""
    tokens, signer = Tokens(private / "key.pem", CLOCK), Signer(SelfSignedRoot.create("cluster.local", CLOCK.now()))
    node: Any = Vouching(tokens)
    objects = private / "objects"
    objects.mkdir()
    async with asyncio.timeout(90), kube_api(private, node=node) as api:
        secure, plaintext = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
        identity = ControlPlaneIdentity(signer, Identity("cluster.local", "istio-system", "istiod"), CLOCK)
        doors = Doors(plaintext=plaintext, secure=secure, identity=identity, signer=signer)
        plane = ControlPlane(Sources(api.client, objects), Settings(), doors, CLOCK)
        await plane.start()
        try:
            made = GatewayFolder(folder, tokens)
            made.trust(signer.roots_pem)
            await made.give("istio-ca")
            yield Place(made, objects, secure, plaintext)
        finally:
            await plane.stop()


async def plaintext_bootstrap(made: Place) -> None:
    """As `lateen agent grpc --plaintext` writes it."""
    for address in (V1, V2):
        async with made.process(*LATEEN, "agent", "grpc", "--plaintext", made.plaintext, at=address) as running:
            assert await running.wait() == 0


def near(found: dict[str, int], name: str, share: float) -> bool:
    """Whether the share is as the weights say."""
    number = sum(found.values())
    off = abs(found.get(name, 0) - share * number)
    return off <= SPAN * math.sqrt(number * share * (1 - share))


def test_calls_are_shared_out_by_weights_and_follow_a_change(open_folder: Path, tmp_path: Path) -> None:
    """First to all endpoints in turn; by weights with a VirtualService; by other weights on the open channel once it is changed."""

    async def run() -> None:
        port = free_port()
        async with place(open_folder, tmp_path) as made:
            made.put("echo", ECHO.format(port=port))
            await plaintext_bootstrap(made)
            async with made.server("v1", V1, port), made.server("v2", V2, port):
                await check_shares(made)

    asyncio.run(run())


async def check_shares(made: Place) -> None:
    async with made.client(FULL) as full, made.client("xds:///echo:7070") as short:
        await full.until("v")
        assert near(await full.call(200), "v1", 0.5)
        made.put("routes", ROUTES.format(v1=80, v2=20))
        while await full.call(20, "Say", "testers") != {"v2": 20}:
            pass
        assert near(await full.call(500), "v1", 0.8)
        assert near(await short.call(200), "v1", 0.8)
        assert [code[:18] for code in await full.call(1, "Say", "broken")] == ["RESOURCE_EXHAUSTED"]
        assert [code[:17] for code in await full.call(1, "Say", "slow")] == ["DEADLINE_EXCEEDED"]
        made.put("routes", ROUTES.format(v1=0, v2=100))
        while await full.call(20) != {"v2": 20}:
            pass


def test_a_host_that_does_not_exist_is_unavailable_and_named(open_folder: Path, tmp_path: Path) -> None:
    """The error says which name; gRPC waits 15 seconds for one to come."""

    async def run() -> None:
        async with place(open_folder, tmp_path) as made:
            await plaintext_bootstrap(made)
            async with made.client("xds:///nowhere:7070") as client:
                (error,) = await client.call(1)
                assert error.startswith("UNAVAILABLE")
                assert "nowhere:7070: does not exist" in error

    asyncio.run(run())


def test_mutual_tls_and_authorization_with_an_agents_certificates(open_folder: Path, tmp_path: Path) -> None:
    """The server learns who calls; what a policy forbids is refused; a caller in the clear is not let in, nor one with a token."""

    async def run() -> None:
        port = free_port()
        async with place(open_folder, tmp_path) as made, made.process(*LATEEN, "agent", "grpc") as agent:
            made.put("echo", ECHO.format(port=port))
            made.put("secured", SECURED)
            assert agent.stderr is not None
            await said(agent.stderr, "ready")
            async with made.server("v1", V1, port):
                await check_security(made, f"{V1}:{port}")

    asyncio.run(run())


async def check_security(made: Place, server: str) -> None:
    async with made.client(FULL) as client, made.client(server) as stranger:
        await client.until("v1 spiffe://cluster.local/ns/shop/sa/edge")
        await client.until("PERMISSION_DENIED", "Shout")
        (error,) = await stranger.call(1)
        assert error.startswith("UNAVAILABLE")
        made.put("claimed", CLAIMED)
        await client.until("PERMISSION_DENIED")
