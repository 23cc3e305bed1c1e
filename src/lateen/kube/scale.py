"""The scale subresource: `autoscaling/v1` Scale in front of a workload's replicas.

Must not know workloads beyond `spec.replicas`, `spec.selector` and `status.replicas`, or what a definition names instead.
"""

from lateen.api.kinds import KindInfo
from lateen.kube.defined import ScalePaths, form_of
from lateen.kube.errors import ApiError, Cause, bad_request, error, invalid
from lateen.kube.records import JsonObject, section

__all__ = ["scale_of", "scale_paths", "with_scale"]

_METADATA = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def scale_paths(info: KindInfo, version: str) -> ScalePaths | None:
    """Where a defined kind has its numbers; None for workloads."""
    form = form_of(info, version)
    return form.scale if form else None


def scale_of(obj: JsonObject, paths: ScalePaths | None = None) -> JsonObject:
    """The Scale that stands for a workload, or for an object of a defined kind."""
    if paths is not None:
        return _defined_scale(obj, paths)
    meta, spec, status = section(obj, "metadata"), section(obj, "spec"), section(obj, "status")
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {name: meta[name] for name in _METADATA if name in meta},
        "spec": {"replicas": spec.get("replicas", 1)},
        "status": {"replicas": status.get("replicas", 0), "selector": _selector_text(section(spec, "selector"))},
    }


def _defined_scale(obj: JsonObject, paths: ScalePaths) -> JsonObject:
    replicas, selector = _at(obj, paths.replicas), _at(obj, paths.selector)
    if replicas is None:
        raise _absent(paths.replicas)
    meta = section(obj, "metadata")
    status: JsonObject = {"replicas": _at(obj, paths.status) or 0} | ({"selector": selector} if selector else {})
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {name: meta[name] for name in _METADATA if name in meta},
        "spec": {"replicas": replicas},
        "status": status,
    }


def _absent(path: str) -> ApiError:
    why = f'the spec replicas field "{path}" does not exist'
    return error(500, "InternalError", f"Internal error occurred: {why}", {"causes": [{"message": why}]})


def _at(obj: object, path: str) -> object:
    for name in path.lstrip(".").split(".") if path else ():
        obj = obj.get(name) if isinstance(obj, dict) else None
    return obj if path else None


def _selector_text(selector: JsonObject) -> str:
    terms = [f"{key}={value}" for key, value in sorted(section(selector, "matchLabels").items())]
    expressions = selector.get("matchExpressions")
    listed = expressions if isinstance(expressions, list) else []
    terms.extend(_expression_text(expression) for expression in listed if isinstance(expression, dict))
    return ",".join(terms)


def _expression_text(expression: JsonObject) -> str:
    key, values = expression.get("key", ""), expression.get("values")
    listed = ",".join(str(value) for value in values) if isinstance(values, list) else ""
    match expression.get("operator"):
        case "In":
            return f"{key} in ({listed})"
        case "NotIn":
            return f"{key} notin ({listed})"
        case "DoesNotExist":
            return f"!{key}"
        case _:
            return f"{key}"


def with_scale(info: KindInfo, obj: JsonObject, scale: JsonObject, paths: ScalePaths | None = None) -> JsonObject:
    """The workload with the replicas that a Scale asks for; ApiError where it asks for nonsense."""
    if scale.get("kind", "Scale") != "Scale":
        raise bad_request(f"{scale.get('kind')!s:.40} cannot be handled as a Scale")
    meta, given = section(obj, "metadata"), section(scale, "metadata")
    replicas = section(scale, "spec").get("replicas", 0)
    if isinstance(replicas, bool) or not isinstance(replicas, int) or replicas < 0:
        cause = Cause("FieldValueInvalid", "spec.replicas", f"Invalid value: {replicas!s:.40}: must be a whole number, 0 or more")
        raise invalid(info, str(meta.get("name", "")), (cause,))
    revision = given.get("resourceVersion") or meta.get("resourceVersion")
    *above, last = (paths.replicas if paths else ".spec.replicas").lstrip(".").split(".")
    changed: JsonObject = {last: replicas}
    for depth in range(len(above), 0, -1):
        present = _at(obj, ".".join(above[:depth]))
        changed = {above[depth - 1]: (present if isinstance(present, dict) else {}) | changed}
    return obj | {"metadata": meta | {"resourceVersion": revision}} | changed
