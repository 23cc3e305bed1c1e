"""Telemetry: providers that nobody named, or that are gone."""

from collections.abc import Iterable

from lateen.analyze.objects import Finding, Objects, listing, text

__all__ = ["check_lightstep", "check_providers"]


def check_providers(objects: Objects) -> Iterable[Finding]:
    """Access logs without a provider, where the mesh has no default for them, go nowhere."""
    if objects.mesh.default_providers.access_logging:
        return
    for item in objects.of("Telemetry"):
        for index, logging in enumerate(listing(item.spec, "accessLogging")):
            if text(logging, "disabled") != "true" and not listing(logging, "providers"):
                yield Finding(code="IST0157", item=item, args=(item.name, item.namespace), path=("spec", "accessLogging", index))


def check_lightstep(objects: Objects) -> Iterable[Finding]:
    """Lightstep's own protocol is no longer there; it takes OpenTelemetry's."""
    gone = {each.name for each in objects.mesh.extension_providers if each.lightstep is not None}
    for item in objects.of("Telemetry"):
        for index, tracing in enumerate(listing(item.spec, "tracing")):
            for provider in listing(tracing, "providers"):
                if text(provider, "name") in gone:
                    what = f'the tracing provider "{text(provider, "name")}" is of Lightstep\'s own kind; use opentelemetry'
                    yield Finding(code="IST0002", item=item, args=(what,), path=("spec", "tracing", index, "providers"))
