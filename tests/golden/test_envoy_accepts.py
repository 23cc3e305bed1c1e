"""A real Envoy accepts the configuration of every golden case and of every recorded proxy, one after another over ADS."""

import asyncio
import json
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml
from envoy.config.core.v3 import base_pb2
from google.protobuf import json_format

from lateen.model.frame import Snapshot
from lateen.model.scope import Proxy
from lateen.serve.node import proxy_from_node
from lateen.testing.envoy import AcceptingEnvoy
from lateen.testing.golden import cases_in, compile_case
from lateen.testing.recorded import recorded_proxy_node, world_objects
from lateen.testing.world import MemoryWorld

pytestmark = [pytest.mark.envoy, pytest.mark.netns, pytest.mark.slow, pytest.mark.timeout(300)]


Named = dict[str, Snapshot]

_SIDECAR = Proxy(
    id="sidecar",
    kind="sidecar",
    namespace="default",
    name="productpage-v1-0",
    addresses=("10.20.0.1",),
    labels=(("app", "productpage"), ("version", "v1")),
)
_GATEWAY = Proxy(
    id="gateway",
    kind="router",
    namespace="istio-system",
    name="istio-ingressgateway-v1-0",
    addresses=("10.20.0.17",),
    labels=(("app", "istio-ingressgateway"), ("istio", "ingressgateway")),
)


def refusals(*groups: Named) -> dict[str, tuple[str, ...]]:
    """What Envoy says against each. A group is one Envoy's: no Envoy becomes a gateway that was a sidecar.

    (It would crash: Envoy 1.40.0 faults when a listener of one name and address is replaced by one that differs in `bind_to_port`.)
    """

    async def load_all(named: Named) -> dict[str, tuple[str, ...]]:
        with TemporaryDirectory(prefix="lateen-") as folder:
            envoy = AcceptingEnvoy(Path(folder))
            await envoy.start()
            try:
                return {name: refused for name, snapshot in named.items() if (refused := await envoy.load(snapshot))}
            finally:
                await envoy.stop()

    return {name: refused for named in groups if named for name, refused in asyncio.run(load_all(named)).items()}


def split(named: dict[str, tuple[str, Snapshot]]) -> tuple[Named, Named]:
    """Sidecars and gateways."""
    sidecars = {name: snapshot for name, (kind, snapshot) in named.items() if kind == "sidecar"}
    return sidecars, {name: snapshot for name, (kind, snapshot) in named.items() if kind != "sidecar"}


@pytest.fixture(scope="session", autouse=True)
def namespaces() -> None:
    """Skip where no network namespace can be made."""
    if subprocess.run(["unshare", "--net", "--map-root-user", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no network namespaces here")


def test_envoy_accepts_every_golden_case() -> None:
    """No refusal. What gRPC without a proxy is sent is no Envoy's (`tests/behaviour/test_proxyless_grpc.py`)."""
    compiled = {case.name: compile_case(case) for case in cases_in(Path(__file__).parent)}
    named = {name: (who.role, snapshot) for name, (who, snapshot) in compiled.items() if who.role != "grpc"}
    assert refusals(*split(named)) == {}


def test_envoy_accepts_what_recorded_proxies_are_sent(shared_cases: Path) -> None:
    """No refusal for any of the recorded scenarios' proxies."""
    folder = shared_cases / "istiod-xds"
    named: dict[str, tuple[str, Snapshot]] = {}
    for proxies in sorted(folder.glob("*/proxies.json")):
        world = MemoryWorld()
        world.put_all(world_objects(yaml.safe_load((folder / "world.yaml").read_text())["services"]))
        world.load((proxies.parent / "config.yaml").read_bytes())
        for name, entry in json.loads(proxies.read_text()).items():
            node = json_format.ParseDict(recorded_proxy_node(entry), base_pb2.Node())
            proxy = proxy_from_node(node)
            named[f"{proxies.parent.name}/{name}"] = proxy.kind, world.snapshot(proxy)
    assert refusals(*split(named)) == {}


def test_envoy_accepts_what_samples_and_simulated_cases_lead_to(shared_cases: Path) -> None:
    """No refusal by a sidecar or a gateway of the recorded world with a sample, or the objects of a simulated case, added."""
    services = yaml.safe_load((shared_cases / "istiod-xds" / "world.yaml").read_text())["services"]
    texts = {file: file.read_text() for file in sorted((shared_cases / "samples").rglob("*.yaml"))}
    for file in sorted((shared_cases / "simulation").glob("*/*.yaml")):
        case = yaml.safe_load(file.read_text())
        texts[file] = f"{case['config'] or ''}\n---\n{case.get('kubeConfig') or ''}"
    named: dict[str, tuple[str, Snapshot]] = {}
    for file, text in texts.items():
        world = MemoryWorld()
        world.put_all(world_objects(services))
        world.load(text)
        for proxy in (_SIDECAR, _GATEWAY):
            named[f"{file.relative_to(shared_cases)} {proxy.kind}"] = proxy.kind, world.snapshot(proxy)
    assert refusals(*split(named)) == {}


def test_a_refusal_is_seen() -> None:
    """The check can fail: a listener without an address is told."""
    from envoy.config.listener.v3 import listener_pb2

    from lateen.xds.pack import pack
    from lateen.xds.resources import LISTENER

    broken = pack("broken", LISTENER, listener_pb2.Listener(name="broken"))
    assert list(refusals({"broken": {LISTENER: {"broken": broken}}})) == ["broken"]
