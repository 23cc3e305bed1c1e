"""`lateen agent proxy` as a process of its own: a token in a file is all that it has, and a proxy with certificates comes of it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from lateen.ca.signer import SelfSignedRoot, Signer
from lateen.ca.spiffe import Identity
from lateen.local.tokens import Tokens
from lateen.model.mesh import Settings
from lateen.runtime.clock import SystemClock
from lateen.server.app import ControlPlane, Doors, Sources
from lateen.server.rootca import ControlPlaneIdentity
from lateen.testing.kubeapi import kube_api
from lateen.testing.mesh import free_port
from lateen.testing.standalone import GatewayFolder, Vouching, gateway_process, said

pytestmark = pytest.mark.envoy

CLOCK = SystemClock()


class Mesh(NamedTuple):
    """A running control plane, and the folder that the agent starts in."""

    plane: ControlPlane
    gateway: GatewayFolder
    address: str


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
            gateway = GatewayFolder(folder, tokens)
            gateway.trust(signer.roots_pem)
            yield Mesh(plane, gateway, address)
        finally:
            await plane.stop()


def test_a_token_in_a_file_becomes_a_proxy_with_certificates(open_folder: Path, tmp_path: Path) -> None:
    """Refused with a token for another audience, and says so; ready once the file holds one for ours, under the pod's own name."""

    async def run() -> None:
        async with mesh(open_folder, tmp_path) as made:
            await made.gateway.give("vault")
            async with gateway_process(made.gateway, made.address) as log:
                assert "UNAUTHENTICATED" in await said(log, "not signed")
                await made.gateway.give("istio-ca")
                await said(log, "] ready")
                (proxy,) = made.plane.proxies()
                assert proxy.proxy.id == "router~127.0.0.1~edge-1.shop~shop.svc.cluster.local"

    asyncio.run(run())


def test_a_token_that_was_renewed_is_read_again(open_folder: Path, tmp_path: Path) -> None:
    """A renewal with a file that was spoilt is told while the certificate is good; with a new token it is renewed."""

    async def run() -> None:
        async with mesh(open_folder, tmp_path) as made:
            await made.gateway.give("istio-ca")
            async with gateway_process(made.gateway, made.address, SECRET_TTL="8s") as log:
                await said(log, "] ready")
                await made.gateway.give("vault")
                assert "UNAUTHENTICATED" in await said(log, "the one in use ends at")
                await made.gateway.give("istio-ca")
                await said(log, "scope=agent warning=\n")

    asyncio.run(run())
