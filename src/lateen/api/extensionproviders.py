"""MeshConfig's extension providers: services for authorization, tracing and access logs.

Why apart from `meshconfig`: it is a list of its own that grows with telemetry. Providers that Lateen does not act on
are plain JSON.
"""

from collections.abc import Mapping

from msgspec import field

from lateen.api.base import Duration, JsonObject, Message, OneOf, UInt32

__all__ = [
    "EnvoyExtAuthzGrpc",
    "EnvoyExtAuthzHttp",
    "EnvoyFileAccessLog",
    "ExtAuthzRequestBody",
    "ExtensionProvider",
    "FileAccessLogFormat",
    "OpenTelemetryTracing",
    "PrometheusMetrics",
    "ZipkinTracing",
]


class ExtAuthzRequestBody(Message, frozen=True):
    """How much of the body goes along to the authorizer."""

    max_request_bytes: UInt32 = 0
    allow_partial_message: bool = False
    pack_as_bytes: bool = False


class EnvoyExtAuthzHttp(Message, frozen=True):
    """An authorizer asked over HTTP."""

    service: str = ""
    port: UInt32 = 0
    timeout: Duration | None = None
    path_prefix: str = ""
    fail_open: bool = False
    status_on_error: str = ""
    clear_route_cache: bool = False
    include_headers_in_check: tuple[str, ...] = ()  # deprecated
    include_request_headers_in_check: tuple[str, ...] = ()
    include_additional_headers_in_check: Mapping[str, str] = field(default_factory=dict)
    include_request_body_in_check: ExtAuthzRequestBody | None = None
    headers_to_upstream_on_allow: tuple[str, ...] = ()
    headers_to_downstream_on_deny: tuple[str, ...] = ()
    headers_to_downstream_on_allow: tuple[str, ...] = ()
    retry_policy: JsonObject | None = None


class EnvoyExtAuthzGrpc(Message, frozen=True):
    """An authorizer asked over gRPC."""

    service: str = ""
    port: UInt32 = 0
    timeout: Duration | None = None
    fail_open: bool = False
    status_on_error: str = ""
    clear_route_cache: bool = False
    include_request_body_in_check: ExtAuthzRequestBody | None = None
    retry_policy: JsonObject | None = None


class ZipkinTracing(Message, frozen=True):
    """Traces to Zipkin."""

    service: str = ""
    port: UInt32 = 0
    max_tag_length: UInt32 = 0
    enable_64bit_trace_id: bool = field(name="enable64bitTraceId", default=False)
    path: str = ""
    trace_context_option: str = ""
    timeout: Duration | None = None
    headers: tuple[JsonObject, ...] = ()


class OpenTelemetryTracing(Message, frozen=True):
    """Traces to an OpenTelemetry collector."""

    service: str = ""
    port: UInt32 = 0
    max_tag_length: UInt32 = 0
    http: JsonObject | None = None
    grpc: JsonObject | None = None
    resource_detectors: JsonObject | None = None
    dynatrace_sampler: JsonObject | None = None
    service_attribute_enrichment: str = ""


class FileAccessLogFormat(OneOf, frozen=True):
    """A line as text, or a JSON object with these labels."""

    one_of = (("text", "labels"),)

    text: str | None = None
    labels: JsonObject | None = None


class EnvoyFileAccessLog(Message, frozen=True):
    """Access logs to a file."""

    path: str = ""
    log_format: FileAccessLogFormat | None = None
    omit_empty_values: bool = False


class PrometheusMetrics(Message, frozen=True):
    """Metrics that Prometheus scrapes; it has no settings."""


class SdsProvider(Message, frozen=True):
    """A server of secrets, for credentials named `sds://`."""

    name: str = ""
    service: str = ""
    port: UInt32 = 0


class ExtensionProvider(OneOf, frozen=True):
    """A named provider of exactly one sort."""

    one_of = (
        (
            "envoy_ext_authz_http",
            "envoy_ext_authz_grpc",
            "zipkin",
            "lightstep",
            "datadog",
            "stackdriver",
            "opencensus",
            "skywalking",
            "opentelemetry",
            "prometheus",
            "envoy_file_access_log",
            "envoy_http_als",
            "envoy_tcp_als",
            "envoy_otel_als",
            "sds",
        ),
    )

    name: str = ""
    envoy_ext_authz_http: EnvoyExtAuthzHttp | None = None
    envoy_ext_authz_grpc: EnvoyExtAuthzGrpc | None = None
    zipkin: ZipkinTracing | None = None
    opentelemetry: OpenTelemetryTracing | None = None
    prometheus: PrometheusMetrics | None = None
    envoy_file_access_log: EnvoyFileAccessLog | None = None
    lightstep: JsonObject | None = None
    datadog: JsonObject | None = None
    stackdriver: JsonObject | None = None
    opencensus: JsonObject | None = None
    skywalking: JsonObject | None = None
    envoy_http_als: JsonObject | None = None
    envoy_tcp_als: JsonObject | None = None
    envoy_otel_als: JsonObject | None = None
    sds: SdsProvider | None = None
