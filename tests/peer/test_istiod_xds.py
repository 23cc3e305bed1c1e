"""What a real istiod sent to the proxies of 17 scenarios, compared by meaning with what Lateen sends."""

import json
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from envoy.config.core.v3 import base_pb2
from google.protobuf import json_format

from lateen.serve.node import proxy_from_node
from lateen.testing.meaning import Accepted, accept, compare, normalise, read_accepted, report
from lateen.testing.messages import KINDS, parse, plain
from lateen.testing.recorded import recorded_proxy_node, world_objects
from lateen.testing.world import MemoryWorld

pytestmark = pytest.mark.copied_from("istio/istio", "recorded over ADS", "86c9f01fd735fb01d8192f5bcaf0d424afb7f14c")

_KINDS = ("clusters", "endpoints", "listeners", "routes")
_ACCEPTED = read_accepted(tomllib.loads((Path(__file__).parent / "accepted_differences.toml").read_text())["accepted"])
_SCENARIOS = 17
_NAMES = {"endpoints": "cluster_name"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per recorded proxy and type."""
    if "kind" not in metafunc.fixturenames:
        return
    folder = Path(metafunc.config.getoption("--cases")) / "istiod-xds"
    proxies = sorted((file.parent.name, file.stem) for file in folder.glob("*/*.json") if file.stem != "proxies")
    cases = [(*proxy, kind) for proxy in proxies for kind in _KINDS]
    metafunc.parametrize(("scenario", "proxy", "kind"), cases, ids=["/".join(case) for case in cases])


@cache
def built(folder: Path, scenario: str, proxy: str) -> dict[str, dict[str, Any]]:
    """Lateen's configuration, as plain data by kind and name."""
    world = MemoryWorld()
    world.put_all(world_objects(yaml.safe_load((folder / "world.yaml").read_text())["services"]))
    world.load((folder / scenario / "config.yaml").read_bytes(), source=f"{scenario}/config.yaml")
    later = {"Telemetry"}  # kinds of a later step
    unread = [one.message for one in world.problems if not (one.code == "unknown-kind" and one.kind in later)]
    assert not unread, unread
    node = base_pb2.Node()
    json_format.ParseDict(recorded_proxy_node(json.loads((folder / scenario / "proxies.json").read_text())[proxy]), node)
    messages = world.messages(proxy_from_node(node))
    return {kind: {name: plain(one) for name, one in named.items()} for kind, named in messages.items()}


@cache
def recorded(folder: Path, scenario: str, proxy: str) -> dict[str, dict[str, Any]]:
    """istiod's, in the same form."""
    raw = json.loads((folder / scenario / f"{proxy}.json").read_text())
    return {kind: {one[_NAMES.get(kind, "name")]: plain(parse(one, KINDS[kind])) for one in raw[kind]} for kind in _KINDS}


def reduced(side: str, kind: str, named: dict[str, Any], used: set[str]) -> Any:
    """Without what is accepted to differ."""
    return normalise(accept(named, side, _ACCEPTED, used, root=kind))


def test_configuration(cases_dir: Path, scenario: str, proxy: str, kind: str) -> None:
    """Equal in every field, but for the listed differences."""
    folder = cases_dir / "istiod-xds"
    used: set[str] = set()
    theirs = reduced("istiod", kind, recorded(folder, scenario, proxy)[kind], used)
    ours = reduced("lateen", kind, built(folder, scenario, proxy)[kind], used)
    differences = compare(theirs, ours)
    assert not differences, report(differences)


@pytest.mark.parametrize("accepted", [one for one in _ACCEPTED if one.side != "lateen"], ids=lambda one: one.id)
def test_accepted_difference_is_needed(cases_dir: Path, accepted: Accepted) -> None:
    """An entry that matches nothing that istiod sent is removed from the list."""
    folder = cases_dir / "istiod-xds"
    if len(list(folder.glob("*/proxies.json"))) < _SCENARIOS:
        pytest.skip(f"{folder} does not hold all {_SCENARIOS} scenarios")
    used: set[str] = set()
    for file in sorted(folder.glob("*/*.json")):
        if file.stem != "proxies" and accepted.id not in used:
            kind = accepted.where.partition("/")[0]
            accept(recorded(folder, file.parent.name, file.stem)[kind], "istiod", [accepted], used, root=kind)
    assert accepted.id in used
