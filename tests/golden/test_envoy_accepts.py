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
from lateen.serve.node import proxy_from_node
from lateen.testing.envoy import AcceptingEnvoy
from lateen.testing.golden import cases_in, compile_case
from lateen.testing.recorded import recorded_proxy_node, world_objects
from lateen.testing.world import MemoryWorld

pytestmark = [pytest.mark.envoy, pytest.mark.netns, pytest.mark.slow, pytest.mark.timeout(300)]


def refusals(named: dict[str, Snapshot]) -> dict[str, tuple[str, ...]]:
    """What Envoy says against each."""

    async def load_all() -> dict[str, tuple[str, ...]]:
        with TemporaryDirectory(prefix="lateen-") as folder:
            envoy = AcceptingEnvoy(Path(folder))
            await envoy.start()
            try:
                return {name: refused for name, snapshot in named.items() if (refused := await envoy.load(snapshot))}
            finally:
                await envoy.stop()

    return asyncio.run(load_all())


@pytest.fixture(scope="session", autouse=True)
def namespaces() -> None:
    """Skip where no network namespace can be made."""
    if subprocess.run(["unshare", "--net", "--map-root-user", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no network namespaces here")


def test_envoy_accepts_every_golden_case() -> None:
    """No refusal."""
    named = {case.name: compile_case(case)[1] for case in cases_in(Path(__file__).parent)}
    assert refusals(named) == {}


def test_envoy_accepts_what_recorded_proxies_are_sent(shared_cases: Path) -> None:
    """No refusal for any of the recorded scenarios' proxies."""
    folder = shared_cases / "istiod-xds"
    named: dict[str, Snapshot] = {}
    for proxies in sorted(folder.glob("*/proxies.json")):
        world = MemoryWorld()
        world.put_all(world_objects(yaml.safe_load((folder / "world.yaml").read_text())["services"]))
        world.load((proxies.parent / "config.yaml").read_bytes())
        for name, entry in json.loads(proxies.read_text()).items():
            node = json_format.ParseDict(recorded_proxy_node(entry), base_pb2.Node())
            named[f"{proxies.parent.name}/{name}"] = world.snapshot(proxy_from_node(node))
    assert refusals(named) == {}


def test_a_refusal_is_seen() -> None:
    """The check can fail: a listener without an address is told."""
    from envoy.config.listener.v3 import listener_pb2

    from lateen.xds.pack import pack
    from lateen.xds.resources import LISTENER

    broken = pack("broken", LISTENER, listener_pb2.Listener(name="broken"))
    assert list(refusals({"broken": {LISTENER: {"broken": broken}}})) == ["broken"]
