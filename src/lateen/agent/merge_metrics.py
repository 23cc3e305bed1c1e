"""One page of metrics for one pod: the agent's own, Envoy's, the application's, in this order (an OpenMetrics page must end with its
`# EOF`, which the application's may have).

Why merged: a scraper needs one port, which is not intercepted. A part that fails is left out and counted. Must not parse what it passes on.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from lateen.agent.http import HttpError, Response, Target, call
from lateen.agent.protocols import PodNetwork
from lateen.serve.udp_dns import DnsCounters

__all__ = ["AgentCounters", "Metrics", "ScrapeTarget", "scrape_targets"]

_PLAIN = "text/plain; version=0.0.4; charset=utf-8"
_LIMIT = 10 << 20
_SECONDS = 5.0
_PASSED_ON = frozenset({"accept", "user-agent", "x-prometheus-scrape-timeout-seconds"})
_RESERVED = frozenset({15000, 15001, 15004, 15006, 15008, 15020, 15021, 15053, 15090})  # asking these would ask us again
_MERGE = "prometheus.istio.io/merge-metrics"
_TARGETS = "prometheus.istio.io/scrape-targets"


class ScrapeTarget(Struct, frozen=True):
    """Where the application shows its own metrics."""

    port: int
    path: str = "/metrics"


def scrape_targets(annotations: Mapping[str, str]) -> tuple[ScrapeTarget, ...]:
    """What a pod's annotations ask to be merged: `prometheus.istio.io/scrape-targets` ("port:path,...") or prometheus.io/*."""
    if annotations.get(_MERGE) == "false":
        return ()
    pairs: list[tuple[str, str]] = []
    if _TARGETS in annotations:
        for entry in annotations[_TARGETS].split(","):
            port, _, path = entry.strip().partition(":")
            pairs.append((port, path))
    elif annotations.get("prometheus.io/scrape") == "true":
        pairs.append((annotations.get("prometheus.io/port", "80"), annotations.get("prometheus.io/path", "")))
    wanted = [(int(port), path) for port, path in pairs if port.isascii() and port.isdigit()]
    return tuple(ScrapeTarget(port, f"/{path.lstrip('/') or 'metrics'}") for port, path in wanted if port not in _RESERVED)


class AgentCounters:
    """What the agent counts of itself."""

    def __init__(self) -> None:
        self.certificates = 0
        self.certificate_seconds = 0.0  # until it ends
        self.envoy_starts = 0
        self.scrape_failures = {"envoy": 0, "application": 0}


class Metrics:
    """Makes the page."""

    def __init__(self, network: PodNetwork, address: str, envoy_port: int, scrape: Sequence[ScrapeTarget]) -> None:
        self._network = network
        self._envoy = Target("127.0.0.1", envoy_port)
        self._scrape = tuple((Target(address, each.port), each.path) for each in scrape)
        self.counters = AgentCounters()
        self.dns: DnsCounters | None = None

    async def page(self, headers: Sequence[tuple[str, str]]) -> tuple[str, bytes]:
        """Content type and text; `headers` are the scraper's."""
        parts = [self._own()]
        envoy = await self._fetch(self._envoy, "/stats/prometheus", "envoy", ())
        parts.append(envoy.body if envoy is not None else b"")
        kind = _PLAIN
        passed_on = [(name, value) for name, value in headers if name.lower() in _PASSED_ON]
        for target, path in self._scrape:
            said = await self._fetch(target, path, "application", passed_on)
            if said is not None:
                parts.append(said.body)
                kind = said.header("content-type") or _PLAIN if len(self._scrape) == 1 else _PLAIN
        return kind, b"".join(part if part.endswith(b"\n") or not part else part + b"\n" for part in parts)

    async def _fetch(self, target: Target, path: str, who: str, headers: Sequence[tuple[str, str]]) -> Response | None:
        try:
            said = await call(self._network, target, "GET", path, headers=headers, seconds=_SECONDS, limit=_LIMIT)
        except HttpError:
            said = None
        if said is None or said.status != 200:
            self.counters.scrape_failures[who] += 1
            return None
        return said

    def _own(self) -> bytes:
        lines = [
            "# TYPE istio_agent_num_outgoing_requests counter",
            f'istio_agent_num_outgoing_requests{{request_type="csr"}} {self.counters.certificates}',
            "# TYPE istio_agent_cert_expiry_seconds gauge",
            f'istio_agent_cert_expiry_seconds{{resource_name="default"}} {self.counters.certificate_seconds:.0f}',
            "# TYPE istio_agent_envoy_starts_total counter",
            f"istio_agent_envoy_starts_total {self.counters.envoy_starts}",
            "# TYPE istio_agent_scrape_failures_total counter",
            *(f'istio_agent_scrape_failures_total{{type="{who}"}} {n}' for who, n in self.counters.scrape_failures.items()),
        ]
        for name, value in (vars(self.dns) if self.dns is not None else {}).items():
            lines += [f"# TYPE istio_agent_dns_{name}_total counter", f"istio_agent_dns_{name}_total {value}"]
        return ("\n".join(lines) + "\n").encode()
