"""What the CustomResourceDefinitions ask of an object's form beyond types: fields that must be there, or must not be empty.

Why on the JSON and not on the typed object: a field that is empty and one that is left out are one value there.
"""

from collections.abc import Iterator, Mapping, Sequence

from lateen.api.validate.report import Report

__all__ = ["check_presence"]

_NEEDS_SPEC = frozenset({"WorkloadGroup", "ServiceEntry"})
# Paths below spec, `*` for each entry of a list; the text, the list or the map there, once given, must not be empty.
_NOT_EMPTY: Mapping[str, Sequence[str]] = {
    "PeerAuthentication": ("portLevelMtls",),
    "WasmPlugin": ("imagePullSecret", "pluginName"),
    "TrafficExtension": ("wasm.imagePullSecret", "wasm.pluginName"),
}


def check_presence(report: Report, raw: Mapping[str, object]) -> None:
    """Told at the field."""
    kind = str(raw.get("kind", ""))
    spec = raw.get("spec")
    if not isinstance(spec, Mapping):
        if kind in _NEEDS_SPEC:
            report.at("spec").error("spec: Required value")
        return
    for path in _NOT_EMPTY.get(kind, ()):
        steps = path.split(".")
        for value in _values(spec, steps):
            if not value and value is not None:
                what = "properties" if isinstance(value, Mapping) else "chars long"
                report.at("spec", *steps).error(
                    f"spec.{path} in body should have at least 1 {what}: spec.{path} in body should be at least 1 {what}"
                )


def _values(value: object, steps: Sequence[str]) -> Iterator[object]:
    if not steps:
        yield value
    elif isinstance(value, Mapping) and steps[0] in value:
        yield from _values(value[steps[0]], steps[1:])
