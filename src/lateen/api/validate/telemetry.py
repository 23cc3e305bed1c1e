"""Telemetry and ProxyConfig."""

from lateen.api.proxyconfig import ProxyConfig
from lateen.api.telemetry import Metrics, MetricsOverride, ProviderRef, Telemetry, Tracing
from lateen.api.validate.names import check_selector
from lateen.api.validate.report import Report
from lateen.api.validate.targets import check_targets
from lateen.util import durations

__all__ = ["check_proxy_config", "check_telemetry"]


def check_telemetry(report: Report, telemetry: Telemetry) -> None:
    """All of one Telemetry."""
    spec, at = telemetry.spec, report.at("spec")
    check_targets(at, spec.selector, spec.target_refs, spec.target_ref)
    if len(spec.tracing) > 1:
        at.at("tracing").warn("multiple tracing is not currently supported: only the first is used")
    for index, tracing in enumerate(spec.tracing):
        _tracing(at.at("tracing", index), tracing)
    for index, metrics in enumerate(spec.metrics):
        _metrics(at.at("metrics", index), metrics)
    for index, logging in enumerate(spec.access_logging):
        _providers(at.at("accessLogging", index), logging.providers)


def _providers(report: Report, providers: tuple[ProviderRef, ...]) -> None:
    for index, provider in enumerate(providers):
        if not provider.name:
            report.at("providers", index, "name").error("name in body should be at least 1 chars long: which provider is required")


def _tracing(report: Report, tracing: Tracing) -> None:
    _providers(report, tracing.providers)
    if len(tracing.providers) > 1:
        report.at("providers").warn("multiple providers is not currently supported: only the first is used")
    share = tracing.random_sampling_percentage
    if share is not None and not 0 <= share <= 100:
        report.at("randomSamplingPercentage").error(f"randomSamplingPercentage should be a share from 0 to 100; it is {share:g}")
    for name, tag in tracing.custom_tags.items():
        where = report.at("customTags", name)
        if not name:
            where.error("a tag needs a name")
        for field, needed in (("environment", tag.environment), ("header", tag.header)):
            if needed is not None and not needed.name:
                where.at(field, "name").error("a name is required")
        for field, given in (("literal", tag.literal), ("formatter", tag.formatter)):
            if given is not None and not given.value:
                where.at(field, "value").error("a value is required")


def _metrics(report: Report, metrics: Metrics) -> None:
    _providers(report, metrics.providers)
    if metrics.reporting_interval is not None and durations.parse(metrics.reporting_interval) < durations.SECOND // 1000:
        report.at("reportingInterval").error(f"{metrics.reporting_interval}: must be a valid duration greater than 1ms")
    for index, override in enumerate(metrics.overrides):
        _override(report.at("overrides", index), override)


def _override(report: Report, override: MetricsOverride) -> None:
    if override.match is not None and override.match.custom_metric == "":
        report.at("match", "customMetric").error("customMetric in body should be at least 1 chars long: it is empty")
    for name, tag in override.tag_overrides.items():
        where = report.at("tagOverrides", name)
        if not name:
            where.error("a tag needs a name")
        if tag.operation == "UPSERT" and not tag.value:
            where.at("value").error("must be set when operation is UPSERT")
        if tag.operation == "REMOVE" and tag.value:
            where.at("value").error("must not be set when operation is REMOVE")


def check_proxy_config(report: Report, config: ProxyConfig) -> None:
    """All of one ProxyConfig."""
    if config.spec.selector is not None and config.spec.selector.match_labels:
        check_selector(report.at("spec", "selector"), config.spec.selector)
    if config.spec.concurrency is not None and config.spec.concurrency < 0:
        report.at("spec", "concurrency").error(f"{config.spec.concurrency}: must be greater than or equal to 0")
