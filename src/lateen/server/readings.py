"""What is looked up when somebody asks for metrics: how much there is of what, what is in conflict, how long certificates last.

Costs nothing until then. Must not change anything.
"""

from collections import Counter as Tally
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cryptography import x509

from lateen import __version__
from lateen.ca.signer import Signer
from lateen.compile.world import World
from lateen.graph import Graph
from lateen.graph.failure import FAILED
from lateen.model.endpoint import Health
from lateen.model.scope import Proxy
from lateen.model.service import Resolution
from lateen.runtime.clock import Clock
from lateen.runtime.metrics import Reading
from lateen.server.metrics import CONFLICTS, PlaneMetrics
from lateen.util.problem import Problem

__all__ = ["Readings"]


class Readings:
    """Reads a control plane."""

    def __init__(self, graph: Graph, world: World, metrics: PlaneMetrics, clock: Clock, signer: Signer | None) -> None:
        self._graph = graph
        self._world = world
        self._metrics = metrics
        self._clock = clock
        self._signer = signer
        self._defects: set[Problem] = set()

    def __call__(self) -> Iterator[Reading]:
        """All of them, now."""
        yield from self._about_this()
        yield from self._sizes()
        yield from self._conflicts()
        if self._signer is not None:
            yield from _expiries(self._signer, self._clock.now())

    def count_defects(self) -> None:
        """Count what the graph met since the last time; before the counters are printed."""
        found = {one for problems in self._graph.problems().values() for one in problems if one.code == FAILED}
        self._metrics.defects(len(found - self._defects))
        self._defects = found

    def _about_this(self) -> Iterator[Reading]:
        uptime = self._clock.monotonic() - self._metrics.started
        yield Reading("pilot_info", "The version of this control plane.", ("version",), {(__version__,): 1})
        yield Reading("istio_build", "The build of this component.", ("component", "tag"), {("pilot", __version__): 1})
        yield _one("istiod_uptime_seconds", "Seconds since the start.", uptime)

    def _sizes(self) -> Iterator[Reading]:
        proxies = tuple(self._world.proxies[key] for key in self._world.proxies)
        versions = Tally(dict(proxy.metadata).get("ISTIO_VERSION", "unknown") for proxy in proxies)
        yield Reading("pilot_xds", "Connected proxies, by version.", ("version",), {(version,): n for version, n in versions.items()})
        base = self._world.base
        yield _one("pilot_services", "Services known.", len(base.services))
        yield _one("pilot_virt_services", "VirtualServices known.", len(base.route_objects))
        yield _one("pilot_endpoint_not_ready", "Endpoints that are not ready.", self._not_ready())
        yield _one("pilot_eds_no_instances", "Clusters without any endpoint.", self._empty())
        yield _one("pilot_no_ip", "Sidecars whose pod no service selects.", sum(map(self._unselected, proxies)))

    def _not_ready(self) -> int:
        return sum(one.health is Health.UNHEALTHY for _, each in self._world.base.endpoints.items() for one in each)

    def _empty(self) -> int:
        base, empty = self._world.base, 0
        for key, service in base.services.items():
            if service.resolution is Resolution.STATIC:
                served = {one.service_port for one in base.endpoints.get(key) or ()}
                empty += sum(port.number not in served for port in service.ports)
        return empty

    def _unselected(self, proxy: Proxy) -> bool:
        scopes = self._world.scopes.of_proxy.get(proxy.id)
        return scopes is not None and any(not scope.instances for scope in scopes.inbound)

    def _conflicts(self) -> Iterator[Reading]:
        found = Tally(one.code for one in _distinct(self._graph.problems()))
        for code, name in CONFLICTS.items():
            yield _one(name, "TCP ports that an older service holds.", found[code])


def _distinct(problems: Mapping[Any, Iterable[Problem]]) -> set[Problem]:
    """A conflict is met for each scope that sees it."""
    return {one for each in problems.values() for one in each}


def _expiries(signer: Signer, now: float) -> Iterator[Reading]:
    root = min(each.not_valid_after_utc.timestamp() for each in x509.load_pem_x509_certificates(signer.issuer.roots_pem))
    chain = signer.issuer.certificate.not_valid_after_utc.timestamp()
    for name, end in (("root_cert", root), ("cert_chain", chain)):
        yield _one(f"citadel_server_{name}_expiry_timestamp", "When it ends, in seconds since 1970.", end)
        yield _one(f"citadel_server_{name}_expiry_seconds", "Seconds until it ends.", end - now)


def _one(name: str, text: str, value: float) -> Reading:
    return Reading(name, text, (), {(): value})
