"""The control plane over a real API door, seen by an xDS client: first configuration, a change, a refusal told on its object."""

import asyncio
import base64
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import grpc
import httpx
from cryptography import x509
from envoy.config.core.v3 import base_pb2
from envoy.service.discovery.v3 import discovery_pb2 as pb
from prometheus_client.parser import text_string_to_metric_families

from lateen.ads.messages import CDS, EDS, LDS, RDS
from lateen.api.kinds import by_kind
from lateen.model.mesh import Settings
from lateen.runtime.clock import SystemClock
from lateen.server.app import ControlPlane, Doors, Sources
from lateen.testing.certificates import self_signed
from lateen.testing.kubeapi import RunningApi, kube_api
from lateen.xds.resources import SECRET

SERVICE: Any = by_kind("Service")
VS: Any = by_kind("VirtualService")
MONITORING = "monitoring.sock"
METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"


class XdsClient:
    """A delta client that acknowledges, or refuses, what it gets."""

    def __init__(self, channel: grpc.aio.Channel, node_id: str) -> None:
        call = channel.stream_stream(
            METHOD,
            request_serializer=pb.DeltaDiscoveryRequest.SerializeToString,
            response_deserializer=pb.DeltaDiscoveryResponse.FromString,
        )
        self.channel = channel
        self._stream: Any = call()
        self._node = base_pb2.Node(id=node_id)
        self._node.metadata["NAMESPACE"] = "default"
        self._node.metadata.get_or_create_struct("LABELS")["app"] = "client"

    async def ask(self, type_url: str, *names: str) -> None:
        await self._stream.write(pb.DeltaDiscoveryRequest(node=self._node, type_url=type_url, resource_names_subscribe=names))

    async def next(self, *, refuse: str = "", answer: bool = True) -> tuple[str, dict[str, bytes]]:
        """The next response: its type, resources by name; answered at once, or by `answer`."""
        response = await asyncio.wait_for(self._stream.read(), 10)
        self._answer = pb.DeltaDiscoveryRequest(type_url=response.type_url, response_nonce=response.nonce)
        if refuse:
            self._answer.error_detail.message = refuse
        if answer:
            await self.answer()
        return response.type_url, {one.name: one.resource.value for one in response.resources}

    async def answer(self) -> None:
        """Answer the last response."""
        await self._stream.write(self._answer)


Check = Callable[[RunningApi, XdsClient], Coroutine[Any, Any, None]]


def run(folder: Path, check: Check) -> None:
    """Serve an API with one Service, a control plane over it, and a client that holds everything."""

    async def main() -> None:
        async with kube_api(folder) as api:
            await api.client.create(SERVICE, service("web"))
            port = _free_port()
            plane = ControlPlane(
                Sources(api.client), Settings(), Doors(plaintext=f"127.0.0.1:{port}", monitoring_socket=folder / MONITORING), SystemClock()
            )
            await plane.start()
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                await check(api, XdsClient(channel, "sidecar~10.0.0.9~client-0.default~default.svc.cluster.local"))
            await plane.stop()

    asyncio.run(asyncio.wait_for(main(), 60))


def service(name: str) -> dict[str, Any]:
    """A Service with one HTTP port."""
    spec = {"ports": [{"name": "http", "port": 80}], "selector": {"app": name}}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "default"}, "spec": spec}


def route_to(host: str, subset: str) -> dict[str, Any]:
    """A VirtualService that sends all requests to a subset."""
    spec = {"hosts": [host], "http": [{"route": [{"destination": {"host": host, "subset": subset}}]}]}
    return {"apiVersion": VS.api_version, "kind": "VirtualService", "metadata": {"name": host, "namespace": "default"}, "spec": spec}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def settle(client: XdsClient) -> dict[str, dict[str, bytes]]:
    """Ask as Envoy does at its start and take every first answer."""
    held: dict[str, dict[str, bytes]] = {}
    await client.ask(CDS)
    held.update([await client.next()])
    await client.ask(EDS, "outbound|80||web.default.svc.cluster.local")
    held.update([await client.next()])
    await client.ask(LDS)
    held.update([await client.next()])
    await client.ask(RDS, "80")
    held.update([await client.next()])
    return held


def test_a_client_gets_the_mesh_and_then_what_changes(tmp_path: Path) -> None:
    """First the whole set; after a VirtualService is created, the route configuration alone."""

    async def check(api: RunningApi, client: XdsClient) -> None:
        held = await settle(client)
        assert "outbound|80||web.default.svc.cluster.local" in held[CDS]
        assert {"virtualInbound", "virtualOutbound", "0.0.0.0_80"} <= set(held[LDS])
        await api.client.create(VS, route_to("web", "v1"))
        type_url, resources = await client.next()
        assert type_url == RDS
        assert b"outbound|80|v1|web.default.svc.cluster.local" in resources["80"]

    run(tmp_path, check)


def test_a_refusal_is_told_on_the_object_and_taken_back_when_mended(tmp_path: Path) -> None:
    """Condition `Rejected` with the client's own words; gone once a change is accepted."""

    async def check(api: RunningApi, client: XdsClient) -> None:
        await settle(client)
        await api.client.create(VS, route_to("web", "v1"))
        await client.next(refuse="no such thing")
        refused = await until(_rejections(api), bool)
        assert refused[0]["status"] == "True"
        assert "no such thing" in refused[0]["message"]
        assert "client-0.default" in refused[0]["message"]
        await api.client.patch(VS, "web", route_to("web", "v2"), "default")
        await client.next()
        assert await until(_rejections(api), lambda found: not found) == []

    run(tmp_path, check)


def test_a_refused_object_gives_way_to_its_last_good_form(tmp_path: Path) -> None:
    """The client gets the form before; a new generation is tried, and the condition goes although the client refuses nothing more."""

    async def check(api: RunningApi, client: XdsClient) -> None:
        await settle(client)
        await api.client.create(VS, route_to("web", "v1"))
        await client.next()
        await api.client.patch(VS, "web", route_to("web", "bad"), "default")
        await client.next(refuse="no such thing")
        _, resources = await client.next()
        assert b"outbound|80|v1|web" in resources["80"]
        refused = await until(_rejections(api), bool)
        assert refused[0]["observedGeneration"] == 2
        await api.client.patch(VS, "web", route_to("web", "v3"), "default")
        _, resources = await client.next()
        assert b"outbound|80|v3|web" in resources["80"]
        assert await until(_rejections(api), lambda found: not found) == []

    run(tmp_path, check)


def test_programmed_counts_the_proxies_that_have_answered(tmp_path: Path) -> None:
    """1 of 2 while one has not answered, 2 of 2 then; a problem of the object is told beside it; the next generation starts anew."""

    async def check(api: RunningApi, client: XdsClient) -> None:
        slow = XdsClient(client.channel, "sidecar~10.0.0.8~client-1.default~default.svc.cluster.local")
        await settle(client)
        await settle(slow)
        await api.client.create(VS, route_to("web", "v1"))
        await client.next()
        await slow.next(answer=False)
        one = await until(_conditions(api, "Programmed"), lambda found: bool(found) and found[0]["message"].startswith("1 of 2 "))
        assert one[0]["status"] == "False"
        await slow.answer()
        done = await until(_conditions(api, "Programmed"), lambda found: found[0]["status"] == "True")
        assert (done[0]["message"], done[0]["observedGeneration"]) == ("2 of 2 proxies hold generation 1", 1)
        await api.client.patch(VS, "web", route_to("web", "v2"), "default")
        await client.next()
        await slow.next(refuse="no such thing")
        assert await until(_conditions(api, "Rejected"), bool)
        again = await until(_conditions(api, "Programmed"), lambda found: found[0]["observedGeneration"] == 2)
        assert again[0]["status"] == "False"

    run(tmp_path, check)


async def monitoring(api: RunningApi, path: str) -> httpx.Response:
    """What the control plane's monitoring door answers its owner."""
    transport = httpx.AsyncHTTPTransport(uds=str(api.socket.parent / MONITORING))
    async with httpx.AsyncClient(transport=transport, base_url="http://istiod", timeout=10) as client:
        return await client.get(path)


async def metrics(api: RunningApi) -> dict[str, float]:
    """Every sample, named as in the text."""
    text = (await monitoring(api, "/metrics")).text
    declared = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    found = {}
    for family in text_string_to_metric_families(text):
        for one in family.samples:
            short = one.name.removesuffix("_total")  # the library adds it to counters
            name = short if short in declared else one.name
            found["|".join((name, *(value for _, value in sorted(one.labels.items()))))] = one.value
    return found


def test_pushes_refusals_and_changes_are_counted_when_they_happen(tmp_path: Path) -> None:
    """Four pushes at the start; a change counts once, converges when it is answered, and a refusal counts for type and proxy."""

    async def check(api: RunningApi, client: XdsClient) -> None:
        await settle(client)
        await api.client.create(VS, route_to("web", "v1"))
        await client.next(refuse="no such thing")
        assert await until(_rejections(api), bool)
        found = await metrics(api)
        for kind, count in (("cds", 1), ("eds", 1), ("lds", 1)):
            assert (found[f"pilot_xds_pushes|{kind}"], found[f"pilot_xds_push_time_count|{kind}"]) == (count, count)
        assert found["pilot_xds_pushes|rds"] >= 2
        assert found["pilot_xds_send_time_count"] == sum(found[f"pilot_xds_pushes|{kind}"] for kind in ("cds", "eds", "lds", "rds"))
        assert found["pilot_k8s_cfg_events|add|VirtualService"] == 1
        assert found["pilot_k8s_reg_events|add|Services"] == 1
        assert found["pilot_total_xds_rejects|rds"] == 1
        assert found["pilot_xds_rds_reject|Internal|sidecar~10.0.0.9~client-0.default~default.svc.cluster.local"] == 1
        assert found["pilot_proxy_convergence_time_count"] >= 1
        assert (found["pilot_services"], found["pilot_xds|unknown"]) == (1, 1)
        assert (found["pilot_eds_no_instances"], found["pilot_no_ip"], found["pilot_total_xds_internal_errors"]) == (1, 1, 0)

    run(tmp_path, check)


def test_debug_pages_show_what_a_proxy_was_sent_and_has_taken(tmp_path: Path) -> None:
    """Sent and acked nonces, the refusal's words, the configuration in Envoy's own form, clients, services, objects."""

    async def check(api: RunningApi, client: XdsClient) -> None:
        await settle(client)
        (synced,) = (await monitoring(api, "/debug/syncz")).json()
        assert (synced["proxy_type"], synced["cluster_sent"], synced["listener_acked"]) == ("sidecar", "1", "1")
        await api.client.create(VS, route_to("web", "v1"))
        await client.next(refuse="no such thing")
        assert await until(_rejections(api), bool)
        (refused,) = (await monitoring(api, "/debug/syncz?namespace=default")).json()
        assert refused["route_acked"] == "1"
        assert refused["resources"][RDS]["lastError"] == "no such thing"
        assert (await monitoring(api, "/debug/syncz?namespace=other")).json() == []
        dump = (await monitoring(api, "/debug/config_dump?proxyID=client-0.default")).json()["configs"]
        by_type = {one["@type"].rpartition(".")[2]: one for one in dump}
        clusters = [one["cluster"]["name"] for one in by_type["ClustersConfigDump"]["dynamicActiveClusters"]]
        assert "outbound|80||web.default.svc.cluster.local" in clusters
        assert "virtualInbound" in [one["name"] for one in by_type["ListenersConfigDump"]["dynamicListeners"]]
        assert (await monitoring(api, "/debug/config_dump?proxyID=nobody")).status_code == 404
        clients = (await monitoring(api, "/debug/adsz")).json()
        assert (clients["totalClients"], clients["clients"][0]["labels"]) == (1, {"app": "client"})
        assert [one["hostname"] for one in (await monitoring(api, "/debug/registryz")).json()] == ["web.default.svc.cluster.local"]
        for name in (await monitoring(api, "/debug/list")).json():
            assert (await monitoring(api, f"/debug/{name}?proxyID=client-0.default")).status_code == 200, name

    run(tmp_path, check)


def test_a_spoilt_secret_is_served_as_it_was_after_a_restart(tmp_path: Path) -> None:
    """A gateway that starts after a restart of the control plane gets the last good form; the Gateway says what is wrong."""
    _, chain, key = self_signed(x509.DNSName("web"))
    servers = [
        {"port": {"number": 443, "name": "https", "protocol": "HTTPS"}, "hosts": ["*"], "tls": {"mode": "SIMPLE", "credentialName": "web"}}
    ]
    spec = {"selector": {"app": "client"}, "servers": servers}
    gateway = {"apiVersion": VS.api_version, "kind": "Gateway", "metadata": {"name": "in", "namespace": "default"}, "spec": spec}
    pair = {"tls.crt": base64.b64encode(chain).decode(), "tls.key": base64.b64encode(key).decode()}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "web", "namespace": "default"}, "data": pair}

    async def served(api: RunningApi, meanwhile: Callable[[], Coroutine[Any, Any, None]]) -> bytes:
        port = _free_port()
        doors = Doors(plaintext=f"127.0.0.1:{port}")
        plane = ControlPlane(Sources(api.client), Settings(), doors, SystemClock(), refused=tmp_path / "refused.json")
        await plane.start()
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                client = XdsClient(channel, "router~10.0.0.9~client-0.default~default.svc.cluster.local")
                await client.ask(SECRET, "kubernetes://web")
                _, found = await client.next()
                await meanwhile()
        finally:
            await plane.stop()
        return found["kubernetes://web"]

    async def main() -> None:
        async with kube_api(tmp_path) as api:

            async def spoil() -> None:
                await api.client.patch(by_kind("Secret"), "web", {"data": {"tls.key": ""}}, "default")  # type: ignore[arg-type]
                told = _conditions(api, "Accepted", "Gateway")
                await until(told, lambda found: bool(found) and "its last good form goes on being used" in found[0]["message"])

            async def nothing() -> None:
                pass

            await api.client.create(by_kind("Secret"), secret)  # type: ignore[arg-type]
            await api.client.create(by_kind("Gateway"), gateway)  # type: ignore[arg-type]
            before = await served(api, spoil)
            assert await served(api, nothing) == before

    asyncio.run(asyncio.wait_for(main(), 60))


async def until(states: AsyncIterator[list[dict[str, Any]]], done: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
    """The first state that is `done`."""

    async def wait() -> list[dict[str, Any]]:
        async for state in states:
            if done(state):
                return state
        raise AssertionError("the watch ended")

    return await asyncio.wait_for(wait(), 15)


def _rejections(api: RunningApi) -> AsyncIterator[list[dict[str, Any]]]:
    return _conditions(api, "Rejected")


async def _conditions(api: RunningApi, kind: str, of: str = "VirtualService") -> AsyncIterator[list[dict[str, Any]]]:
    info: Any = by_kind(of)
    async for event in api.client.watch(info, namespace="default"):
        status: Any = event.object.get("status") or {}
        yield [one for one in status.get("conditions", []) if one["type"] == kind]
