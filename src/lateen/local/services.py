"""Services for pods without a sidecar: their names, and the way from a service's address to one of its pods.

Why: a mesh's own pods have both from their sidecar; the others would know no service, and nobody could try what a policy says to
callers from outside. Names are answered at the node's address on the bridge; addresses are rewritten inside each such pod, so the
caller's own address is what the other side sees. Must not touch a pod that has a sidecar.
"""

import asyncio
import os
import socket
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from lateen.dns.table import Client, NameEntry, NameTable
from lateen.kube.records import JsonObject, dicts, section
from lateen.local.informer import Informer, Name, name_of
from lateen.local.namespaces import NetNS
from lateen.local.spawner import SpawnError, User
from lateen.runtime import log, tasks
from lateen.runtime.clock import Clock
from lateen.serve.udp_dns import DnsServer
from lateen.sources.kubeclient import KubeClient

__all__ = ["Forwarding", "ServiceNetwork", "forwardings", "name_entries", "render"]

_SERVICE_LABEL = "kubernetes.io/service-name"
_DOMAIN = "svc.cluster.local"
_QUIET_SECONDS = 0.1
_ADMIN = User(uid=0, gid=0, capabilities=("NET_ADMIN", "NET_RAW"))
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_log = log.get("services")


class Forwarding(NamedTuple):
    """Connections to this address and port go to one of the pods, in equal shares."""

    address: str
    port: int
    protocol: str
    pods: tuple[tuple[str, int], ...]


def _by_service(slices: Iterable[JsonObject]) -> Mapping[Name, list[JsonObject]]:
    found: dict[Name, list[JsonObject]] = {}
    for each in slices:
        service = section(section(each, "metadata"), "labels").get(_SERVICE_LABEL)
        if service:
            found.setdefault(Name(name_of(each).namespace, str(service)), []).append(each)
    return found


def _ready(one: JsonObject) -> list[str]:
    endpoints = [each for each in dicts(one.get("endpoints")) if section(each, "conditions").get("ready") is not False]
    return [str(addresses[0]) for each in endpoints if isinstance(addresses := each.get("addresses"), list) and addresses]


def forwardings(services: Iterable[JsonObject], slices: Iterable[JsonObject]) -> tuple[Forwarding, ...]:
    """What each service's address and ports lead to."""
    by_service = _by_service(slices)
    found = []
    for service in services:
        spec = section(service, "spec")
        address = spec.get("clusterIP")
        if not address or address == "None":
            continue
        for port in dicts(spec.get("ports")):
            pods = tuple(sorted(_pods(by_service.get(name_of(service), []), port)))
            protocol = str(port.get("protocol", "TCP")).lower()
            if pods and isinstance(number := port.get("port"), int) and protocol in ("tcp", "udp"):
                found.append(Forwarding(str(address), number, protocol, pods))
    return tuple(sorted(found))


def _pods(slices: Iterable[JsonObject], port: JsonObject) -> Iterable[tuple[str, int]]:
    for one in slices:
        for each in dicts(one.get("ports")):
            if each.get("name", "") == port.get("name", "") and isinstance(number := each.get("port"), int):
                yield from ((address, number) for address in _ready(one))


def name_entries(services: Iterable[JsonObject], slices: Iterable[JsonObject]) -> tuple[NameEntry, ...]:
    """The services' names; a headless one has its ready pods' addresses."""
    by_service = _by_service(slices)
    found = []
    for service in services:
        name, spec = name_of(service), section(service, "spec")
        address = str(spec.get("clusterIP") or "")
        ips = (address,) if address != "None" else tuple(sorted({ip for one in by_service.get(name, []) for ip in _ready(one)}))
        if ips and ips[0]:
            host = f"{name.name}.{name.namespace}.{_DOMAIN}"
            found.append(NameEntry(host=host, ips=ips, namespace=name.namespace, shortname=name.name))
    return tuple(found)


def render(wanted: Iterable[Forwarding], tool: str) -> str:
    """The input of `nft -f` or of `iptables-restore`: each pod of a service gets its share of new connections."""
    nft = tool.rpartition("/")[2] == "nft"
    lines = []
    for each in wanted:
        for index, (address, port) in enumerate(each.pods):
            left = len(each.pods) - index
            if nft:
                share = f"numgen random mod {left} == 0 " if left > 1 else ""
                lines.append(f"  ip daddr {each.address} {each.protocol} dport {each.port} {share}dnat to {address}:{port}")
            else:
                share = f"-m statistic --mode random --probability {1 / left:.6f} " if left > 1 else ""
                match = f"-A OUTPUT -d {each.address}/32 -p {each.protocol} --dport {each.port}"
                lines.append(f"{match} {share}-j DNAT --to-destination {address}:{port}")
    if not nft:
        return "\n".join(("*nat", *lines, "COMMIT", ""))
    table = "table ip lateen_services"
    return "\n".join(
        (table, f"delete {table}", f"{table} {{", " chain output {", "  type nat hook output priority -100;", *lines, " }", "}", "")
    )


class ServiceNetwork:
    """Keeps names and rules as the API's services are; `join` a pod, `leave` it before it goes."""

    def __init__(self, client: KubeClient, tool: str, address: str, clock: Clock) -> None:
        self._tool = tool
        self._address = address
        self._clock = clock
        self._services = Informer(client, "Service")
        self._slices = Informer(client, "EndpointSlice")
        self._pods: dict[str, NetNS] = {}
        self._loaded: dict[str, str] = {}
        self._changed = asyncio.Event()
        self._dns: DnsServer | None = None
        self._task: asyncio.Task[None] | None = None
        for each in (self._services, self._slices):
            each.listen(lambda *_: self._changed.set())

    async def start(self) -> None:
        """Begin to answer names."""
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        udp.setblocking(False)
        udp.bind((self._address, 53))
        tcp = socket.create_server((self._address, 53))
        self._dns = DnsServer(udp, tcp, Client(""), ())
        await asyncio.gather(self._services.start(), self._slices.start(), self._dns.start())
        self._take_names()
        self._task = tasks.spawn(self._follow(), name="services")

    async def stop(self) -> None:
        """Answer no more; rules stay as they are."""
        if self._task:
            await tasks.cancel_all(self._task)
        await asyncio.gather(self._services.stop(), self._slices.stop())
        if self._dns:
            await self._dns.stop()

    async def join(self, pod: NetNS) -> None:
        """A pod without a sidecar has come: it reaches services from here on."""
        self._pods[pod.name] = pod
        await self._load(pod, self._rules())

    def leave(self, pod: NetNS) -> None:
        """The pod goes."""
        self._pods.pop(pod.name, None)
        self._loaded.pop(pod.name, None)

    async def _follow(self) -> None:
        while True:
            await self._changed.wait()
            await self._clock.sleep(_QUIET_SECONDS)
            self._changed.clear()
            self._take_names()
            rules = self._rules()
            for pod in tuple(self._pods.values()):
                await self._load(pod, rules)

    def _take_names(self) -> None:
        if self._dns:
            self._dns.table = NameTable.build(name_entries(self._services.items(), self._slices.items()))

    def _rules(self) -> str:
        return render(forwardings(self._services.items(), self._slices.items()), self._tool)

    async def _load(self, pod: NetNS, rules: str) -> None:
        if self._loaded.get(pod.name) == rules:
            return
        script = os.memfd_create("rules")
        try:
            with os.fdopen(os.dup(script), "w") as file:
                file.write(rules)
            os.lseek(script, 0, os.SEEK_SET)
            arguments = ("-f", "-") if self._tool.rpartition("/")[2] == "nft" else ("-w", "5")
            loading = await pod.popen((self._tool, *arguments), env={"PATH": _PATH}, user=_ADMIN, stdin=script)
            if await loading.wait() == 0:
                self._loaded[pod.name] = rules
            elif pod.name in self._pods:
                _log.warning("services' addresses were not taken over", pod=pod.name, tool=self._tool)
        except (SpawnError, OSError) as error:
            if pod.name in self._pods:
                _log.warning("services' addresses were not taken over", pod=pod.name, error=str(error))
        finally:
            os.close(script)
