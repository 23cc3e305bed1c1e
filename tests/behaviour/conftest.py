"""One mesh for all behaviour tests that need one: Bookinfo, the other samples, the gateway, and a namespace without sidecars.

It is started by the first test that asks for it and ended after the last; tests leave it as they found it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from lateen.samples.demo import MANIFESTS
from lateen.testing.liveenvoy import LiveEnvoy
from lateen.testing.mesh import Mesh, obstacles
from lateen.testing.yard import Server

PLAIN = Path(__file__).with_name("plain_namespace.yaml")
SAMPLES = (
    "bookinfo/networking/destination-rule-all.yaml",
    "bookinfo/networking/bookinfo-gateway.yaml",
    "bookinfo/platform/kube/bookinfo.yaml",
    "httpbin/httpbin.yaml",
    "curl/curl.yaml",
    "sleep/sleep.yaml",
    "tcp-echo/tcp-echo-services.yaml",
    "helloworld/helloworld.yaml",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share the mesh come last of all: those that start meshes of their own, or measure, are alone on the machine."""
    items.sort(key=lambda item: "mesh" in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def samples(shared_cases: Path) -> Path:
    """The folder of Istio's samples."""
    return shared_cases / "samples"


@pytest.fixture(scope="session")
def networking(samples: Path) -> Path:
    """The folder of Bookinfo's configuration files."""
    return samples / "bookinfo" / "networking"


@pytest.fixture(scope="session")
def possible() -> None:
    """A mesh needs what `lateen up` needs; where it is missing the test is skipped with preflight's own sentence."""
    if said := obstacles():
        pytest.skip(said)


@pytest.fixture(scope="session")
def mesh(possible: None, samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """A running mesh with the samples as they are."""
    running = Mesh(tmp_path_factory.mktemp("mesh"))
    try:
        running.up(MANIFESTS / "demo-namespace.yaml", *(samples / name for name in SAMPLES), PLAIN)
        yield running
    finally:
        running.down()


@contextmanager
def _live(zone: str = "") -> Iterator[LiveEnvoy]:
    with TemporaryDirectory(prefix="lateen-") as folder:
        envoy = LiveEnvoy(Path(folder), zone)
        envoy.start()
        try:
            envoy.serve(Server(port=8080), Server(port=9000, kind="tcp"), Server(port=53, kind="dns", answer="10.0.5.5"))
            yield envoy
        finally:
            envoy.stop()


@pytest.fixture(scope="session")
def sidecar(possible: None) -> Iterator[LiveEnvoy]:
    """One Envoy as a sidecar, alone with its clients and servers: HTTP at every address's 8080, bytes at 9000, names lead to 10.0.5.5."""
    with _live() as envoy:
        yield envoy


@pytest.fixture(scope="session")
def gateway(possible: None) -> Iterator[LiveEnvoy]:
    """The same as a gateway: no Envoy becomes a gateway that was a sidecar."""
    with _live() as envoy:
        yield envoy


@pytest.fixture
def zoned(possible: None) -> Iterator[LiveEnvoy]:
    """A sidecar in region1.zone1 that is told of its like."""
    with _live("region1.zone1") as envoy:
        yield envoy


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """An empty folder below which any user reaches its own: a proxy does not run as root."""
    with TemporaryDirectory(prefix="lateen-") as made:
        Path(made).chmod(0o755)
        yield Path(made)
