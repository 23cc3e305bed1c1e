"""What istiod counts of itself, by its names: Pilot's, Citadel's and Galley's, each at its moment.

Counted per push, per answer or per change, never per resource; sizes of the mesh are looked up when somebody asks
(`server.readings`). Must not decide anything.
"""

from lateen.ads.messages import CDS, ECDS, EDS, LDS, NDS, RDS, SDS, Push
from lateen.api.kinds import KindInfo
from lateen.api.meta import Key
from lateen.runtime.clock import Clock
from lateen.runtime.metrics import Registry

__all__ = ["CONFLICTS", "PlaneMetrics", "short_type"]

CONFLICTS = {"listener-conflict": "pilot_conflict_outbound_listener_tcp_over_current_tcp"}  # problems of the graph, by code
_SHORT = {CDS: "cds", EDS: "eds", LDS: "lds", RDS: "rds", SDS: "sds", ECDS: "ecds", NDS: "nds"}
_REJECTING = {CDS: "CDS", EDS: "EDS", LDS: "LDS", RDS: "RDS"}
_REGISTRY_KINDS = {"Service": "Services", "EndpointSlice": "EndpointSlice", "Pod": "Pods", "Node": "Nodes"}
_REASONS = {"EndpointSlice": "endpoint", "Service": "service", "Secret": "secret", "Pod": "endpoint", "Node": "endpoint"}
_PUSH_SECONDS = (0.01, 0.1, 1, 3, 5, 10, 20, 30)
_CONVERGENCE_SECONDS = (0.1, 0.5, 1, 3, 5, 10, 20, 30)
_SIZES = (1, 10_000, 1_000_000, 4_000_000, 10_000_000, 40_000_000)  # bytes
_CITADEL = {
    "csr": "Certificate signing requests received.",
    "authentication_failure": "Callers who did not prove who they are.",
    "csr_parsing_err": "Certificate signing requests that could not be read.",
    "id_extraction_err": "Always 0: no identity is taken from a request.",
    "success_cert_issuance": "Certificates issued.",
}


def short_type(type_url: str) -> str:
    """cds, eds, ...; other types as they are."""
    return _SHORT.get(type_url, type_url)


class PlaneMetrics:
    """The counters of one control plane."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._first: float | None = None  # when the oldest change came that is not committed yet
        self._reasons: set[str] = set()
        self.started = clock.monotonic()
        self.registry = registry = Registry()
        counter, histogram = registry.counter, registry.histogram
        self._pushes = counter("pilot_xds_pushes", "Responses sent to proxies, by type.", "type")
        self._push_time = histogram("pilot_xds_push_time", "Seconds to make and send one response.", _PUSH_SECONDS, "type")
        self._send_time = histogram("pilot_xds_send_time", "Seconds to send one response.", _PUSH_SECONDS)
        self._sizes = histogram("pilot_xds_config_size_bytes", "Bytes of the responses sent.", _SIZES, "type")
        self._convergence = histogram(
            "pilot_proxy_convergence_time",
            "Seconds from a change until a proxy has answered all that follows from it.",
            _CONVERGENCE_SECONDS,
        )
        self._debounce = histogram("pilot_debounce_time", "Seconds from the first change of a batch to its commit.", _PUSH_SECONDS)
        self._total_rejects = counter("pilot_total_xds_rejects", "Responses that proxies refused, by type.", "type")
        self._rejects = {
            url: counter(f"pilot_xds_{name.lower()}_reject", f"Refusals of {name} by proxy.", "node", "err", kind="gauge")
            for url, name in _REJECTING.items()
        }
        self._internal = counter("pilot_total_xds_internal_errors", "Defects met while serving or computing configuration.")
        self._cfg_events = counter("pilot_k8s_cfg_events", "Changes of configuration objects.", "type", "event")
        self._reg_events = counter("pilot_k8s_reg_events", "Changes of objects of the registry.", "type", "event")
        self._inbound = counter("pilot_inbound_updates", "Changes received, by what they change.", "type")
        self._triggers = counter("pilot_push_triggers", "Batches by why they were made.", "type")
        self._fetched = {
            good: counter(f"pilot_jwks_resolver_network_fetch_{word}_total", f"Fetches of key sets: {word}.")
            for good, word in ((True, "success"), (False, "fail"))
        }
        self._passed = counter("galley_validation_passed", "Objects found valid.", "group", "version", "resource")
        self._failed = counter("galley_validation_failed", "Objects found invalid.", "group", "version", "resource", "reason")
        self._citadel = {event: counter(f"citadel_server_{event}_count", text) for event, text in _CITADEL.items()}
        self._sign_errors = counter("citadel_server_csr_sign_err_count", "Requests that were read and not signed.", "error")

    def now(self) -> float:
        """Seconds since 1970."""
        return self._clock.now()

    def changed(self, key: Key, *, known: bool, gone: bool) -> None:
        """An object changed: it was `known` before, and is `gone` now."""
        if self._first is None:
            self._first = self._clock.monotonic()
        event = "delete" if gone else "update" if known else "add"
        registered = _REGISTRY_KINDS.get(key.kind)
        if registered is not None:
            self._reg_events.add(registered, event)
            self._inbound.add(("svcdelete" if gone else "svc") if key.kind == "Service" else "eds")
        elif key.kind != "Secret":
            self._cfg_events.add(key.kind, event)
            self._inbound.add("config")
        self._reasons.add(_REASONS.get(key.kind, "config"))

    def committing(self) -> float:
        """A batch is taken; returns when its first change came."""
        now = self._clock.monotonic()
        first, self._first = self._first, None
        if first is not None:
            self._debounce.observe(now - first)
        for reason in self._reasons:
            self._triggers.add(reason)
        self._reasons.clear()
        return now if first is None else first

    def sent(self, push: Push, size: int, making: float, sending: float) -> None:
        """A response of `size` bytes went out; both times in seconds."""
        name = short_type(push.type_url)
        self._pushes.add(name)
        self._push_time.observe(making + sending, name)
        self._send_time.observe(sending)
        self._sizes.observe(size, name)

    def rejected(self, type_url: str, node: str) -> None:
        """A proxy refused a response."""
        self._total_rejects.add(short_type(type_url))
        if (one := self._rejects.get(type_url)) is not None:
            one.add(node, "Internal")  # the code that Envoy gives with every refusal

    def converged(self, since: float) -> None:
        """A proxy has taken all that followed from a change at `since`."""
        self._convergence.observe(self._clock.monotonic() - since)

    def defects(self, count: int) -> None:
        """So many more defects were met."""
        self._internal.add(by=count)

    def fetched(self, *, good: bool) -> None:
        """A key set was fetched, or was not to be had."""
        self._fetched[good].add()

    def validated(self, info: KindInfo, version: str, *, reason: str = "") -> None:
        """An object was found valid, or not, and why in a word."""
        if reason:
            self._failed.add(info.group, version, info.plural, reason)
        else:
            self._passed.add(info.group, version, info.plural)

    def certificates(self, event: str) -> None:
        """Something of the certificate service: an entry of Citadel's counters, or why a request was not signed."""
        if event in self._citadel:
            self._citadel[event].add()
        else:
            self._sign_errors.add(event)
