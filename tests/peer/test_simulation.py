"""Istio's simulated calls: what the generated configuration of one proxy would do with them."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf.message import Message

from lateen.api.decode import decode_message
from lateen.api.meshconfig import MeshConfig
from lateen.model.mesh import Settings
from lateen.model.scope import Proxy
from lateen.simulate.call import Call, Certificate, Outcome
from lateen.simulate.lookup import Configuration, look_up
from lateen.simulate.requests import targets_of
from lateen.testing.messages import plain
from lateen.testing.world import MemoryWorld
from lateen.util.selectors import canonical

pytestmark = pytest.mark.copied_from("istio/istio", "pilot/pkg/networking/core", "see shared/cases/simulation/SOURCE.md")

_NAMES = {"listener": "listener", "filterChain": "chain", "routeConfig": "route_config", "virtualHost": "virtual_host", "route": "route"}

Messages = dict[str, dict[str, Any]]


@cache
def read_case(file: Path) -> dict[str, Any]:
    """One file's case."""
    case: dict[str, Any] = yaml.safe_load(file.read_text())
    return case


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per call; one per case of the other kinds."""
    folder = Path(metafunc.config.getoption("--cases")) / "simulation"
    index = json.loads((folder / "index.json").read_text()) if (folder / "index.json").exists() else []
    kinds = {"call_number": "calls", "routes_file": "routes", "clusters_file": "inboundClusters", "shape_file": "listenerShape"}
    for argument, kind in kinds.items():
        if argument not in metafunc.fixturenames:
            continue
        files = [folder / one["file"] for one in index if one["kind"] == kind]
        labels = [f"{file.parent.name}/{file.stem}" for file in files]
        if kind == "calls":
            calls = [
                (file, label, number) for file, label in zip(files, labels, strict=True) for number in range(len(read_case(file)["calls"]))
            ]
            ids = [f"{label}#{number}-{read_case(file)['calls'][number]['name']}" for file, label, number in calls]
            metafunc.parametrize(("calls_file", argument), [(file, number) for file, _, number in calls], ids=ids)
        else:
            metafunc.parametrize(argument, files, ids=labels)


@cache
def built(file: Path) -> Messages:
    """What the case's proxy would be sent."""
    case = read_case(file)
    mesh, problems = decode_message(yaml.safe_dump(case.get("meshConfig") or {}).encode(), MeshConfig, "meshConfig")
    assert not problems, problems
    world = MemoryWorld(Settings(domain=""), mesh)
    world.load(case["config"], source="config")
    world.load(case.get("kubeConfig") or "", source="kubeConfig")
    unread = [one.message for one in world.problems if one.code == "unknown-kind"]
    assert not unread, unread
    return world.messages(proxy_of(case))


def proxy_of(case: dict[str, Any]) -> Proxy:
    """The case's proxy."""
    proxy = case["proxy"]
    return Proxy(
        id="case",
        kind=proxy["type"],
        namespace=proxy["metadata"].get("NAMESPACE", proxy["namespace"]),
        name="app",
        addresses=tuple(proxy["ipAddresses"]),
        labels=canonical(proxy["labels"]),
        dns_capture=bool(proxy["metadata"].get("DNS_CAPTURE")),
    )


def call_of(raw: dict[str, Any]) -> Call:
    """The case's call; headers do not count in these cases."""
    names = {
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
    return Call(with_headers=False, **{names[key]: value for key, value in raw.items() if key in names})


def outcome_of(messages: Messages, call: Call) -> Outcome:
    """What becomes of it."""
    return look_up(Configuration(messages["listeners"], messages["routes"]), call)


def expected_names(expect: dict[str, Any]) -> dict[str, str]:
    """The names that are checked: those given, with `strict` all."""
    keys = [*_NAMES, "cluster"] if expect.get("strict") else [key for key in (*_NAMES, "cluster") if key in expect]
    return {key: expect.get(key) or "" for key in keys}


def test_call(cases_dir: Path, calls_file: Path, call_number: int) -> None:
    """It reaches what Istio's would reach, or is refused for the same reason."""
    case = read_case(calls_file)["calls"][call_number]
    if "skip" in case:
        pytest.skip(f"upstream: {case['skip']}")
    messages = built(calls_file)
    outcome = outcome_of(messages, call_of(case["call"]))
    expect = case["expect"]
    assert (outcome.refusal, outcome) == (expect["error"], outcome)
    wanted = expected_names(expect)
    found = {key: getattr(outcome, _NAMES.get(key, key)) for key in wanted}
    assert found == wanted, outcome
    shown = case["call"].get("checkFilterChainTLS")
    if shown is not None:
        assert outcome.certificate == Certificate(shown["tlsCertificateSdsSecretName"], shown["requireClientCertificate"])


def test_routes(cases_dir: Path, routes_file: Path) -> None:
    """Each listed domain leads to these clusters, in order; a domain without clusters is nowhere."""
    case = read_case(routes_file)
    configuration = built(routes_file)["routes"].get(case["routeConfig"])
    if case["expectVirtualHosts"] is None:
        return
    assert configuration is not None
    found = {
        domain: [cluster for route in host.routes for cluster, _ in targets_of(route)]
        for host in configuration.virtual_hosts
        for domain in host.domains
    }
    wanted = case["expectVirtualHosts"]
    assert {domain: found.get(domain) for domain in wanted} == wanted


def test_inbound_clusters(cases_dir: Path, clusters_file: Path) -> None:
    """Exactly these, with these endpoints; a call on the port reaches each."""
    messages = built(clusters_file)
    wanted = read_case(clusters_file)["expectInboundClusters"]
    found = {name: endpoints_of(one) for name, one in messages["clusters"].items() if name.startswith("inbound")}
    assert found == wanted
    for name in wanted:
        call = Call(address="1.2.3.4", port=int(name.split("|")[1]), mode="inbound", with_headers=False)
        assert outcome_of(messages, call).cluster == name


def endpoints_of(cluster: Message) -> list[str] | None:
    """Address and port, or the path of a socket."""
    places = plain(cluster).get("load_assignment", {}).get("endpoints", [])
    addresses = [one["endpoint"]["address"] for place in places for one in place["lb_endpoints"]]
    return [_address(one) for one in addresses] or None


def _address(address: dict[str, Any]) -> str:
    if "pipe" in address:
        return str(address["pipe"]["path"])
    return f"{address['socket_address']['address']}:{address['socket_address']['port_value']}"


def test_listener_shape(cases_dir: Path, shape_file: Path) -> None:
    """The first chain's certificate comes under this name over gRPC from this cluster."""
    wanted = read_case(shape_file)["expectListener"]
    listener = plain(built(shape_file)["listeners"][wanted["name"]])
    context = listener["filter_chains"][0]["transport_socket"]["typed_config"]["common_tls_context"]
    secret = context["tls_certificate_sds_secret_configs"][0]
    service = secret["sds_config"]["api_config_source"]["grpc_services"][0]
    shape = wanted["filterChain0"]
    assert (secret["name"], service["envoy_grpc"]["cluster_name"]) == (shape["tlsCertificateSdsSecretName"], shape["sdsGrpcClusterName"])
