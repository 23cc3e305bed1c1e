"""Istio's simulated calls on a real Envoy: it does what our look-up says it would.

One Envoy of each kind is given one case's configuration after the other. What only the look-up tells apart stays there: names of
virtual hosts, a client's certificate where the server does not ask for one, and IPv6, as listeners are of IPv4.
"""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml

from lateen.api.decode import decode_message
from lateen.api.meshconfig import MeshConfig
from lateen.model.mesh import Settings
from lateen.model.scope import Proxy
from lateen.simulate.call import Call, Outcome, Refusal
from lateen.simulate.lookup import Configuration, look_up
from lateen.testing.certificates import secret_objects
from lateen.testing.liveenvoy import LiveEnvoy, Seen, logging_to
from lateen.testing.world import MemoryWorld
from lateen.testing.yard import Dial, Tls
from lateen.util.selectors import canonical

pytestmark = [pytest.mark.envoy, pytest.mark.netns, pytest.mark.slow]

_NAMES = {
    "port": "port",
    "address": "address",
    "callMode": "mode",
    "protocol": "protocol",
    "tls": "tls",
    "sni": "server_name",
    "alpn": "offered",
    "hostHeader": "host",
    "path": "path",
    "mtlsSecretConfigName": "own_secret",
}
_REDIRECTS = {"outbound": 15001, "inbound": 15006, "gateway": 0}


@pytest.fixture(scope="module")
def envoys(possible: None) -> Iterator[dict[str, LiveEnvoy]]:
    """A sidecar and a gateway; no Envoy becomes a gateway that was a sidecar."""
    with TemporaryDirectory(prefix="lateen-") as sidecar, TemporaryDirectory(prefix="lateen-") as gateway:
        running = {"sidecar": LiveEnvoy(Path(sidecar)), "router": LiveEnvoy(Path(gateway))}
        for envoy in running.values():
            envoy.start()
        try:
            yield running
        finally:
            for envoy in running.values():
                envoy.stop()


def calls_of(case: dict[str, Any]) -> list[Call]:
    """The case's calls that are not skipped upstream and can be made here; headers do not count."""
    raw = [one["call"] for one in case["calls"] if "skip" not in one and ":" not in one["call"].get("address", "")]
    return [Call(with_headers=False, **{_NAMES[key]: value for key, value in one.items() if key in _NAMES}) for one in raw]


def dial_of(call: Call, kind: str, certificate: str) -> Dial:
    """The call as a client makes it."""
    alpn = tuple(filter(None, (call.alpn,)))
    tls = Tls(name=call.sni, alpn=alpn, certificate=certificate if call.tls == "mtls" else "") if call.tls != "plaintext" else None
    return Dial(
        port=call.port,
        address=call.address,
        redirect=_REDIRECTS[call.mode] if kind == "sidecar" else 0,
        protocol=call.protocol,
        tls=tls,
        host=call.host or "none",
        target=call.path,
    )


def agrees(call: Call, outcome: Outcome, seen: Seen, clusters: frozenset[str]) -> bool:
    """Whether the Envoy did what the look-up says."""
    heard, log = seen.heard, seen.log
    match outcome.refusal:
        case Refusal.NO_VIRTUAL_HOST | Refusal.NO_ROUTE:
            return heard.status == 404 and log is not None and log.flags == "NR"
        case Refusal.TLS_REDIRECT:
            return heard.status == 301
        case Refusal.PROTOCOL:
            return bool(heard.error) or heard.body.startswith("HTTP/1.1 400")
        case Refusal.NO_LISTENER | Refusal.NO_FILTER_CHAIN:
            return bool(heard.error) and log is None
        case Refusal():
            return bool(heard.error) or outcome.certificate is None or not outcome.certificate.client_required
    if log is None or (log.chain, log.route) != (outcome.chain, outcome.route):
        return False
    if outcome.status:
        return heard.status == outcome.status
    wanted = {name for name, _ in outcome.clusters}
    return log.cluster in wanted if wanted & clusters else "NC" in log.flags


def wrong(file: Path, envoys: dict[str, LiveEnvoy]) -> list[str]:
    """The calls of a case that the Envoy treats otherwise."""
    case = yaml.safe_load(file.read_text())
    mesh, problems = decode_message(yaml.safe_dump(case.get("meshConfig") or {}).encode(), MeshConfig, "meshConfig")
    assert not problems
    kind, raw = case["proxy"]["type"], case["proxy"]
    envoy = envoys[kind]
    world = MemoryWorld(Settings(domain=""), logging_to(envoy.folder, mesh))
    world.load(case["config"])
    world.load(case.get("kubeConfig") or "")
    proxy = Proxy(
        id="case",
        kind=kind,
        namespace=raw["metadata"].get("NAMESPACE", raw["namespace"]),
        name="app",
        addresses=tuple(raw["ipAddresses"]),
        labels=canonical(raw["labels"]),
        dns_capture=bool(raw["metadata"].get("DNS_CAPTURE")),
    )
    world.put_all(secret_objects(world.messages(proxy)["listeners"], proxy.namespace))
    messages: Any = world.messages(proxy)
    envoy.hold(world.snapshot(proxy))
    calls = calls_of(case)
    found = envoy.call(*(dial_of(call, kind, envoy.certificate) for call in calls), together=True)
    known = frozenset(messages["clusters"])
    outcomes = [look_up(Configuration(messages["listeners"], messages["routes"]), call) for call in calls]
    return [
        f"{file.stem}: {call}\n  look-up: {outcome}\n  Envoy: {seen}"
        for call, outcome, seen in zip(calls, outcomes, found, strict=True)
        if not agrees(call, outcome, seen, known)
    ]


def test_envoy_does_what_the_look_up_says(shared_cases: Path, envoys: dict[str, LiveEnvoy]) -> None:
    """Every call of every case that Envoy can be given: the same cluster, chain and route, or the same refusal."""
    files = sorted((shared_cases / "simulation").glob("*/*.yaml"))
    cases = [file for file in files if "kind: calls" in (text := file.read_text()) and "skipXdsValidation: true" not in text]
    differing = [line for file in cases if "internalConfig:" not in file.read_text() for line in wrong(file, envoys)]
    assert not differing, "\n".join(differing)
