"""Which versions of TLS a sidecar takes inside the mesh."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from lateen.api.meshconfig import MeshConfig, TLSConfig
from lateen.model.scope import Proxy
from lateen.testing.liveenvoy import LiveEnvoy
from lateen.testing.world import MemoryWorld
from lateen.testing.yard import Dial, Server, Tls

pytestmark = [pytest.mark.envoy, pytest.mark.netns, pytest.mark.slow]

VERSIONS = ("TLSv1_1", "TLSv1_2", "TLSv1_3")


@pytest.fixture(scope="module")
def envoy(possible: None) -> Iterator[LiveEnvoy]:
    """A sidecar before an echo server."""
    with TemporaryDirectory(prefix="lateen-") as folder:
        running = LiveEnvoy(Path(folder))
        running.start()
        try:
            running.serve(Server(port=9000, kind="tcp"))
            yield running
        finally:
            running.stop()


@pytest.mark.parametrize(("least", "taken"), [("TLS_AUTO", VERSIONS[1:]), ("TLSV1_2", VERSIONS[1:]), ("TLSV1_3", VERSIONS[2:])])
def test_old_versions_are_refused(envoy: LiveEnvoy, least: str, taken: tuple[str, ...]) -> None:
    """TLS 1.2 is the oldest; `meshMTLS.minProtocolVersion` leaves 1.3 alone."""
    world = MemoryWorld(mesh=MeshConfig(mesh_mtls=TLSConfig(min_protocol_version=least)))  # type: ignore[arg-type]  # one of its names
    envoy.hold(world.snapshot(Proxy(id="p", kind="sidecar", namespace="default", name="p", addresses=("10.0.0.9",), labels=())))
    certificate = envoy.certificate

    def dial(version: str) -> Dial:
        tls = Tls(alpn=("istio",), certificate=certificate, newest=version)
        return Dial(address="10.0.0.9", port=9000, redirect=15006, protocol="tcp", tls=tls)

    heard = dict(zip(VERSIONS, envoy.ask(*map(dial, VERSIONS)), strict=True))
    assert tuple(version for version, one in heard.items() if "hello" in one.body) == taken, heard
