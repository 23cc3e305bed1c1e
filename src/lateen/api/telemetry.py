"""Istio's Telemetry: what is traced, counted and logged, and by whom."""

from collections.abc import Mapping
from typing import Literal

from msgspec import field

from lateen.api.base import Duration, Message, OneOf
from lateen.api.meta import IstioStatus, ObjectMeta, PolicyTargetReference, WorkloadSelector

__all__ = [
    "AccessLogFilter",
    "AccessLogging",
    "CustomTag",
    "EnvironmentTag",
    "FormatterTag",
    "HeaderTag",
    "LiteralTag",
    "MetricSelector",
    "Metrics",
    "MetricsOverride",
    "ModeSelector",
    "ProviderRef",
    "TagOverride",
    "Telemetry",
    "TelemetrySpec",
    "Tracing",
]

Mode = Literal["CLIENT_AND_SERVER", "CLIENT", "SERVER"]


class ProviderRef(Message, frozen=True):
    """An extension provider of MeshConfig."""

    name: str = ""


class ModeSelector(Message, frozen=True):
    """Whether the caller's proxy, the callee's, or both."""

    mode: Mode = "CLIENT_AND_SERVER"


class LiteralTag(Message, frozen=True):
    """The same value always."""

    value: str = ""


class EnvironmentTag(Message, frozen=True):
    """A variable of the proxy's environment."""

    name: str = ""
    default_value: str = ""


class HeaderTag(Message, frozen=True):
    """A header of the request."""

    name: str = ""
    default_value: str = ""


class FormatterTag(Message, frozen=True):
    """A format string as in Envoy's access log."""

    value: str = ""


class CustomTag(OneOf, frozen=True):
    """Where the value of a span's tag comes from."""

    one_of = (("literal", "environment", "header", "formatter"),)

    literal: LiteralTag | None = None
    environment: EnvironmentTag | None = None
    header: HeaderTag | None = None
    formatter: FormatterTag | None = None


class Tracing(Message, frozen=True):
    """How spans are sampled, tagged and reported; None inherits."""

    match: ModeSelector | None = None
    providers: tuple[ProviderRef, ...] = ()
    random_sampling_percentage: float | None = None
    disable_span_reporting: bool | None = None
    custom_tags: Mapping[str, CustomTag] = field(default_factory=dict)
    use_request_id_for_trace_sampling: bool | None = None
    enable_istio_tags: bool | None = None
    disable_context_propagation: bool | None = None


class MetricSelector(OneOf, frozen=True):
    """Which metric, of which side."""

    one_of = (("metric", "custom_metric"),)

    metric: (
        Literal[
            "ALL_METRICS",
            "REQUEST_COUNT",
            "REQUEST_DURATION",
            "REQUEST_SIZE",
            "RESPONSE_SIZE",
            "TCP_OPENED_CONNECTIONS",
            "TCP_CLOSED_CONNECTIONS",
            "TCP_SENT_BYTES",
            "TCP_RECEIVED_BYTES",
            "GRPC_REQUEST_MESSAGES",
            "GRPC_RESPONSE_MESSAGES",
        ]
        | None
    ) = None
    custom_metric: str | None = None
    mode: Mode = "CLIENT_AND_SERVER"


class TagOverride(Message, frozen=True):
    """Sets a tag to the value of a CEL expression, or removes it."""

    operation: Literal["UPSERT", "REMOVE"] = "UPSERT"
    value: str = ""


class MetricsOverride(Message, frozen=True):
    """What is different for the metrics that match."""

    match: MetricSelector | None = None
    disabled: bool | None = None
    tag_overrides: Mapping[str, TagOverride] = field(default_factory=dict)


class Metrics(Message, frozen=True):
    """Metrics of these providers."""

    providers: tuple[ProviderRef, ...] = ()
    overrides: tuple[MetricsOverride, ...] = ()
    reporting_interval: Duration | None = None


class AccessLogFilter(Message, frozen=True):
    """A CEL expression that a request must satisfy to be logged."""

    expression: str = ""


class AccessLogging(Message, frozen=True):
    """Access logs of these providers."""

    match: ModeSelector | None = None
    providers: tuple[ProviderRef, ...] = ()
    disabled: bool | None = None
    filter: AccessLogFilter | None = None


class TelemetrySpec(Message, frozen=True):
    """Which workloads, by labels or as targets, and their telemetry."""

    selector: WorkloadSelector | None = None
    target_ref: PolicyTargetReference | None = None
    target_refs: tuple[PolicyTargetReference, ...] = ()
    tracing: tuple[Tracing, ...] = ()
    metrics: tuple[Metrics, ...] = ()
    access_logging: tuple[AccessLogging, ...] = ()


class Telemetry(Message, frozen=True):
    """telemetry.istio.io Telemetry, all versions."""

    api_version: str = "telemetry.istio.io/v1"
    kind: Literal["Telemetry"] = "Telemetry"
    metadata: ObjectMeta = ObjectMeta()
    spec: TelemetrySpec = TelemetrySpec()
    status: IstioStatus | None = None
